"""ceiling: as many independent copies of the sequential program at once as there are workers: the best that is possible"""
import time
from multiprocessing import get_context

from bench.support import ready
from bench.runtimes import sequential

version = None
min_workers = 2
fork = get_context("fork")


def run(workload, size, pipe):
    """Runs one copy: waits for the start, runs, reports its end, and then sends its output."""
    with ready.program(sequential, workload, size, 1) as program:
        pipe.recv()
        output = program()
    pipe.send(None)
    pipe.send(output)


def copies(workload, size, workers):
    pipes = []
    for _ in range(workers):
        here, there = fork.Pipe()
        fork.Process(target=run, args=(workload, size, there)).start()
        there.close()
        pipes.append(here)
    start = time.perf_counter_ns()
    for pipe in pipes:
        pipe.send(None)
    for pipe in pipes:
        pipe.recv()
    ns = time.perf_counter_ns() - start
    outputs = {pipe.recv() for pipe in pipes}
    if len(outputs) > 1:
        raise ValueError(f"{workers} copies have {len(outputs)} different outputs")
    return outputs.pop(), ns
