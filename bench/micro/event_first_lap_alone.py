"""event-first-lap-alone: events into a log that its process made itself, whose pages are fresh"""
from bench.micro.event_first_lap import floor, floor_is, size  # noqa: F401
from bench.support import events
from bench.support.events import check_size, expected, needs, operation, seconds, unit  # noqa: F401

targets = {}  # it stands beside event-first-lap, which has one
timed = events.timed("first-lap-alone")
