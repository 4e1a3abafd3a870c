"""stream-1m-bytes: bytes objects of 1 MiB to another process, one way"""
from functools import lru_cache
from itertools import cycle, islice
from random import Random

from bench.support import stream

size = 100
check_size = 10
unit = operation = "message"
seconds = 0.2
needs = "stream"
floor_is = "memcpy, warm"
targets = {"multiprocessing": 12}
expected = stream.expected

BYTES = 1 << 20
STRIDE = 3 * 4096 + 1  # a byte of every third page


@lru_cache(maxsize=None)
def blocks():
    return [Random(i).randbytes(BYTES) for i in range(3)]


def messages(count):
    return islice(cycle(blocks()), count)


def glance(received, sent):
    return len(received) == BYTES and received[::STRIDE] == sent[::STRIDE]


def ready(runtime, size, workers):
    blocks()
    return stream.ready(runtime, size, messages, BYTES, glance=glance)


def floor(size, workers):
    return stream.copy_floor(size, BYTES)
