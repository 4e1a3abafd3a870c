"""many-tasks: a map over 10,000 tasks handed out one by one, in several sizes: from which size on is an engine worth its cost?

Engines that reach past one machine (Dask, MPI) need more for a task than processes of one machine do. `bench show` says at
which size of the tasks each runtime's time falls below the sequential loop's.
"""
from bench.support import mapping
from bench.micro.map_skewed import at_once, step_by_step

sweep = (100, 1000, 8000, 40_000)
size = 8000
check_size = 10
unit = "steps a task"
operation = "map"
operations = mapping.one
seconds = 39
parallel = True
full_only = True

TASKS, CHECKED_TASKS = 10_000, 100


def tasks(size):
    return [(i, size) for i in range(CHECKED_TASKS if size == check_size else TASKS)]


def ready(runtime, size, workers):
    return mapping.ready(runtime, workers, step_by_step, tasks(size), 1)


def output(results, size):
    return mapping.count_right(results, map(at_once, tasks(size)))


def expected(size):
    return mapping.all_right(len(tasks(size)))
