"""instrumented-map: tasks of a multiprocessing Pool's map, one int each, instrumented and traced"""
from contextlib import contextmanager

from bench.support import forking, instrumented

TURN = 500
size = 8 * TURN
check_size = TURN
unit = operation = "task"
seconds = 0.6
full_only = True
parallel = True
needs = "tracing"
floor_is = "the same, neither instrumented nor traced"
targets = {}  # its cost is shown; there is no target
output = instrumented.output
expected = instrumented.expected


def square(x):
    return x * x


def by_turns(runtime, size, workers):
    @contextmanager
    def maps():
        with forking.pool(workers) as map:
            yield lambda: sum(y == x * x for x, y in enumerate(map(square, range(TURN), 1)))

    return instrumented.by_turns(runtime, maps, size // TURN)
