"""concurrent-futures: a ProcessPoolExecutor made for each map; start method fork"""
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, version  # noqa: F401


@contextmanager
def maps(workers):
    def map(f, args, chunksize):
        with ProcessPoolExecutor(workers, mp_context=fork) as executor:
            return list(executor.map(f, args, chunksize=chunksize))

    yield map
