"""share-walk: a copy of a shared table of ints, and a comparison with it: what share= adds to a process, in one process alone"""
import time
from contextlib import contextmanager
from functools import partial
from operator import is_

from bench.support import sharing
from bench.support.sharing import table_of

size, check_size, sizes, unit = sharing.size, sharing.check_size, sharing.sizes, sharing.unit
operation = "copy and comparison"
seconds = 1.5
needs = "comparing"
floor_is = "dict(), and a comparison by identity in Python"
full_only = True
targets = {}  # its cost is shown; share-one has a target

ROUNDS = 5


def operations(size):
    return ROUNDS


@contextmanager
def by_turns(runtime, size, workers):
    table = table_of(size)

    def floor_ns():
        start = time.perf_counter_ns()
        same = all(map(is_, dict(table).values(), table.values()))
        ns = time.perf_counter_ns() - start
        if not same:
            raise ValueError("a copy of the table differs from it")
        return ns

    with runtime.comparing(partial(table_of, size)) as run:
        run()  # imports what it needs
        yield run, floor_ns, ROUNDS


def output(found, size):
    return b"%d changes in %d comparisons\n" % (sum(map(len, found)), len(found))


def expected(size):
    return b"0 changes in %d comparisons\n" % ROUNDS
