"""multiprocessing-simplequeue: multiprocessing's SimpleQueue, a Pipe with locks; start method fork"""
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, version  # noqa: F401


@contextmanager
def stream(produce, message_bytes):
    queue = fork.SimpleQueue()
    process = fork.Process(target=produce, args=(queue.put,))
    process.start()
    yield queue.get
    process.join()
