"""share-task: a task of a worker that is there, which adds 1 to a shared counter, 1000 times"""
from contextlib import contextmanager

from bench.micro.share_increments import STEPS, expected, loop, output  # noqa: F401
from bench.support.byte_echo import echo_bytes

size = 25
check_size = 2
unit = operation = "task that counts to 1000"
seconds = 0.05
full_only = True
needs = "counting_tasks"
floor_is = "a byte to another process and back, by pipes, and the loop there"
targets = {"multiprocessing-manager": 20}


@contextmanager
def ready(runtime, size, workers):
    with runtime.counting_tasks() as run:
        yield lambda: [run(STEPS) for _ in range(size)][-1]


def floor(size, workers):
    right, ns = echo_bytes(size, loop)
    return right * STEPS, ns
