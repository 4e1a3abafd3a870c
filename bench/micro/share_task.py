"""share-task: a task of a worker that is there, which adds 1 to a shared counter, 1000 times"""
from contextlib import contextmanager

from bench.micro.share_increments import STEPS, expected, output  # noqa: F401

size = 100
check_size = 2
unit = operation = "task that counts to 1000"
seconds = 0.2
needs = "counting_tasks"
targets = {"multiprocessing-manager": 20}


@contextmanager
def ready(runtime, size, workers):
    with runtime.counting_tasks() as run:
        yield lambda: [run(STEPS) for _ in range(size)][-1]
