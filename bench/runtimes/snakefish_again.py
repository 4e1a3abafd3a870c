"""snakefish-again: snakefish a second time, the A/A control: the difference between the two is noise"""
from bench.runtimes.snakefish import (  # noqa: F401
    echo, fold, own_chunks, pipeline, pool, spawn_join, stream, version)
