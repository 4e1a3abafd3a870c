"""spawn-join: a process for an empty function: start, result, end. In blocks of 50 by turns with the floor

Of two operations that take turns one by one, each pays the page faults that the fork of the other one has left in this
process. In a block each pays its own.
"""
import time
from contextlib import contextmanager

from bench.support.bare_fork import fork_wait

size = 50
check_size = 5
counted = 10
unit = operation = "spawn, result and join"
seconds = 0.1
needs = "spawn_join"
floor_is = "os.fork and os.waitpid"
targets = {"floor": 1 / 1.10}

BLOCK = 50


def empty():
    return None


def floor_ns(count=1):
    """How long so many take, one after the other."""
    start = time.perf_counter_ns()
    statuses = [fork_wait(empty) for _ in range(count)]
    ns = time.perf_counter_ns() - start
    if any(status is not None for status in statuses):
        raise ValueError(f"the floor's processes ended with the statuses {statuses}")
    return ns


@contextmanager
def by_turns(runtime, size, workers):
    block = min(BLOCK, size)
    yield lambda: [runtime.spawn_join(empty) for _ in range(block)], lambda: floor_ns(block), size // block


def output(results, size):
    return b"%d\n" % sum(block.count(None) for block in results)


def expected(size):
    return b"%d\n" % operations(size)


def operations(size):
    """Whole blocks."""
    return size - size % min(BLOCK, size)
