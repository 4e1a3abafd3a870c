"""map-large-results: a map whose results are of 1 MiB each"""
from bench.support import mapping

size = 200
check_size = 8
unit = "results of 1 MiB"
operation = "map"
operations = mapping.one
seconds = 0.4
traced = False
parallel = True
floor_is = "the built-in map"
targets = {"multiprocessing": 4}
expected = mapping.all_right

BYTES = 1 << 20


def large(i):
    return bytes([i % 251]) * BYTES  # 251: a prime, so that no chunk is like another


def ready(runtime, size, workers):
    return mapping.ready(runtime, workers, large, list(range(size)), mapping.even_chunks(size, workers))


def floor(size, workers):
    return mapping.floor(large, list(range(size)))


def output(results, size):
    return mapping.count_right(results, map(large, range(size)))
