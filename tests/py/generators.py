"""Generator functions and helpers that the tests of Generators share. `total` is the global that they change."""
import time

from snakefish import Generator

total = 0


class OwnError(Exception):
    """What their generators raise on purpose."""


def count(n):
    yield from range(n)


def summing(n):
    global total
    for i in range(n):
        total += 1
        yield i


def failing(n):
    yield from summing(n)
    raise OwnError


def take_total(g):
    return g["total"]


def add_total(g, extracted):
    g["total"] += extracted


def started(f, *arguments, **more):
    generator = Generator(f, *arguments, **more)
    generator.start()
    return generator


def polled(generator):
    """All its items, taken without waiting in next()."""
    items = []
    while True:
        try:
            items.append(generator.next(False))
        except IndexError:
            time.sleep(0.001)
        except StopIteration:
            return items
