"""trace-span: trace.span from Python, traced: both ends of a block"""
from bench.support import tracing

size = 200_000
check_size = 10_000
unit = operation = "span"
seconds = 0.7
needs = "tracing"
floor_is = "time.perf_counter_ns()"
targets = {"floor": 1 / 2}
output = tracing.output
expected = tracing.expected


def write(trace):
    span = trace.span
    for _ in tracing.times():
        with span("here"):
            pass


def by_turns(runtime, size, workers):
    return tracing.by_turns(runtime, size, write)
