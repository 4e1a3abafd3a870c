"""imap-ints: a lazy map of x * x over ints, one at a time, each result taken as soon as it is there"""
import time
from contextlib import contextmanager

size = 5000
check_size = 50
counted = 200
unit = operation = "result"
seconds = 0.4
needs = "lazy"
parallel = True
full_only = True
floor_is = "the built-in map"
targets = {"multiprocessing": 1}


def square(x):
    return x * x


@contextmanager
def ready(runtime, size, workers):
    def run():
        with runtime.lazy(workers) as imap:
            return b"%d\n" % sum(result == x * x for x, result in enumerate(imap(square, range(size))))

    yield run


def floor(size, workers):
    start = time.perf_counter_ns()
    right = sum(result == x * x for x, result in enumerate(map(square, range(size))))
    return b"%d\n" % right, time.perf_counter_ns() - start


def expected(size):
    return b"%d\n" % size
