"""concurrent-futures-default: ProcessPoolExecutor.map with no chunksize: one task at a time; start method fork"""
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, version  # noqa: F401

only = ("program",)


@contextmanager
def pool(workers):
    with ProcessPoolExecutor(workers, mp_context=fork) as executor:
        yield lambda f, args, chunksize: list(executor.map(f, args))
