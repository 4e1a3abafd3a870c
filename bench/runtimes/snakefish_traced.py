"""snakefish-traced: snakefish, traced; the collector starts before the region and ends after it"""
import os
import tempfile
from contextlib import contextmanager

from bench.runtimes.snakefish import (  # noqa: F401
    echo, fold, pipeline, pool, snakefish, spawn_join, stream, version)


@contextmanager
def session(path=None):
    """Traces into path; without one, into a database that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="bench-trace-") as folder:
        with snakefish.trace.session(path or os.path.join(folder, "trace.db")):
            yield
