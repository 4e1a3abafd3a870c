"""What instrumented-round-trip and instrumented-map share: two processes do the same work with multiprocessing, by turns.
One of them is instrumented and traced."""
import time
from contextlib import contextmanager

from bench.support.forking import fork
from bench.support.tracing import PAUSE_S


def _drive(orders, doing, trace):
    """Runs in a process of its own: a turn for each order. doing: a context manager that yields turn() -> operations."""
    if trace:
        trace.instrument("multiprocessing")
    with doing() as turn:
        while orders.recv():
            orders.send(turn())


@contextmanager
def _driver(doing, trace=None):
    here, there = fork.Pipe()
    process = fork.Process(target=_drive, args=(there, doing, trace))
    process.start()
    there.close()

    def turn():
        here.send(True)
        return here.recv()

    turn()  # after it, the process and what it needs are ready
    yield turn
    here.send(False)
    process.join()


@contextmanager
def by_turns(runtime, doing, turns):
    with _driver(doing) as plain, runtime.tracing() as trace, _driver(doing, trace) as instrumented:

        def floor_ns():
            time.sleep(PAUSE_S)  # for the collector
            start = time.perf_counter_ns()
            plain()
            return time.perf_counter_ns() - start

        yield instrumented, floor_ns, turns


def output(turns, size):
    return b"%d\n" % sum(turns)


def expected(size):
    return b"%d\n" % size
