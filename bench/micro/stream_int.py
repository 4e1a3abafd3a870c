"""stream-int: ints to another process, one way"""
from bench.support import stream

size = 100_000
check_size = 500
unit = operation = "message"
seconds = 0.3
needs = "stream"
floor_is = "pickle, dumps and loads"
targets = {"multiprocessing": 6}
messages = range
expected = stream.expected


def ready(runtime, size, workers):
    return stream.ready(runtime, size, messages)


def floor(size, workers):
    return stream.pickle_floor(size, messages)
