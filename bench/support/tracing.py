"""What trace-mark and trace-span share: many of them from Python, by turns with as many readings of Python's clock."""
import time
from contextlib import contextmanager
from itertools import repeat

TURN = 10_000
PAUSE_S = 0.02  # for the collector: a record that finds no room in the log would cost less

size = 200_000
check_size = TURN
seconds = 0.7
needs = "tracing"
floor_is = "time.perf_counter_ns()"


def times():
    return repeat(None, TURN)


def floor_ns():
    clock = time.perf_counter_ns
    time.sleep(PAUSE_S)
    for _ in times():  # so that the CPU is awake again, for both
        clock()
    start = clock()
    for _ in times():
        clock()
    return clock() - start


def by_turns(write):
    """The `by_turns` of a micro-benchmark. write(trace) writes TURN records."""
    @contextmanager
    def turns(runtime, size, workers):
        with runtime.tracing() as trace:
            yield lambda: write(trace) or TURN, floor_ns, size // TURN

    return turns


def output(turns, size):
    return b"%d\n" % sum(turns)


def expected(size):
    return b"%d\n" % size
