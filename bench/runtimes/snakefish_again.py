"""snakefish-again: snakefish once more, the A/A control: what it differs by from itself is noise"""
from bench.runtimes.snakefish import (  # noqa: F401
    echo, fold, pipeline, pool, spawn_join, stream, version)
