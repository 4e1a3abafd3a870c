"""multiprocessing-manager: a Manager's dict and Value, which live in its own process; start method fork"""
from contextlib import contextmanager

from bench.runtimes.multiprocessing import fork, version  # noqa: F401


def in_process(f, *args):
    process = fork.Process(target=f, args=args)
    process.start()
    process.join()
    process.close()


def add(counter, steps):
    """Without a lock, because one process alone counts: a lock of the Manager's would double what a step takes."""
    for _ in range(steps):
        counter.value += 1


def counted(counter, add):
    def run(steps):
        in_process(add, counter, steps)
        return counter.value

    return run


@contextmanager
def changing(make):
    with fork.Manager() as manager:
        table = manager.dict(make())
        yield lambda change: in_process(change, table), table.copy


@contextmanager
def counting():
    with fork.Manager() as manager:
        yield counted(manager.Value("q", 0), add)


@contextmanager
def counting_tasks():
    with fork.Manager() as manager, fork.Pool(1) as pool:
        counter = manager.Value("q", 0)

        def run(steps):
            pool.apply(add, (counter, steps))
            return counter.value

        yield run
