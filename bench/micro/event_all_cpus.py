"""event-all-cpus: events from a process on each CPU at once; CPU time of one of them"""
from bench.support import events

size = 1000000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
parallel = True
floor_is = "a bare rdtsc on each CPU"
targets = {"floor": 1 / 1.3}
timed = events.timed("event")
floor = events.floor("rdtsc")
expected = events.expected
