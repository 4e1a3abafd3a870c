"""trace-span: trace.span from Python, traced: both ends of a block"""
from bench.support import tracing
from bench.support.tracing import check_size, expected, floor_is, needs, output, seconds, size  # noqa: F401

unit = operation = "span"
targets = {"floor": 1 / 2}


def write(trace):
    span = trace.span
    for _ in tracing.times():
        with span("here"):
            pass


by_turns = tracing.by_turns(write)
