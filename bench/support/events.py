"""What the micro-benchmarks of events share: bench-events (bench/floor/events.c) writes the events and measures the time."""
from bench.support import measuring_programs

check_size = 1000
unit = operation = "event"
seconds = 0.1
needs = "events"


def timed(what):
    """The `timed` of a micro-benchmark: that kind of event, as the runtime writes it."""
    def measure(runtime, size, workers):
        right, ns = runtime.events(what, size, workers)
        return b"%d\n" % right, ns, None

    return measure


def floor(what):
    """The `floor` of a micro-benchmark."""
    def measure(size, workers):
        right, ns = measuring_programs.events(what, size, workers)
        return b"%d\n" % right, ns

    return measure


def expected(size):
    return b"%d\n" % size
