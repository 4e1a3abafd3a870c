"""pebble: a ProcessPool made for the run; start method fork"""
from contextlib import contextmanager
from importlib import metadata

from bench.runtimes import package
from bench.runtimes.multiprocessing import fork

ProcessPool = package("pebble", debian="python3-pebble").ProcessPool
version = metadata.version("pebble")


@contextmanager
def pool(workers):
    with ProcessPool(workers, context=fork) as workers_pool:
        yield lambda f, args, chunksize: list(workers_pool.map(f, args, chunksize=chunksize).result())


@contextmanager
def submit(workers):
    with ProcessPool(workers, context=fork) as workers_pool:
        yield lambda f, *args: workers_pool.schedule(f, args=args)
