"""multiprocessing: a Pool made for the run, a Process with a Pipe; start method fork"""
import platform
from contextlib import contextmanager

from bench.support.forking import echo, fork, pool  # noqa: F401

version = platform.python_version()
own_chunks = True
instrument = "multiprocessing"


@contextmanager
def lazy(workers):
    with fork.Pool(workers) as workers_pool:
        yield workers_pool.imap


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


@contextmanager
def stream(produce, message_bytes):
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=produce, args=(sender.send,))
    process.start()
    sender.close()
    with receiver:
        yield receiver.recv
        process.join()
