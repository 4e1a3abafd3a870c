"""stream-64m-array: numpy arrays of 64 MiB of float64 to another process, one way"""
from bench.support import stream
from bench.support.stream import expected, needs, operation, unit  # noqa: F401

size = 2
check_size = 2
seconds = 0.6
full_only = True
packages = {"numpy": "python3-numpy"}
floor_is = "memcpy, warm"
targets = {"multiprocessing": 6}

NUMBERS = 8 << 20
BYTES = 8 * NUMBERS
STRIDE = 16 * 512 + 1  # a number of every sixteenth page


def arrays():
    import numpy

    first = numpy.arange(NUMBERS, dtype=numpy.float64)
    return [first, first[::-1].copy()]


messages = stream.repeated(arrays)


def same(received, sent):
    return received.dtype == sent.dtype and received.shape == sent.shape and bool((received == sent).all())


def glance(received, sent):
    return received.shape == sent.shape and same(received[::STRIDE], sent[::STRIDE])


def ready(runtime, size, workers):
    return stream.ready(runtime, size, messages, BYTES, same, glance)


def floor(size, workers):
    return stream.copy_floor(size, BYTES)
