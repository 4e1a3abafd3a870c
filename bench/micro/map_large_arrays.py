"""map-large-arrays: a map whose results are numpy arrays of 16 MiB each, which the parent reads once"""
import mmap
import os
import time
from contextlib import contextmanager

from bench.support import mapping

size = 4
check_size = 4
unit = "arrays of 16 MiB"
operation = "map"
seconds = 0.3
traced = False
parallel = True
packages = {"numpy": "python3-numpy"}
floor_is = "memory that is shared by hand"
targets = {"floor": 1 / 1.3, "multiprocessing": 2}

NUMBERS = 2 << 20
ITEM = 8  # bytes of a float64
PAGE = 4096
ROUNDS = 2


def operations(size):
    return ROUNDS


def large(i):
    import numpy

    return numpy.full(NUMBERS, i, dtype=float)


def read(arrays):
    """A number of each page: what is only mapped costs something when it is read."""
    for array in arrays:
        array[:: PAGE // ITEM].sum()
    return arrays


def write_by_hand(memory, worker, workers):
    import numpy

    for i in range(worker, len(memory), workers):
        numpy.frombuffer(memory[i], dtype=float)[:] = i


def floor_ns(size, workers):
    """Each result has memory that was shared before the workers are forked. They compute into it, and the parent reads it."""
    import numpy

    start = time.perf_counter_ns()
    memory = [mmap.mmap(-1, NUMBERS * ITEM) for _ in range(size)]
    pids = []
    for worker in range(workers):
        pid = os.fork()
        if pid == 0:
            try:
                write_by_hand(memory, worker, workers)
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    arrays = read([numpy.frombuffer(shared, dtype=float) for shared in memory])
    ns = time.perf_counter_ns() - start
    if any(statuses) or count_right(arrays) != size:
        raise ValueError(f"the floor's processes ended with status {statuses}, {count_right(arrays)} of {size} arrays are right")
    return ns


@contextmanager
def by_turns(runtime, size, workers):
    with mapping.ready(runtime, workers, large, list(range(size)), 1) as run:
        yield lambda: read(run()), lambda: floor_ns(size, workers), ROUNDS


def count_right(arrays):
    return sum(array.shape == (NUMBERS,) and bool((array == i).all()) for i, array in enumerate(arrays))


def output(results, size):
    return b"".join(b"%d, %d right\n" % (len(arrays), count_right(arrays)) for arrays in results)


def expected(size):
    return mapping.all_right(size) * ROUNDS
