"""trace-span: trace.span from Python, traced: both ends of a block"""
import time
from contextlib import contextmanager
from itertools import repeat

size = 200_000
check_size = 10_000
unit = operation = "span"
seconds = 0.1
needs = "tracing"
floor_is = "time.perf_counter_ns()"
targets = {"floor": 2.0}

TURN = 10_000
PAUSE_S = 0.02  # for the collector: what finds no room in the log would cost less


def times():
    return repeat(None, TURN)


def write(span):
    for _ in times():
        with span("here"):
            pass
    return TURN


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
def by_turns(runtime, size, workers):
    with runtime.tracing() as trace:
        yield lambda: write(trace.span), floor_ns, size // TURN


def output(turns, size):
    return b"%d\n" % sum(turns)


def expected(size):
    return b"%d\n" % size
