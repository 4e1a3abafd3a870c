"""Executor: a worker that is killed after any single instruction, around the one by which it says that it has a task.

A helper process traces the worker by ptrace, since a parent that traces its own child would get its stops for ends."""
import ctypes
import os
import signal

import pytest
from conftest import PYPY

from snakefish import Executor, WorkerDied

LIMIT_S = 20
MOST_STEPS = 8192  # more than it takes
ATTACH, STEP = 16, 9  # PTRACE_ATTACH, PTRACE_SINGLESTEP

pytestmark = pytest.mark.skipif(PYPY or os.uname().machine != "x86_64", reason="the steps are counted on CPython, x86-64")


def ptrace(request, pid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


class Tracer:
    """A process that stops another one, and later lets it go on for some instructions and kills it."""

    def __init__(self, pid):
        self.to, self.back = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                self.trace(pid)
                status = 0
            finally:
                os._exit(status)
        os.close(self.to[0])
        os.close(self.back[1])
        self.attached = os.read(self.back[0], 1) == b"a"

    def trace(self, pid):
        ptrace(ATTACH, pid)
        os.waitpid(pid, 0)
        os.write(self.back[1], b"a")
        for _ in range(int(os.read(self.to[0], 20))):
            ptrace(STEP, pid)
            if not os.WIFSTOPPED(os.waitpid(pid, 0)[1]):
                return
        os.write(self.back[1], b"s")
        os.read(self.to[0], 1)
        os.kill(pid, signal.SIGKILL)
        while os.WIFSTOPPED(os.waitpid(pid, 0)[1]):
            pass

    def step(self, count):
        os.write(self.to[1], str(count).encode())
        assert os.read(self.back[0], 1) == b"s"

    def kill(self):
        os.write(self.to[1], b"k")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.to[1])
        os.close(self.back[0])
        return status


def kill_after(executor, steps):
    """Whether a worker that was killed after so many instructions had claimed the task that was sent to it, or had done it
    even. Checks what becomes of the task."""
    state = executor._state
    pid = executor.submit(os.getpid).result(LIMIT_S)
    tracer = Tracer(pid)
    if not tracer.attached:
        pytest.skip("ptrace is not permitted here")
    task = executor.submit(os.getpid)
    tracer.step(steps)
    claimed = [work for _, _, work, _ in state.crew.claims()]
    assert tracer.kill() == 0
    try:
        is_done = task.result(LIMIT_S) == pid
        assert not claimed or is_done
    except WorkerDied as died:
        is_done = False
        assert died.pid == pid and claimed
    return bool(claimed) or is_done


def test_a_worker_that_is_killed_after_any_instruction_of_taking_a_task_loses_that_one_or_none():
    with Executor(1) as executor:
        before, after = 0, MOST_STEPS
        while after - before > 20:
            middle = (before + after) // 2
            if kill_after(executor, middle):
                after = middle
            else:
                before = middle
        for steps in range(max(0, before - 600), after + 40, 31):
            kill_after(executor, steps)
