"""multiprocessing-warm: multiprocessing's Pool, made before the region and used once; start method fork"""
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, version  # noqa: F401


@contextmanager
def maps(workers):
    with fork.Pool(workers) as pool:
        pool.map(abs, range(workers))
        yield pool.map
        pool.close()
        pool.join()
