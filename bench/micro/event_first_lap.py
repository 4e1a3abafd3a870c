"""event-first-lap: events into a spare log, whose pages the collector has prepared"""
from bench.support import events
from bench.support.events import check_size, expected, needs, operation, seconds, unit  # noqa: F401

size = 60_000
floor_is = "an event into warm pages"
targets = {"floor": 1 / 2}
timed = events.timed("first-lap")
floor = events.floor("event")
