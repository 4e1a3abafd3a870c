"""snakefish-traced: snakefish, traced; the collector starts before the region and ends after it"""
from bench.runtimes.snakefish import (  # noqa: F401
    echo, fold, own_chunks, pipeline, pool, spawn_join, stream, version)
from bench.runtimes.snakefish import tracing as session  # noqa: F401
