"""What the micro-benchmarks of map share: one map over all of the arguments, its results checked after the region."""
import time
from contextlib import contextmanager

from bench.support.ready import mapper

CHUNKS_PER_WORKER = 4  # Pool.map's own choice


def even_chunks(count, workers):
    return max(1, -(-count // (CHUNKS_PER_WORKER * workers)))


def one(size):
    """How many operations a sample makes: one map."""
    return 1


@contextmanager
def ready(runtime, workers, f, args, chunksize):
    with mapper(runtime, workers, f.__module__) as run:
        yield lambda: run(lambda map: map(f, args, chunksize))


def floor(f, args):
    """The built-in map."""
    start = time.perf_counter_ns()
    results = list(map(f, args))
    return results, time.perf_counter_ns() - start


def count_right(results, right):
    """The output: how many results there are, and how many of them are right. right: an iterator."""
    return b"%d, %d right\n" % (len(results), sum(a == b for a, b in zip(results, right)))


def all_right(size):
    return b"%d, %d right\n" % (size, size)
