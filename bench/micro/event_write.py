"""event-write: an event into the trace, from C"""
from bench import machine

size = 1000000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "a bare rdtsc"
targets = {"floor": 1.3}


def timed(runtime, size, workers):
    right, ns = runtime.events("event", size)
    return b"%d\n" % right, ns, None


def floor(size, workers):
    right, ns = machine.events("rdtsc", size)
    return b"%d\n" % right, ns


def expected(size):
    return b"%d\n" % size
