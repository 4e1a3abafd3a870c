"""multiprocessing-warm: multiprocessing's Pool, made and used once before the region; start method fork"""
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, version  # noqa: F401


@contextmanager
def warm(workers):
    with fork.Pool(workers) as pool:
        pool.map(abs, range(workers))
        yield pool.map
        pool.close()
        pool.join()
