"""sequential: a plain loop, the base of every speedup"""
from contextlib import contextmanager

max_workers = 1
version = None


@contextmanager
def pool(workers):
    yield lambda f, args, chunksize: [f(x) for x in args]
