"""map-growing: a map over tasks each of which is longer than the one before, in each runtime's own chunks"""
from contextlib import contextmanager

from bench.micro import map_skewed
from bench.support import mapping

size = 500
check_size = 20
unit = "tasks"
operation = "map"
operations = mapping.one
seconds = 0.7
full_only = True
parallel = True
own_chunks = True
floor_is = map_skewed.floor_is
targets = {"floor": 1 / 1.05, "multiprocessing": 1 / 0.85}

STEPS = 200


def tasks(size):
    """(start, steps): the last eighth of the tasks makes about a quarter of the work."""
    return [(i, STEPS * i) for i in range(size)]


@contextmanager
def by_turns(runtime, size, workers):
    work = tasks(size)
    with mapping.ready(runtime, workers, map_skewed.step_by_step, work, None) as run:
        yield run, lambda: map_skewed.floor_ns(work, workers), 1


def output(results, size):
    return mapping.count_right(results[0], map(map_skewed.at_once, tasks(size)))


def expected(size):
    return mapping.all_right(size)
