"""sequential: a plain loop, the base of every speedup; to spawn and join, a bare fork"""
import os
from contextlib import contextmanager

max_workers = 1
version = None


@contextmanager
def pool(workers):
    yield lambda f, args, chunksize: [f(x) for x in args]


def spawn_join(f):
    """The floor: what the kernel alone needs. The result is the exit status, which says only that f returned."""
    pid = os.fork()
    if pid == 0:
        try:
            f()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return None if status == 0 else status
