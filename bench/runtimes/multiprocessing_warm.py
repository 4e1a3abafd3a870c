"""multiprocessing-warm: multiprocessing's Pool, made and used before the region; start method fork"""
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, own_chunks, version  # noqa: F401


@contextmanager
def warm(workers):
    with fork.Pool(workers) as pool:
        yield pool.map
