"""share-increments: a process that adds 1 to a shared counter, 1000 times"""
import time
from contextlib import contextmanager

from bench.support.bare_fork import fork_wait

size = 20
check_size = 2
unit = operation = "process that counts to 1000"
seconds = 0.3
needs = "counting"
floor_is = "os.fork and os.waitpid, and the loop"
targets = {}  # its floor alone is hardly 20 times as fast as a Manager; share-task has a target

STEPS = 1000


@contextmanager
def ready(runtime, size, workers):
    with runtime.counting() as run:

        def all_processes():
            for _ in range(size):
                counter = run(STEPS)
            return counter

        yield all_processes


def loop():
    counter = 0
    for _ in range(STEPS):
        counter += 1
    if counter != STEPS:
        raise ValueError(counter)


def floor(size, workers):
    start = time.perf_counter_ns()
    statuses = [fork_wait(loop) for _ in range(size)]
    return statuses.count(None) * STEPS, time.perf_counter_ns() - start


def output(counter, size):
    return b"%d\n" % counter


def expected(size):
    return b"%d\n" % (size * STEPS)
