"""event-write: an event into the trace, from C"""
from bench.support import events
from bench.support.events import check_size, expected, needs, operation, seconds, unit  # noqa: F401

size = 1_000_000
floor_is = "a bare rdtsc"
targets = {"floor": 1 / 1.3}
timed = events.timed("event")
floor = events.floor("rdtsc")
