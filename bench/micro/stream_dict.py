"""stream-dict: small dicts to another process, one way"""
from itertools import cycle, islice

from bench.support import stream

size = 30_000
check_size = 500
unit = operation = "message"
seconds = 0.2
needs = "stream"
floor_is = "pickle, dumps and loads"
targets = {"multiprocessing": 4}
expected = stream.expected

# Made once: what making them costs is no runtime's. More than one, so that a message lost or doubled is seen.
DICTS = [{"id": 1000 + i, "name": f"particle {i}", "mass": i / 7, "alive": i % 3 == 0} for i in range(17)]


def messages(count):
    return islice(cycle(DICTS), count)


def ready(runtime, size, workers):
    return stream.ready(runtime, size, messages)


def floor(size, workers):
    return stream.pickle_floor(size, messages)
