"""What the micro-benchmarks of events share: bench-events (bench/floor/events.c) writes them, and takes the time."""
from bench.support import measuring_programs


def timed(what):
    """For `timed` of a micro-benchmark: that kind of event, by the runtime."""
    def measure(runtime, size, workers):
        right, ns = runtime.events(what, size, workers)
        return b"%d\n" % right, ns, None

    return measure


def floor(what):
    """For its `floor`."""
    def measure(size, workers):
        right, ns = measuring_programs.events(what, size, workers)
        return b"%d\n" % right, ns

    return measure


def expected(size):
    return b"%d\n" % size
