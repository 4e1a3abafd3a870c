"""spawn-join: a process for an empty function: start, result, end"""
import os
import time
from contextlib import contextmanager

size = 200
check_size = 5
unit = operation = "spawn, result and join"
seconds = 0.2
needs = "spawn_join"
floor_is = "os.fork and os.waitpid"
targets = {"floor": 1.10}


def empty():
    return None


def spawn(spawn_join, size):
    returned = 0
    for _ in range(size):
        returned += spawn_join(empty) is None
    return b"%d\n" % returned


@contextmanager
def ready(runtime, size, workers):
    yield lambda: spawn(runtime.spawn_join, size)


def fork_wait(f):
    """What the kernel alone needs. The result is the exit status, which says only that f returned."""
    pid = os.fork()
    if pid == 0:
        try:
            f()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return None if status == 0 else status


def floor(size, workers):
    start = time.perf_counter_ns()
    output = spawn(fork_wait, size)
    return output, time.perf_counter_ns() - start


def expected(size):
    return b"%d\n" % size
