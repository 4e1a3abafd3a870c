"""event-fenced: an event that must not be stamped too early: the end of a receive, a child's start"""
from bench import machine

size = 1000000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "a bare rdtsc between fences"
targets = {"floor": 1.3}


def timed(runtime, size, workers):
    right, ns = runtime.events("event-fenced", size)
    return b"%d\n" % right, ns, None


def floor(size, workers):
    right, ns = machine.events("rdtsc-fenced", size)
    return b"%d\n" % right, ns


def expected(size):
    return b"%d\n" % size
