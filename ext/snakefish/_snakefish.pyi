"""The C module. Its other names are internal."""

from typing import Any

from snakefish import Channel as Channel, ChildDied as ChildDied, Generator as Generator, Thread as Thread
from snakefish import cpu_count as cpu_count, timestamp_frequency as timestamp_frequency
from snakefish import get_timestamp as get_timestamp, get_timestamp_serialized as get_timestamp_serialized
from snakefish import imap as imap, imap_unordered as imap_unordered, map as map, starmap as starmap
from snakefish.trace import enabled as enabled, mark as mark

def __getattr__(name: str) -> Any: ...
