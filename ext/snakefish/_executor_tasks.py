"""What an Executor sends to its workers, and how it ends. Internal; for _executor.py and _executor_manager.py."""

import functools
import reprlib
import sys
from concurrent.futures import BrokenExecutor

from snakefish._executor_future import TaskFuture
from snakefish._snakefish import ChildDied


class WorkerDied(ChildDied, BrokenExecutor):
    """A worker of an Executor died while it ran this task. The others go on, and a new worker takes its place.

    pid: its process id. exit_status: n after sys.exit(n) or os._exit(n), -N after signal N, None if unknown. signal: N,
    or None. task: the call, as text. name: the worker's name."""

    signal = task = None


WorkerDied.__module__ = "snakefish"


class Task:
    """A call, and the future that was handed out for it. id: its number in the crew, None before it has one. item and
    number: as of Functions.item.

    begun: nobody can cancel it any more. retried: it was sent again, for what it refers to may have been made after the
    fork of its first worker. is_whole: its callable goes by one number, because a part of it cannot be pickled.
    """

    __slots__ = ("id", "future", "fn", "args", "kwargs", "item", "number", "begun", "retried", "is_whole")

    def __init__(self, fn, args, kwargs):
        self.id = None
        self.future = TaskFuture()
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.begun = self.retried = self.is_whole = False

    def prepare(self, functions):
        """Whether it can be submitted. If not, its future says why."""
        self.resolve(functions)
        return True

    def resolve(self, functions):
        self.item, self.number = functions.item(self.fn, self.args, self.kwargs, self.is_whole)

    def may_begin(self):
        """Whether nobody has cancelled it, or has given its future an outcome; from then on nobody can cancel it."""
        self.begun = self.begun or self.future.begin()
        return self.begun

    def was_sent(self, crew, waiting):
        """By submit() itself. waiting: as of the crew's take()."""
        self.future.take = functools.partial(crew.take, self.id, waiting)

    def cancel(self):
        """Whether nobody has to run it any more. If not, it was begun already."""
        _tell_of_failure(self.future.cancel)
        return not self.may_begin()

    def succeed(self, value):
        _tell_of_failure(self.future.finish, value)

    def fail(self, exception):
        if self.may_begin():
            _tell_of_failure(self.future.finish, None, exception)

    def cannot_be_packed(self, reason):
        self.fail(reason)

    def __str__(self):
        try:
            arguments = [reprlib.repr(value) for value in self.args]
            arguments += [f"{key}={reprlib.repr(value)}" for key, value in self.kwargs.items()]
        except BaseException:  # this is the manager, which has to go on
            arguments = ["..."]
        return f"{name_of(self.fn)}({', '.join(arguments)})"


def name_of(function):
    return getattr(function, "__qualname__", None) or type(function).__qualname__


def _tell_of_failure(method, *arguments):
    """What a callback of a future raises may be anything; the manager has to go on."""
    try:
        method(*arguments)
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
