"""multiprocessing-shared-memory: a numpy array in a SharedMemory as the table, a Value with its lock; start method fork"""
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory

from bench.runtimes import package
from bench.runtimes.multiprocessing import fork, version  # noqa: F401
from bench.runtimes.multiprocessing_manager import counted, in_process

numpy = package("numpy", debian="python3-numpy")
ITEM = 8  # bytes of an int64


class Table:
    """Ints by the keys from 0 on: what an array can be of a dict."""

    def __init__(self, array):
        self.array = array

    def update(self, changed):
        keys, values = (numpy.fromiter(of, numpy.int64, len(changed)) for of in (changed, changed.values()))
        self.array[keys] = values

    def copy(self):
        return dict(enumerate(self.array.tolist()))


def add(counter, steps):
    for _ in range(steps):
        with counter.get_lock():
            counter.value += 1


@contextmanager
def changing(make):
    values = list(make().values())
    memory = SharedMemory(create=True, size=ITEM * len(values))
    try:
        table = Table(numpy.ndarray(len(values), numpy.int64, buffer=memory.buf))
        table.array[:] = values
        yield lambda change: in_process(change, table), table.copy
    finally:
        memory.unlink()
        memory.close()


@contextmanager
def counting():
    yield counted(fork.Value("q", 0), add)


@contextmanager
def counting_tasks():
    counter = fork.Value("q", 0)
    with fork.Pool(1, _keep, (counter,)) as pool:

        def run(steps):
            pool.apply(_add_to_kept, (steps,))
            return counter.value

        yield run


def _keep(counter):
    """In the worker: a Value cannot be an argument of a task."""
    global kept
    kept = counter


def _add_to_kept(steps):
    add(kept, steps)
