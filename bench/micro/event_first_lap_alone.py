"""event-first-lap-alone: events into a log that its process made itself, whose pages are fresh"""
from bench.support import events

size = 60000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "an event into warm pages"
targets = {}  # told beside event-first-lap, which has one
timed = events.timed("first-lap-alone")
floor = events.floor("event")
expected = events.expected
