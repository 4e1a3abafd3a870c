"""task-size: a map over 200 tasks of so many steps each, in several sizes: from which size on is a runtime worth it?

`bench show --all` says at which size each runtime's time falls below the sequential loop's.
"""
from bench.support import mapping
from bench.micro.map_skewed import at_once, step_by_step

sweep = (10, 30, 100, 300, 1000, 3000, 10_000)
size = 10_000
check_size = 10
unit = "steps a task"
operation = "map"
operations = mapping.one
seconds = 0.1
parallel = True

TASKS = 200


def tasks(size):
    return [(i, size) for i in range(TASKS)]


def ready(runtime, size, workers):
    return mapping.ready(runtime, workers, step_by_step, tasks(size), mapping.even_chunks(TASKS, workers))


def output(results, size):
    return mapping.count_right(results, map(at_once, tasks(size)))


def expected(size):
    return mapping.all_right(TASKS)
