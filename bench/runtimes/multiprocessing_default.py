"""multiprocessing-default: Pool.map with no chunksize: about four equal chunks for each worker; start method fork"""
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, version  # noqa: F401

only = ("program",)


@contextmanager
def pool(workers):
    with fork.Pool(workers) as workers_pool:
        yield lambda f, args, chunksize: workers_pool.map(f, args)
