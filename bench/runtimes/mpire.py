"""mpire: a WorkerPool made for the run, whose workers stay for all of its maps; start method fork"""
from contextlib import contextmanager
from importlib import metadata

from bench.runtimes import package

WorkerPool = package("mpire", pip="mpire").WorkerPool
version = metadata.version("mpire")
own_chunks = True


@contextmanager
def pool(workers):
    with WorkerPool(workers, start_method="fork", keep_alive=True) as workers_pool:
        # Each argument in a tuple, else mpire would hand over the items of those that are tuples one by one.
        yield lambda f, args, chunksize: workers_pool.map(f, [(x,) for x in args], chunk_size=chunksize or None,
                                                          concatenate_numpy_output=False)
