"""snakefish-default: snakefish.map with no chunksize: it hands out chunks that get smaller, as for whom states none"""
from contextlib import contextmanager

from bench.runtimes.snakefish import snakefish, version  # noqa: F401

only = ("program",)


@contextmanager
def pool(workers):
    yield lambda f, args, chunksize: snakefish.map(f, args, workers)


def fold(module, workers, f, args, chunksize):
    snakefish.map(f, args, workers, share=module.share)
