"""multiprocessing: a Pool made for the run, a Process with a Pipe; start method fork

The Pool ends as its documentation has it, by `with`, which terminates the workers: that takes some milliseconds less than
close() and join().
"""
import platform
from contextlib import contextmanager
from multiprocessing import get_context

version = platform.python_version()
fork = get_context("fork")


@contextmanager
def pool(workers):
    with fork.Pool(workers) as workers_pool:
        yield workers_pool.map


def _send_result(f, pipe):
    pipe.send(f())


def spawn_join(f):
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_send_result, args=(f, sender))
    process.start()
    sender.close()
    with receiver:
        result = receiver.recv()
    process.join()
    process.close()
    return result


def _send_back(pipe):
    while (message := pipe.recv()) is not None:
        pipe.send(message)


@contextmanager
def echo():
    here, there = fork.Pipe()
    process = fork.Process(target=_send_back, args=(there,))
    process.start()
    yield here.send, here.recv
    here.send(None)
    process.join()


@contextmanager
def stream(produce, message_bytes):
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=produce, args=(sender.send,))
    process.start()
    sender.close()
    with receiver:
        yield receiver.recv
        process.join()
