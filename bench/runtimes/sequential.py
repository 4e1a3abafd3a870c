"""sequential: a plain loop, the base of every speedup"""
from contextlib import contextmanager

max_workers = 1
version = None
own_chunks = True


@contextmanager
def pool(workers):
    yield lambda f, args, chunksize: [f(x) for x in args]


def fold(module, workers, f, args, chunksize):
    for x in args:
        f(x)


@contextmanager
def pipeline(source, args, stages):
    items = source(*args)
    for stage in stages:
        items = stage(items)
    yield items
