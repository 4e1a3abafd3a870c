"""channel-round-trip: an int to another process and back, one at a time"""
from contextlib import contextmanager

from bench.support import measuring_programs

size = 5000
check_size = 50
counted = 500
unit = operation = "round trip"
seconds = 0.3
needs = "echo"
floor_is = "two processes spinning"
targets = {"multiprocessing": 12}


@contextmanager
def ready(runtime, size, workers):
    with runtime.echo() as (send, receive):
        send(-1)  # the other process is up when its first answer is here
        receive()

        def run():
            right = 0
            for i in range(size):
                send(i)
                right += receive() == i
            return b"%d\n" % right

        yield run


def floor(size, workers):
    right, ns = measuring_programs.floor("spin", size)
    return b"%d\n" % right, ns


def expected(size):
    return b"%d\n" % size
