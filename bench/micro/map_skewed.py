"""map-skewed: a map over tasks of very different lengths, 5 at a time"""
import random
import time
from contextlib import contextmanager

from bench.micro import spawn_join
from bench.support import mapping
from bench.support.congruential import state_after

size = 400
check_size = 20
unit = "tasks"
operation = "map"
seconds = 0.7
full_only = True
parallel = True
floor_is = "sequential / workers + a fork"
targets = {"floor": 1 / 1.05}

CHUNKSIZE = 5
SEED = 1
MEAN_STEPS = 12_500  # about 0.6 ms
A, C, M = 1103515245, 12345, 1 << 31
SPAWNS = 20


def tasks(size):
    """(start, steps): most tasks are short; a tenth of them makes half of the work."""
    draw = random.Random(SEED)
    lengths = [draw.paretovariate(1.8) for _ in range(size)]
    scale = MEAN_STEPS * size / sum(lengths)
    return [(i, int(scale * length)) for i, length in enumerate(lengths)]


def step_by_step(task):
    """So many steps of a linear congruential generator, one by one: work that takes CPU time and nothing else."""
    x, steps = task
    for _ in range(steps):
        x = (A * x + C) % M
    return x


def at_once(task):
    """The same result, without doing the work."""
    x, steps = task
    return state_after(steps, x, A, C, M)


def operations(size):
    return 1


def floor_ns(work, workers):
    """The time of the tasks in a loop, divided by the workers, and of forking and waiting for one process."""
    start = time.perf_counter_ns()
    for task in work:
        step_by_step(task)
    ns = time.perf_counter_ns() - start
    return ns // workers + sum(spawn_join.floor_ns() for _ in range(SPAWNS)) // SPAWNS


@contextmanager
def by_turns(runtime, size, workers):
    work = tasks(size)
    with mapping.ready(runtime, workers, step_by_step, work, CHUNKSIZE) as run:
        yield run, lambda: floor_ns(work, workers), 1


def output(results, size):
    return mapping.count_right(results[0], list(map(at_once, tasks(size))))


def expected(size):
    return mapping.all_right(size)
