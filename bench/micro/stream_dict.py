"""stream-dict: small dicts to another process, one way"""
from bench.support import stream
from bench.support.stream import expected, needs, operation, unit  # noqa: F401

size = 30_000
check_size = 500
seconds = 0.2
floor_is = "pickle, dumps and loads"
targets = {"multiprocessing": 4}

# Made once, because what making them costs is no runtime's. More than one, so that a lost or doubled message is noticed.
DICTS = [{"id": 1000 + i, "name": f"particle {i}", "mass": i / 7, "alive": i % 3 == 0} for i in range(17)]

messages = stream.repeated(lambda: DICTS)


def ready(runtime, size, workers):
    return stream.ready(runtime, size, messages)


def floor(size, workers):
    return stream.pickle_floor(size, messages)
