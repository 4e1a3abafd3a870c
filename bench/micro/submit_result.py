"""submit-result: a task of nothing for an executor that is there: submit it, and wait for its result"""
from contextlib import contextmanager

from bench.support.byte_echo import echo_bytes

size = 2000
check_size = 20
counted = 100
unit = operation = "submit and result"
seconds = 0.4
needs = "submit"
floor_is = "a byte to another process and back, by pipes"
targets = {"concurrent-futures": 4}


def same(x):
    return x


@contextmanager
def ready(runtime, size, workers):
    with runtime.submit(workers) as submit:
        submit(same, 0).result()  # its worker is there

        def run():
            return b"%d\n" % sum(submit(same, i).result() == i for i in range(size))

        yield run


def floor(size, workers):
    right, ns = echo_bytes(size)
    return b"%d\n" % right, ns


def expected(size):
    return b"%d\n" % size
