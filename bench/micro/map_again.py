"""map-again: 20 maps of 100 tasks each, one after the other: what a map costs besides its tasks"""
import time
from contextlib import contextmanager

from bench.support.ready import mapper

size = 20
check_size = 2
counted = 10
unit = operation = "map of 100 tasks"
seconds = 0.1
parallel = True
floor_is = "the built-in map"
also = ("snakefish-executor",)
targets = {"multiprocessing-warm": 1}

TASKS = 100


def square(x):
    return x * x


@contextmanager
def ready(runtime, size, workers):
    with mapper(runtime, workers, __name__) as run:

        def again():
            right = [x * x for x in range(TASKS)]
            chunk = -(-TASKS // (4 * workers))
            return b"%d\n" % sum(run(lambda map: map(square, list(range(TASKS)), chunk)) == right for _ in range(size))

        yield again


def floor(size, workers):
    right = [x * x for x in range(TASKS)]
    start = time.perf_counter_ns()
    count = sum(list(map(square, range(TASKS))) == right for _ in range(size))
    return b"%d\n" % count, time.perf_counter_ns() - start


def expected(size):
    return b"%d\n" % size
