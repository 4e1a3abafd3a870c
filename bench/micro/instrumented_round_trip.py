"""instrumented-round-trip: an int through multiprocessing's Pipe and back, instrumented and traced

Both ends are on one CPU, so that the time is what they compute, and not how long the kernel takes to wake another CPU.
"""
import os
from contextlib import contextmanager

from bench.support import forking, instrumented

TURN = 500
size = 8 * TURN
check_size = TURN
unit = operation = "round trip"
seconds = 0.6
full_only = True
needs = "tracing"
floor_is = "the same, neither instrumented nor traced"
targets = {}  # its cost is shown; there is no target
output = instrumented.output
expected = instrumented.expected


@contextmanager
def round_trips():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with forking.echo() as (send, receive):

        def turn():
            right = 0
            for i in range(TURN):
                send(i)
                right += receive() == i
            return right

        yield turn


def by_turns(runtime, size, workers):
    return instrumented.by_turns(runtime, round_trips, size // TURN)
