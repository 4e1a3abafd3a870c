"""snakefish-by-hand: extract and merge as one would write them for the program, in place of share="""
from contextlib import contextmanager

from bench.runtimes.snakefish import snakefish, version  # noqa: F401


def fold(module, workers, f, args, chunksize):
    snakefish.map(f, args, module.extract, module.merge, concurrency=workers, chunksize=chunksize,
                  globals=vars(module))


def in_thread(f, merge):
    """f returns what it has changed."""
    changed = None

    def keep():
        nonlocal changed
        changed = f()

    with snakefish.Thread(keep, lambda _: changed, lambda _, changed: merge(changed)) as thread:
        thread.start()


@contextmanager
def changing(make):
    table = make()
    yield lambda change: in_thread(lambda: change(table), table.update), table.copy


@contextmanager
def counting():
    counter = 0

    def count(steps):
        mine = 0
        for _ in range(steps):
            mine += 1
        return mine

    def add(mine):
        nonlocal counter
        counter += mine

    def run(steps):
        in_thread(lambda: count(steps), add)
        return counter

    yield run
