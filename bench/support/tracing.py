"""What trace-mark and trace-span share: many of them from Python, by turns with as many looks at Python's clock."""
import time
from contextlib import contextmanager
from itertools import repeat

TURN = 10_000
PAUSE_S = 0.02  # for the collector: what finds no room in the log would cost less


def times():
    return repeat(None, TURN)


def floor_ns():
    clock = time.perf_counter_ns
    time.sleep(PAUSE_S)
    for _ in times():  # the CPU is awake again, for both
        clock()
    start = clock()
    for _ in times():
        clock()
    return clock() - start


@contextmanager
def by_turns(runtime, size, write):
    """write(trace) writes TURN of them."""
    with runtime.tracing() as trace:
        yield lambda: write(trace) or TURN, floor_ns, size // TURN


def output(turns, size):
    return b"%d\n" % sum(turns)


def expected(size):
    return b"%d\n" % size
