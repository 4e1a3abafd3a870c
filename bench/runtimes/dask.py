"""dask: a cluster of processes with one thread each on this machine, started before the region; a task for each chunk"""
import logging
import tempfile
from contextlib import contextmanager

from bench.runtimes import package

distributed = package("distributed", debian="python3-distributed")
version = distributed.__version__
only = ("mandelbrot", "many-tasks")  # it takes seconds to start
min_workers = 2


def run_chunk(f, chunk):
    return [f(x) for x in chunk]


@contextmanager
def warm(workers):
    with tempfile.TemporaryDirectory(prefix="bench-dask-") as folder, distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, local_directory=folder,
            silence_logs=logging.ERROR) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(workers)

        def map(f, args, chunksize):
            chunks = [args[at:at + chunksize] for at in range(0, len(args), chunksize)]
            parts = client.gather(client.map(run_chunk, [f] * len(chunks), chunks, pure=False))
            return [x for part in parts for x in part]

        yield map
