"""cancel, shutdown, collection, submit and the program's end in every order. Each future ends, as it should, and no worker
stays."""
import concurrent.futures
import itertools
import os
import textwrap

import pytest
from conftest import PYPY, check_the_program, children, collect, settles

from snakefish import Executor, WorkerDied

RUNNING, QUEUED = 2, 8  # tasks
STEPS = """
import gc, os, signal, time
from concurrent.futures import wait

class Run:
    def __init__(self, make):
        self.executor = make()
        self.futures = [self.executor.submit(time.sleep, 0.02) for _ in range(%d)]
        self.is_shut = self.may_cancel = self.may_kill = False

    def cancel(self):
        self.may_cancel = True
        for future in self.futures:
            future.cancel()

    def shutdown(self):
        self.end(wait=True)
        assert self.executor is None or all(future.done() for future in self.futures)

    def shutdown_without_wait(self):
        self.end(wait=False)

    def shutdown_cancelling(self):
        self.may_cancel = True
        self.end(wait=False, cancel_futures=True)

    def end(self, **options):
        if self.executor is not None:
            self.is_shut = True
            self.executor.shutdown(**options)

    def collect(self):
        self.executor = None
        gc.collect()

    def submit(self):
        if self.executor is None:
            return
        try:
            self.futures.append(self.executor.submit(abs, -1))
        except RuntimeError as error:
            assert self.is_shut and "after shutdown" in str(error), error
        else:
            assert not self.is_shut

    def wait(self):
        assert not wait(self.futures, 20).not_done

    def kill(self):
        self.may_kill = True
        with open(f"/proc/self/task/{os.getpid()}/children") as listed:
            for pid in listed.read().split()[:1]:
                os.kill(int(pid), signal.SIGKILL)
""" % (RUNNING + QUEUED)
NAMES = ("cancel", "shutdown", "shutdown_without_wait", "shutdown_cancelling", "collect", "submit", "wait", "kill")
scope = {}
exec(STEPS, scope)


def check(run):
    """What came of the futures."""
    assert not concurrent.futures.wait(run.futures, 20).not_done, [future for future in run.futures if not future.done()]
    died = [future for future in run.futures if not future.cancelled() and isinstance(future.exception(), WorkerDied)]
    assert len(died) <= run.may_kill, died
    for future in run.futures:
        assert run.may_cancel if future.cancelled() else future in died or future.result() in (None, 1)


# make stress tries all orders, make test each third
ALL = os.environ.get("SF_ALL_ORDERS") == "yes"


@pytest.mark.parametrize("first", NAMES)
def test_every_future_ends_after_any_three_steps(first):
    orders = list(itertools.permutations([name for name in NAMES if name != first], 2))[::1 if ALL else 3]
    for rest in orders[::5] if PYPY else orders:  # a collection takes PyPy most of a second
        run = scope["Run"](lambda: Executor(2))
        for name in (first, *rest):
            getattr(run, name)()
        check(run)
        run.end(wait=True)
        run.executor = None
        collect()
        assert settles(lambda: children()) == set(), (first, rest)


@pytest.mark.parametrize("first", [*NAMES, "nothing"])
def test_a_program_ends_after_any_two_steps_and_what_it_submitted_has_run(first):
    """Each in a process that is forked from one program, so that it begins at once; its end is the interpreter's."""
    check_the_program(STEPS + textwrap.dedent("""
        import faulthandler, sys, itertools
        from snakefish import Executor, WorkerDied
        names, first = sys.argv[1].split(), sys.argv[2]
        for second in [name for name in names if name != first] if first != "nothing" else ["nothing"]:
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                faulthandler.dump_traceback_later(20, exit=True)
                run = Run(lambda: Executor(2))
                for name in (first, second):
                    if name != "nothing":
                        getattr(run, name)()
                for future in run.futures:
                    future.add_done_callback(lambda future: os.write(writing, b"."))
                sys.exit(len(run.futures))
            os.close(writing)
            ended = 0
            while True:
                words = os.read(reading, 100)
                if not words:
                    break
                ended += len(words)
            os.close(reading)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert status == ended >= 10, (first, second, status, ended)
        """), " ".join(NAMES), first, limit_s=55)
