"""What an Executor sends to its workers, and how it ends. Internal; for _executor.py and _executor_manager.py."""

import reprlib
import sys
import time
from concurrent.futures import BrokenExecutor, Future, InvalidStateError
from concurrent.futures._base import RUNNING

from snakefish._snakefish import ChildDied


class WorkerDied(ChildDied, BrokenExecutor):
    """A worker of an Executor died while it ran this task. The others go on, and a new worker takes its place.

    pid: its process id. exit_status: n after sys.exit(n) or os._exit(n), -N after signal N, None if unknown. signal: N,
    or None. task: the call, as text. name: the worker's name."""

    signal = task = None


WorkerDied.__module__ = "snakefish"


class _Future(Future):
    """The future of a task. Who waits for its result takes that without the manager where it can, which is faster."""

    sent = None  # the State that has sent the task itself, and its number in the crew

    def result(self, timeout=None):
        return super().result(self._take(timeout))

    def exception(self, timeout=None):
        return super().exception(self._take(timeout))

    def _take(self, timeout):
        """What is left of the timeout."""
        sent = self.sent
        if sent is None or self._state != RUNNING:
            return timeout
        if timeout is None:
            sent[0].take(sent[1], self, None)
        elif timeout > 0:
            end = time.monotonic() + timeout
            sent[0].take(sent[1], self, timeout)
            timeout = end - time.monotonic()
        return timeout


class Task:
    """A call, and the future that was handed out for it. id: its number in the crew, None before it has one. item and
    number: as of Functions.item.

    begun: nobody can cancel it any more. retried: it was sent again, for what it refers to may have been made after the
    fork of its first worker. is_whole: its callable goes by one number, because a part of it cannot be pickled.
    """

    __slots__ = ("id", "future", "fn", "args", "kwargs", "item", "number", "begun", "retried", "is_whole")

    def __init__(self, fn, args, kwargs):
        self.id = None
        self.future = _Future()
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.begun = self.retried = self.is_whole = False

    def resolve(self, functions):
        self.item, self.number = functions.item(self.fn, self.args, self.kwargs, self.is_whole)

    def may_begin(self):
        """Whether nobody has cancelled it; from then on nobody can."""
        self.begun = self.begun or self.future.set_running_or_notify_cancel()
        return self.begun

    def cancel(self):
        if self.future.cancel():
            self.future.set_running_or_notify_cancel()

    def succeed(self, value):
        _settle(self.future.set_result, value)

    def fail(self, exception):
        if self.may_begin():
            _settle(self.future.set_exception, exception)

    def cannot_be_packed(self, reason):
        self.fail(reason)

    def __str__(self):
        try:
            arguments = [reprlib.repr(value) for value in self.args]
            arguments += [f"{key}={reprlib.repr(value)}" for key, value in self.kwargs.items()]
        except Exception:
            arguments = ["..."]
        return f"{name_of(self.fn)}({', '.join(arguments)})"


def name_of(function):
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def _settle(method, outcome):
    """Gives a future its outcome. What a callback raises may be anything; the manager has to go on."""
    try:
        method(outcome)
    except InvalidStateError:
        pass  # the program has done so itself
    except BaseException:
        sys.excepthook(*sys.exc_info())


class Probe:
    """See ext/py/workers/crew.h. numbers: of the tasks that were sent before it, None until it is sent itself; once
    is_second, of those that may be lost."""

    __slots__ = ("numbers", "is_second")

    def __init__(self, numbers=None, is_second=False):
        self.numbers, self.is_second = numbers, is_second


def worker_died(task, pid, exit_status, reason):
    """reason: as of the crew's event."""
    if isinstance(reason, ChildDied):
        died = WorkerDied(f"{reason} at task {task}")
        died.__cause__ = reason.__cause__
        died.name = reason.name
    else:
        died = WorkerDied(f"a worker (pid {pid}) ended by {type(reason).__name__} at task {task}")
        died.__cause__ = reason
    died.pid, died.exit_status, died.task = pid, exit_status, str(task)
    died.signal = -exit_status if exit_status is not None and exit_status < 0 else None
    return died
