"""event-fenced: an event that must not be stamped too early, such as the end of a receive and the start of a child"""
from bench.support import events
from bench.support.events import check_size, expected, needs, operation, seconds, unit  # noqa: F401

size = 1_000_000
floor_is = "a bare rdtsc between fences"
targets = {"floor": 1 / 1.3}
timed = events.timed("event-fenced")
floor = events.floor("rdtsc-fenced")
