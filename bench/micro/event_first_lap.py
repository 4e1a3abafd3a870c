"""event-first-lap: events into a log that was just made, whose pages are fresh"""
from bench import machine

size = 60000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "an event into warm pages"
targets = {"floor": 2.0}


def timed(runtime, size, workers):
    right, ns = runtime.events("first-lap", size)
    return b"%d\n" % right, ns, None


def floor(size, workers):
    right, ns = machine.events("event", size)
    return b"%d\n" % right, ns


def expected(size):
    return b"%d\n" % size
