"""joblib: Parallel with its own processes (loky), which start before the region, as for every call after a first one"""
import tempfile
from contextlib import ExitStack, contextmanager

from bench.runtimes import package

joblib = package("joblib", debian="python3-joblib")
version = joblib.__version__
own_chunks = True
min_workers = 2  # with one, joblib works in the program's own process, whose globals the tasks would change


@contextmanager
def warm(workers):
    # One Parallel is kept for each chunk size, as joblib advises for consecutive calls. It saves some tenths of a
    # millisecond a call.
    with ExitStack() as stack:
        kept = {}

        def map(f, args, chunksize):
            if chunksize not in kept:
                kept[chunksize] = stack.enter_context(joblib.Parallel(
                    n_jobs=workers, backend="loky", batch_size=chunksize or "auto", temp_folder=tempfile.gettempdir()))
            return kept[chunksize](joblib.delayed(f)(x) for x in args)

        yield map
    # Without this the processes take two seconds to end.
    joblib.externals.loky.get_reusable_executor().shutdown(kill_workers=True)
