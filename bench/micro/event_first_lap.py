"""event-first-lap: events into a spare log, whose pages the collector made ready"""
from bench.support import events

size = 60000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "an event into warm pages"
targets = {"floor": 1 / 2}
timed = events.timed("first-lap")
floor = events.floor("event")
expected = events.expected
