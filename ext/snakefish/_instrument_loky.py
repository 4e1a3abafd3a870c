"""trace.instrument: what loky has beside its executor, for which it does not use multiprocessing. Internal.

package: "loky", or "joblib.externals.loky", as joblib brings it along. A replacement of a method gets the method first, then the
method's arguments.
"""

import importlib

from snakefish._instrument_processes import poll
from snakefish._snakefish import (
    _instrument_fork_unseen as fork_unseen,
    _instrument_pickle as pickle,
)


def process_methods(popen_loky_posix):
    """Of a module that is imported only when a process is started: a worker runs it as its program."""
    return [(popen_loky_posix.Popen, "poll", poll)]


def methods(package):
    def module(name):
        return importlib.import_module(f"{package}.backend.{name}")

    return [
        (module("queues"), "dumps", pickle),
        (module("resource_tracker"), "spawnv_passfds", fork_unseen),  # the tracker would look like a process that works
    ]
