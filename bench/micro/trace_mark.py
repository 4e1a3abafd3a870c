"""trace-mark: trace.mark from Python, traced"""
from bench.support import tracing
from bench.support.tracing import check_size, expected, floor_is, needs, output, seconds, size  # noqa: F401

unit = operation = "mark"
targets = {"floor": 1 / 2}


def write(trace):
    mark = trace.mark
    for _ in tracing.times():
        mark("here")


by_turns = tracing.by_turns(write)
