"""spawn-join: a process for an empty function: start, result, end"""
import os
import time
from contextlib import contextmanager

size = 120
check_size = 5
unit = operation = "spawn, result and join"
seconds = 0.2
needs = "spawn_join"
floor_is = "os.fork and os.waitpid"
targets = {"floor": 1 / 1.10}


def empty():
    return None


def fork_wait(f):
    """What the kernel alone needs. Returns None where f returned, else the exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            f()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return None if status == 0 else status


def floor_ns():
    start = time.perf_counter_ns()
    status = fork_wait(empty)
    ns = time.perf_counter_ns() - start
    if status is not None:
        raise ValueError(f"the floor's process ended with status {status}")
    return ns


@contextmanager
def by_turns(runtime, size, workers):
    yield lambda: runtime.spawn_join(empty), floor_ns, size


def output(results, size):
    return b"%d\n" % results.count(None)


def expected(size):
    return b"%d\n" % size
