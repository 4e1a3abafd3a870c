"""event-off: what an event costs where nothing is traced"""
from bench import machine

size = 10000000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
floor_is = "a bare rdtsc; a ninth of one is about 1 ns"
targets = {"floor": 1 / 9}


def timed(runtime, size, workers):
    right, ns = runtime.events("off", size)
    return b"%d\n" % right, ns, None


def floor(size, workers):
    right, ns = machine.events("rdtsc", size)
    return b"%d\n" % right, ns


def expected(size):
    return b"%d\n" % size
