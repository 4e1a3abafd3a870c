"""event-fenced: an event that must not be stamped too early: the end of a receive, a child's start"""
from bench.support import events

size = 1000000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "a bare rdtsc between fences"
targets = {"floor": 1 / 1.3}
timed = events.timed("event-fenced")
floor = events.floor("rdtsc-fenced")
expected = events.expected
