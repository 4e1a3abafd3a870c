"""trace-mark: trace.mark from Python, traced"""
from bench.support import tracing

size = 200_000
check_size = 10_000
unit = operation = "mark"
seconds = 0.7
needs = "tracing"
floor_is = "time.perf_counter_ns()"
targets = {"floor": 1 / 2}
output = tracing.output
expected = tracing.expected


def write(trace):
    mark = trace.mark
    for _ in tracing.times():
        mark("here")


def by_turns(runtime, size, workers):
    return tracing.by_turns(runtime, size, write)
