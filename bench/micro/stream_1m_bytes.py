"""stream-1m-bytes: bytes objects of 1 MiB to another process, one way"""
from random import Random

from bench.support import stream
from bench.support.stream import expected, needs, operation, unit  # noqa: F401

size = 100
check_size = 10
seconds = 0.2
floor_is = "memcpy, warm"
targets = {"multiprocessing": 12}

BYTES = 1 << 20
STRIDE = 3 * 4096 + 1  # a byte of every third page

messages = stream.repeated(lambda: [Random(i).randbytes(BYTES) for i in range(3)])


def glance(received, sent):
    return len(received) == BYTES and received[::STRIDE] == sent[::STRIDE]


def ready(runtime, size, workers):
    return stream.ready(runtime, size, messages, BYTES, glance=glance)


def floor(size, workers):
    return stream.copy_floor(size, BYTES)
