"""stream-int: ints to another process, one way"""
from bench.support import stream
from bench.support.stream import expected, needs, operation, unit  # noqa: F401

size = 100_000
check_size = 500
counted = 1000
seconds = 0.3
floor_is = "pickle, dumps and loads"
targets = {"multiprocessing": 6}
messages = range


def ready(runtime, size, workers):
    return stream.ready(runtime, size, messages)


def floor(size, workers):
    return stream.pickle_floor(size, messages)
