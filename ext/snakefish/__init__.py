"""Parallel Python with threading semantics: functions and generators in forked processes.

Thread, Generator, map and starmap run in child processes, Channel carries objects between them through shared memory,
and changes to globals come back by extract and merge functions. `snakefish.trace` writes what happens into SQLite.

A child's garbage collector leaves alone what the child inherited (gc.freeze): cycles that it drops of that stay until its
end, unless f calls gc.unfreeze() first.
"""

import atexit

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
    "Generator",
    "Thread",
    "cpu_count",
    "get_timestamp",
    "get_timestamp_serialized",
    "imap",
    "imap_unordered",
    "map",
    "starmap",
    "timestamp_frequency",
    "trace",
    "wait",
]
__version__ = "0.1.0"

# Registered after trace's own handler, so it runs first: the children's last events are still collected.
atexit.register(_at_exit)
trace._start_from_environment()
