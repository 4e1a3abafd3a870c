"""map-ints: a map of x * x over ints, which takes less than to send them"""
from bench.support import mapping

size = 200_000
check_size = 2000
counted = 5000
unit = "ints"
operation = "map"
operations = mapping.one
seconds = 0.05
parallel = True
floor_is = "the built-in map"
also = ("snakefish-executor",)
targets = {"multiprocessing": 2.5, "multiprocessing-warm": 1}
expected = mapping.all_right


def square(x):
    return x * x


def ready(runtime, size, workers):
    return mapping.ready(runtime, workers, square, list(range(size)), mapping.even_chunks(size, workers))


def floor(size, workers):
    return mapping.floor(square, list(range(size)))


def output(results, size):
    return mapping.count_right(results, (x * x for x in range(size)))
