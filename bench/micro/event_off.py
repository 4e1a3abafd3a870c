"""event-off: what an event costs where nothing is traced"""
from bench.support import events
from bench.support.events import check_size, expected, needs, operation, seconds, unit  # noqa: F401

size = 10_000_000
floor_is = "a bare rdtsc; a ninth of one is about 1 ns"
targets = {"floor": 9}
timed = events.timed("off")
floor = events.floor("rdtsc")
