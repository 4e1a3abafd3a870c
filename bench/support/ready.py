"""What a workload needs, made of what a runtime offers: the region is what run() does, everything else is before it.

A pool is made and ended in the region, a warm one before and after it; before it, a warm one's workers have also
imported the workload. A fold of a runtime's own is taken where there is one; where there is only a map, each chunk
begins with what the program carries over to it, and its results are what the program extracts and merges.
"""
from contextlib import contextmanager
from importlib import import_module

REHEARSED = 4  # tasks for each worker of a warm pool, so that each of them gets one
NEEDS = {"pool": ("pool", "warm"), "fold": ("fold", "pool", "warm")}  # any one of them will do


@contextmanager
def program(runtime, workload, size, workers):
    """Yields run() -> output."""
    if workload.needs == "pipeline":
        yield lambda: workload.output(size, workers, runtime.pipeline)
    elif workload.needs == "fold" and hasattr(runtime, "fold"):
        yield lambda: workload.output(size, workers, lambda *call: runtime.fold(workload.module, workers, *call))
    else:
        with mapper(runtime, workers, workload.module.__name__) as run:
            yield lambda: run(lambda map: workload.output(size, workers, of_map(workload, map)))


@contextmanager
def mapper(runtime, workers, module):
    """Yields run(use), which returns use(map). module: the name of the work function's."""
    if hasattr(runtime, "warm"):
        with runtime.warm(workers) as map:
            map(rehearse, [module] * REHEARSED * workers, 1)
            yield lambda use: use(map)
    else:

        def run(use):
            with runtime.pool(workers) as map:
                return use(map)

        yield run


def rehearse(module):
    """In a worker."""
    import_module(module)


def of_map(workload, map):
    """The function that the program calls: the map, or a fold made of it."""
    if workload.needs == "pool":
        return map
    module = workload.module
    carry = getattr(module, "carry", lambda: None)

    def fold(f, args, chunksize):
        carried = carry()
        chunks = [(module.begin, carried, f, args[at:at + chunksize], module.extract)
                  for at in range(0, len(args), chunksize)]
        for extracted in map(of_chunk, chunks, 1):
            module.merge(vars(module), extracted)

    return fold


def of_chunk(chunk):
    """In a worker."""
    begin, carried, f, args, extract = chunk
    begin(carried)
    for x in args:
        f(x)
    return extract(f.__globals__)
