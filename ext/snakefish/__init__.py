"""Parallel Python with threading semantics: functions and generators in forked processes.

Thread, Generator, map and starmap run in child processes, Channel carries objects between them through shared memory,
and changes to globals come back by extract and merge functions; `snakefish.merge` makes these. `snakefish.trace` writes
what happens into SQLite.

In a child the garbage collector skips all objects that the child inherited (gc.freeze). Cycles of such objects are not
freed before the child's end, unless f calls gc.unfreeze() first.
"""

import atexit as _atexit

from snakefish._snakefish import (
    Channel,
    ChildDied,
    Generator,
    Thread,
    _at_exit,
    cpu_count,
    get_timestamp,
    get_timestamp_serialized,
    imap,
    imap_unordered,
    map,
    starmap,
    timestamp_frequency,
)
from snakefish import trace
from snakefish._wait import wait

__all__ = [
    "Channel",
    "ChildDied",
    "Executor",
    "Generator",
    "Thread",
    "WorkerDied",
    "cpu_count",
    "get_timestamp",
    "get_timestamp_serialized",
    "imap",
    "imap_unordered",
    "map",
    "merge",
    "starmap",
    "timestamp_frequency",
    "trace",
    "wait",
]
__version__ = "0.1.0"

RuntimeError = RuntimeError  # programs of 2020 catch snakefish.RuntimeError; it has always been the built-in one


def __getattr__(name):
    """Executor, WorkerDied and the module merge are imported when they are first needed: they take long to import."""
    if name == "merge":
        import importlib

        return importlib.import_module("snakefish.merge")
    if name not in ("Executor", "WorkerDied"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from snakefish import _executor

    return globals().setdefault(name, getattr(_executor, name))


def __dir__():
    return __all__


# Exit handlers run from the newest to the oldest. This one is registered after trace's, so it runs first, and the
# children's last events are still collected.
_atexit.register(_at_exit)
trace._start_from_environment()
