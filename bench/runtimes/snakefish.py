"""snakefish: map forks its workers for each call, Thread, Channel"""
from contextlib import contextmanager
from functools import partial

import snakefish

version = getattr(snakefish, "__version__", None)
CHANNEL_BYTES = 1 << 20


@contextmanager
def pool(workers):
    def map(f, args, chunksize):
        return snakefish.map(f, args, concurrency=workers, chunksize=chunksize)

    yield map


maps = pool  # there is nothing to make before a map


def spawn_join(f):
    with snakefish.Thread(f) as thread:
        thread.start()
        thread.join()
        return thread.get_result()


@contextmanager
def echo():
    with snakefish.Channel(CHANNEL_BYTES) as there, snakefish.Channel(CHANNEL_BYTES) as back:

        def send_back():
            while (message := there.receive_pyobj()) is not None:
                back.send_pyobj(message)

        with snakefish.Thread(send_back) as thread:
            thread.start()
            yield there.send_pyobj, back.receive_pyobj
            there.send_pyobj(None)
            thread.join()


@contextmanager
def stream(produce, message_bytes):
    with snakefish.Channel(CHANNEL_BYTES + 2 * message_bytes) as channel:
        with snakefish.Thread(produce, args=(partial(channel.send_pyobj, block=True),)) as thread:
            thread.start()
            yield channel.receive_pyobj
            thread.join()
