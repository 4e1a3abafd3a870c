"""event-all-cpus: events from a process on each CPU at once; CPU time of one of them"""
from bench import machine

size = 1000000
check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"
parallel = True
floor_is = "a bare rdtsc on each CPU"
targets = {"floor": 1.3}


def timed(runtime, size, workers):
    right, ns = runtime.events("event", size, workers)
    return b"%d\n" % right, ns, None


def floor(size, workers):
    right, ns = machine.events("rdtsc", size, workers)
    return b"%d\n" % right, ns


def expected(size):
    return b"%d\n" % size
