"""snakefish-executor: snakefish's Executor, made and used before the region"""
from contextlib import contextmanager

import snakefish

own_chunks = True


@contextmanager
def warm(workers):
    with snakefish.Executor(workers) as executor:
        yield lambda f, args, chunksize: list(executor.map(f, args, chunksize=chunksize or 0))
