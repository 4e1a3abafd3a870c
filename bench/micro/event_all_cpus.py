"""event-all-cpus: events from a process on each CPU at once; CPU time of one of them"""
from bench.support import events
from bench.support.events import check_size, expected, needs, operation, seconds, unit  # noqa: F401

size = 1_000_000
parallel = True
floor_is = "a bare rdtsc on each CPU"
targets = {"floor": 1 / 1.3}
timed = events.timed("event")
floor = events.floor("rdtsc")
