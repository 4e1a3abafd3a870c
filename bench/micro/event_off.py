"""event-off: what an event costs where nothing is traced"""
from bench.support import events

size = 10000000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "a bare rdtsc; a ninth of one is about 1 ns"
targets = {"floor": 9}
timed = events.timed("off")
floor = events.floor("rdtsc")
expected = events.expected
