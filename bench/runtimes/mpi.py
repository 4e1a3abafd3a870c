"""mpi: mpi4py's MPIPoolExecutor, whose ranks are started on this machine before the region"""
import os
from contextlib import contextmanager

from bench.runtimes import package

# More ranks than cores, as root too: Open MPI refuses both otherwise.
for name in ("OMPI_MCA_rmaps_base_oversubscribe", "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
    os.environ.setdefault(name, "1")
version = package("mpi4py", debian="python3-mpi4py openmpi-bin").__version__
futures = package("mpi4py.futures", debian="python3-mpi4py openmpi-bin")
only = ("mandelbrot", "many-tasks")  # it takes a second to start
min_workers = 2


@contextmanager
def warm(workers):
    with futures.MPIPoolExecutor(workers) as executor:
        yield lambda f, args, chunksize: list(executor.map(f, args, chunksize=chunksize))
