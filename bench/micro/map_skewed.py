"""map-skewed: a map over tasks of very different lengths, 5 at a time"""
import random

from bench import mapping
from bench.micro import spawn_join

size = 400
check_size = 20
unit = "tasks"
operation = "map"
operations = mapping.one
seconds = 0.3
parallel = True
floor_is = "sequential / workers + a fork"
targets = {"floor": 1.05}
expected = mapping.all_right

CHUNKSIZE = 5
SEED = 1
MEAN_STEPS = 25_000  # some 1.2 ms
A, C, M = 1103515245, 12345, 1 << 31
SPAWNS = 20


def tasks(size):
    """(start, steps): most of the tasks are short, a tenth of them makes half of the work."""
    draw = random.Random(SEED)
    lengths = [draw.paretovariate(1.8) for _ in range(size)]
    scale = MEAN_STEPS * size / sum(lengths)
    return [(i, int(scale * length)) for i, length in enumerate(lengths)]


def step_by_step(task):
    """Work that only a CPU's time gets done: so many steps of a linear congruential generator."""
    x, steps = task
    for _ in range(steps):
        x = (A * x + C) % M
    return x


def at_once(task):
    """The same result in a logarithm of the steps: the map x -> A x + C, composed with itself by squaring."""
    x, steps = task
    a, c = A, C
    while steps:
        if steps & 1:
            x = (a * x + c) % M
        a, c = a * a % M, (a * c + c) % M
        steps >>= 1
    return x


def ready(runtime, size, workers):
    return mapping.ready(runtime, workers, step_by_step, tasks(size), CHUNKSIZE)


def floor(size, workers):
    results, ns = mapping.floor(step_by_step, tasks(size))
    _, spawns_ns = spawn_join.floor(SPAWNS, 1)
    return results, ns // workers + spawns_ns // SPAWNS


def output(results, size):
    return mapping.count_right(results, map(at_once, tasks(size)))
