"""stream-4k-bytes: bytes objects of 4 KiB to another process, one way"""
from functools import lru_cache
from itertools import cycle, islice
from random import Random

from bench.support import stream

size = 10_000
check_size = 200
unit = operation = "message"
seconds = 0.1
needs = "stream"
floor_is = "memcpy, warm"
targets = {"multiprocessing": 6}
expected = stream.expected

BYTES = 4 << 10


@lru_cache(maxsize=None)
def pages():
    return [Random(i).randbytes(BYTES) for i in range(5)]


def messages(count):
    return islice(cycle(pages()), count)


def ready(runtime, size, workers):
    pages()
    return stream.ready(runtime, size, messages, BYTES)


def floor(size, workers):
    return stream.copy_floor(size, BYTES)
