"""concurrent-futures: a ProcessPoolExecutor made for the run; start method fork"""
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, version  # noqa: F401


@contextmanager
def pool(workers):
    with ProcessPoolExecutor(workers, mp_context=fork) as executor:
        yield lambda f, args, chunksize: list(executor.map(f, args, chunksize=chunksize))


@contextmanager
def submit(workers):
    with ProcessPoolExecutor(workers, mp_context=fork) as executor:
        yield executor.submit
