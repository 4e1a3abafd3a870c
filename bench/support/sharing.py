"""What the micro-benchmarks of shared globals have in common: a new process changes keys of a table, and when it has ended
the program has them.

The table is a dict of so many ints, none of them one of the small ones that Python keeps. What each process has changed is
told from what the others have, so the check at the end misses none of them, but those that a later one overwrites.
"""
import time
from contextlib import contextmanager
from functools import partial

from bench.support.bare_fork import fork_wait

needs = "changing"
operation = "process from start to join"
unit = "keys"
sizes = (1000, 100_000, 1_000_000)
size, check_size = sizes[-1], sizes[0]
floor_is = "os.fork, and memcmp of as many entries"

ENTRY_BYTES = 24  # of a dict of CPython: hash, key and value


def table_of(size):
    return {key: size + key for key in range(size)}


def change(keys, size, round, table):
    """Runs in the new process. Returns what it has changed."""
    changed = {key: 2 * size + key + round for key in keys(size, round)}
    if changed:
        table.update(changed)
    return changed


def nothing(size, round):
    return ()


def rounds_of(rounds, keys, rehearsed=True, before=lambda table: None):
    """(operations, ready, floor) of a micro-benchmark of so many processes, one after the other. keys(size, round): those that
    a process changes. rehearsed: a process that changes nothing has come before; else one that has another table.
    before(table): what the program has to do before each fork, for the floor."""
    @contextmanager
    def ready(runtime, size, workers):
        counted = []
        if not rehearsed:
            with runtime.changing(partial(table_of, check_size)) as (run, _):  # imports what it needs
                run(partial(change, nothing, check_size, 0))
        with runtime.changing(partial(table_of, size)) as (run, contents):
            if rehearsed:
                run(partial(change, nothing, size, 0))

            def all_rounds():
                for round in range(rounds):
                    run(partial(change, keys, size, round))
                return counted

            yield all_rounds
            counted.append(count_right(contents(), size))

    def count_right(found, size):
        right = table_of(size)
        for round in range(rounds):
            change(keys, size, round, right)
        return sum(found.get(key) == value for key, value in right.items())

    def floor(size, workers):
        table, shadow, now = table_of(size), b"x" * ENTRY_BYTES * size, b"x" * ENTRY_BYTES * size

        def child(round):
            change(keys, size, round, table)
            if shadow != now:  # no assert, which -O leaves out
                raise ValueError

        kept = []
        start = time.perf_counter_ns()
        statuses = []
        for round in range(rounds):
            kept.append(before(table))
            statuses.append(fork_wait(partial(child, round)))
        ns = time.perf_counter_ns() - start
        if any(status is not None for status in statuses):
            raise ValueError(f"the floor's processes ended with the statuses {statuses}")
        return [size], ns

    return lambda size: rounds, ready, floor


def output(counted, size):
    return b"%d right\n" % counted[0]


def expected(size):
    return b"%d right\n" % size
