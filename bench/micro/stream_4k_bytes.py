"""stream-4k-bytes: bytes objects of 4 KiB to another process, one way"""
from random import Random

from bench.support import stream
from bench.support.stream import expected, needs, operation, unit  # noqa: F401

size = 10_000
check_size = 200
seconds = 0.1
floor_is = "memcpy, warm"
targets = {"multiprocessing": 6}

BYTES = 4 << 10

messages = stream.repeated(lambda: [Random(i).randbytes(BYTES) for i in range(5)])


def ready(runtime, size, workers):
    return stream.ready(runtime, size, messages, BYTES)


def floor(size, workers):
    return stream.copy_floor(size, BYTES)
