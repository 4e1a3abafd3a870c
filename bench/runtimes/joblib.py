"""joblib: Parallel with its own processes (loky), there before the region, as every call after the first finds them"""
import tempfile
from contextlib import ExitStack, contextmanager

from bench.runtimes import package

joblib = package("joblib", debian="python3-joblib")
version = joblib.__version__
min_workers = 2  # with one, joblib works in the program's own process, whose globals the tasks would change


@contextmanager
def warm(workers):
    # One that is kept for all maps with a chunk size, as joblib advises for consecutive calls: it saves each of them some
    # tenths of a millisecond.
    with ExitStack() as stack:
        kept = {}

        def map(f, args, chunksize):
            if chunksize not in kept:
                kept[chunksize] = stack.enter_context(joblib.Parallel(
                    n_jobs=workers, backend="loky", batch_size=chunksize, temp_folder=tempfile.gettempdir()))
            return kept[chunksize](joblib.delayed(f)(x) for x in args)

        yield map
    # Left alone, they take two seconds to leave.
    joblib.externals.loky.get_reusable_executor().shutdown(kill_workers=True)
