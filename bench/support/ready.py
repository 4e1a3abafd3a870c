"""Makes what a workload needs of what a runtime offers. The timed region is what run() does.

A pool is made and ended within the region. A warm pool is made before the region and ended after it, and its workers have
already imported the workload. Where a runtime has a fold of its own, that is used. Where it has only a map, the fold is
made of it: each chunk begins with what the program carries over, and ends with what the program extracts, to be merged.
"""
from contextlib import contextmanager
from importlib import import_module

REHEARSED = 4  # tasks for each worker of a warm pool, enough that each worker gets one
NEEDS = {"pool": ("pool", "warm"), "fold": ("fold", "pool", "warm")}  # need: offers of which one is enough


@contextmanager
def program(runtime, workload, size, workers):
    """Yields run() -> output."""
    if workload.name in getattr(runtime, "programs", ()):
        yield lambda: runtime.programs[workload.name](size, workers)
    elif workload.needs == "pipeline":
        yield lambda: workload.output(size, workers, runtime.pipeline)
    elif workload.needs == "fold" and hasattr(runtime, "fold"):
        yield lambda: workload.output(size, workers, lambda *call: runtime.fold(workload.module, workers, *call))
    else:
        with mapper(runtime, workers, workload.module.__name__) as run:
            yield lambda: run(lambda map: workload.output(size, workers, of_map(workload, map)))


@contextmanager
def mapper(runtime, workers, module):
    """Yields run(use), which returns use(map). module: the name of the module of the work function."""
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
    """Runs in a worker."""
    import_module(module)


def of_map(workload, map):
    """The function that the program calls: the map itself, or a fold made of it."""
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
    """Runs in a worker."""
    begin, carried, f, args, extract = chunk
    begin(carried)
    for x in args:
        f(x)
    return extract(f.__globals__)
