"""event-write: an event into the trace, from C"""
from bench.support import events

size = 1000000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "a bare rdtsc"
targets = {"floor": 1 / 1.3}
timed = events.timed("event")
floor = events.floor("rdtsc")
expected = events.expected
