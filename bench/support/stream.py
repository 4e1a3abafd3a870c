"""What the micro-benchmarks of one-way streams share: another process sends, the sample's own receives and checks.

Before the region there is a rehearsal over the same connection: some of the messages, every byte of them compared. After
it the other process runs and the pages are present, as in a stream that has been running for a while. In the region each
message is compared too. Small ones are compared whole, which takes less than a tenth of what they cost. Of large ones the
length and some bytes of every few pages are compared, because reading all of them costs as much as copying them.
"""
import os
import pickle
import time
from contextlib import contextmanager
from functools import lru_cache
from itertools import cycle, islice
from operator import eq

from bench.support import measuring_programs

unit = operation = "message"
needs = "stream"

REHEARSED = 0.1  # of the messages
FEWEST_REHEARSED = 2


class Garbled(Exception):
    """A message of the rehearsal is not what was sent."""


def expected(size):
    """How many messages of the region were right."""
    return b"%d\n" % size


def repeated(make):
    """Returns messages(count): those that make() returns, over and over. They are made once, at the first call."""
    made = lru_cache(maxsize=None)(make)
    return lambda count: islice(cycle(made()), count)


@contextmanager
def ready(runtime, size, messages, message_bytes=0, same=eq, glance=None):
    """messages(count): the messages, the same at each call; message_bytes: roughly, of one.

    same(received, sent) compares in full, glance(received, sent) quickly."""
    messages(0)  # made before the fork, where they are made at the first call
    rehearsal = max(FEWEST_REHEARSED, round(size * REHEARSED))
    go, start_signal = os.pipe()

    def produce(send):
        os.close(start_signal)  # so that it notices the end of the receiving process
        for count in (rehearsal, size):
            if not os.read(go, 1):
                return
            for message in messages(count):
                send(message)

    def consume(receive, count, like):
        os.write(start_signal, b"!")
        if like is eq:  # without a call, which would take as long as an int does
            return sum([receive() == message for message in messages(count)])
        return sum([like(receive(), message) for message in messages(count)])

    with runtime.stream(produce, message_bytes) as receive:
        try:
            right = consume(receive, rehearsal, same)
            if right != rehearsal:
                raise Garbled(f"{rehearsal - right} of {rehearsal} messages are not what was sent")
            yield lambda: b"%d\n" % consume(receive, size, glance or same)
        finally:  # before the runtime waits for the other process, which may wait for the signal
            os.close(start_signal)
    os.close(go)


def pickle_floor(size, messages):
    """pickle alone, there and back, in one process."""
    dumps, loads = pickle.dumps, pickle.loads
    start = time.perf_counter_ns()
    right = sum([loads(dumps(message, pickle.HIGHEST_PROTOCOL)) == message for message in messages(size)])
    return b"%d\n" % right, time.perf_counter_ns() - start


def copy_floor(size, message_bytes):
    """One copy of each message, in warm memory."""
    right, ns = measuring_programs.floor("memcpy", message_bytes, size)
    return b"%d\n" % right, ns
