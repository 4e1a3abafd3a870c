"""joblib: Parallel with its own processes (loky), there before the region, as every call after the first finds them"""
import tempfile
from contextlib import contextmanager

from bench.runtimes import package

joblib = package("joblib", debian="python3-joblib")
version = joblib.__version__


@contextmanager
def warm(workers):
    def map(f, args, chunksize):
        parallel = joblib.Parallel(n_jobs=workers, backend="loky", batch_size=chunksize,
                                   temp_folder=tempfile.gettempdir())
        return parallel(joblib.delayed(f)(x) for x in args)

    map(abs, range(2 * workers), 1)
    yield map
    # Left alone, they take two seconds to leave.
    joblib.externals.loky.get_reusable_executor().shutdown(kill_workers=True)
