"""multiprocessing's Pool and Pipe with start method fork: the runtime `multiprocessing`, and what is instrumented of it.

A Pool ends as its documentation has it, by `with`, which terminates the workers: that takes some milliseconds less than
close() and join().
"""
from contextlib import contextmanager
from multiprocessing import get_context

fork = get_context("fork")


@contextmanager
def pool(workers):
    with fork.Pool(workers) as workers_pool:
        yield workers_pool.map


def _send_back(pipe):
    while (message := pipe.recv()) is not None:
        pipe.send(message)


@contextmanager
def echo():
    """A process that sends back what it gets; yields (send, receive)."""
    here, there = fork.Pipe()
    process = fork.Process(target=_send_back, args=(there,))
    process.start()
    yield here.send, here.recv
    here.send(None)
    process.join()
