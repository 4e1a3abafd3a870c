"""Executor: workers that stay, as a concurrent.futures.Executor. What it does is in _executor_manager.py and
_executor_map.py."""

import operator
import os
import signal
import sys
import threading
import time
import weakref
from concurrent.futures import Executor as _Executor

from snakefish._executor_manager import manage
from snakefish._executor_map import Map
from snakefish._executor_state import State
from snakefish._executor_tasks import Task, WorkerDied
from snakefish._snakefish import cpu_count

__all__ = ["Executor", "WorkerDied"]


def _hear_and_ignore(_number, _frame):
    """Ctrl-C in a worker: the parent hears it too, and says what is to be done. Not SIG_IGN, which programs that the
    worker starts would inherit."""


class _Preparation:
    """What a worker does first."""

    def __init__(self, initializer, initargs):
        self.initializer, self.initargs = initializer, initargs

    def __call__(self):
        this = threading.current_thread()  # the one that forked, which is the main thread here
        this._name, this._daemonic = "MainThread", False  # `name` is watched by traces, for which a lane has a new thread then
        if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, signal.SIG_DFL, None):
            signal.signal(signal.SIGINT, _hear_and_ignore)
        if self.initializer is not None:
            self.initializer(*self.initargs)


def _check_callable(fn):
    if not callable(fn):
        raise TypeError(f"fn must be callable, not {type(fn).__name__}")


def _new_task(fn, args, kwargs, globals):
    """Of a call with share=. globals: the caller's."""
    from snakefish._executor_share import SharedTask, takes_share

    if takes_share(fn):
        return Task(fn, args, kwargs)
    if kwargs["share"] is None:
        del kwargs["share"]
        return Task(fn, args, kwargs)
    return SharedTask(fn, args, kwargs, globals)


class Executor(_Executor):
    """Workers that stay: forked processes that run what is submitted, one task each at a time.

    max_workers: processes, 0: cpu_count(). They are forked by submit(), as tasks need them. A worker sees everything as it
    is at its fork: modules, globals, what functions refer to. Functions are not pickled, so lambdas, closures and functions
    of __main__ can be submitted. For one that was made after the fork the workers are forked anew, once, and for all that
    are new; old ones first finish what they run. refresh() forks them anew on purpose, as after a change of globals.
    Arguments and results are pickled.

    initializer: is called with initargs in each worker, first. If it raises, all tasks fail with BrokenExecutor.
    max_tasks_per_child: a worker is replaced after so many tasks. task_timeout: seconds that a task may take; then it
    fails with TimeoutError, and its worker is killed and replaced. name: for the workers' names.

    If a worker dies, the task that it ran fails with WorkerDied, and the other tasks go on.

    The end of the with block, shutdown(), and the end of the program finish what was submitted. Ctrl-C ends the workers
    at once. Only the process that made an Executor can use it.
    """

    def __init__(
        self, max_workers=0, *, initializer=None, initargs=(), max_tasks_per_child=None, task_timeout=None, name=None
    ):
        workers = 0 if max_workers is None else operator.index(max_workers)
        if workers < 0 or isinstance(max_workers, bool):
            raise ValueError(f"max_workers must be at least 0 (one for each CPU), not {max_workers!r}")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None and not isinstance(max_tasks_per_child, int):
            raise TypeError("max_tasks_per_child must be an integer")
        if max_tasks_per_child is not None and max_tasks_per_child < 1:
            raise ValueError("max_tasks_per_child must be >= 1")
        if task_timeout is not None and not task_timeout > 0:
            raise ValueError(f"task_timeout must be more than 0 seconds, or None, not {task_timeout!r}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a str or None, not {type(name).__name__}")
        prepare = _Preparation(initializer, tuple(initargs))
        workers = workers or cpu_count()
        self._max_workers = workers  # the standard library's executors have it, and libraries such as dask read it
        self._state = State(manage, workers, prepare, max_tasks_per_child, task_timeout, name or "executor")
        self._state.reference = weakref.ref(self, self._state.end)

    def submit(self, fn, /, *args, **kwargs):
        """Has fn(*args, **kwargs) computed by a worker. Returns its concurrent.futures.Future. Does not block, but for a
        fork while there are fewer than max_workers.

        share: names of globals, or {name: rule}, as for Thread; on_conflict and merge, which go with it, too. fn gets the
        values that they have now, and what it changes in them is merged by the first call of the Future's result() or
        exception(), in the thread that calls: the order of these calls is the order of the merges. What fn changes before
        it raises is merged too. If that raises, as with Conflict, nothing of the task is merged, result() raises it each
        time, and exception() returns it. Changes that nobody has merged when the Future is collected, or at the program's
        end, are lost, and sys.unraisablehook is told. The values are pickled for each task (TypeError names one that cannot
        be), so in a worker the variables are other objects: what refers to the old ones in another way, such as a default
        argument, does not see them. A fn that has a parameter `share` gets it as all others, and nothing is merged; one
        that has a parameter `on_conflict` or `merge` gets it by functools.partial."""
        state = self._state
        state.refuse()
        _check_callable(fn)
        task = Task(fn, args, kwargs) if "share" not in kwargs else _new_task(fn, args, kwargs, sys._getframe(1).f_globals)
        if task.prepare(state.functions):
            state.submit(task)
        return task.future

    def map(self, fn, *iterables, timeout=None, chunksize=0, buffersize=None):
        """fn(*arguments) for arguments in zip(*iterables): an iterator over the results, in that order.

        The iterables are read at once, or with buffersize only so far that at most so many calls are ahead of the results
        that were taken. chunksize: calls that travel together, 0: as many as balance the load and keep workers busy (1
        with task_timeout, which holds for a chunk). An exception of fn comes after the results before it; calls of its
        chunk after it are not made. timeout: seconds from now on, after which the iterator raises TimeoutError. Closing the
        iterator cancels what no worker has been given.
        """
        state = self._state
        state.refuse()
        _check_callable(fn)
        end = None if timeout is None else time.monotonic() + timeout
        if not iterables:
            return iter(())
        size = operator.index(chunksize)
        if size < 0:
            raise ValueError("chunksize must be >= 1, or 0: the Executor chooses")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        if state.task_timeout is not None:
            size = size or 1
        mapped = Map(state, fn, iterables, size, buffersize)
        mapped.begin()
        return mapped.results(self, end)

    def refresh(self):
        """Forks the workers anew for the tasks that are submitted from now on: they see everything as it is then. Does not
        block; workers that are busy finish what they run."""
        self._state.refuse()
        self._state.new_generation()

    def shutdown(self, wait=True, *, cancel_futures=False):
        """No more tasks are taken. wait: until all are finished, and the workers have ended. cancel_futures: cancels those
        that no worker has been given."""
        state = self._state
        if state.owner != os.getpid():
            return
        state.cancelled = state.cancelled or cancel_futures
        state.end()
        state.end_workers()
        if wait:
            state.join()

    def __exit__(self, kind, value, traceback):
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._state.killed = True
        self.shutdown()
        return False

    def __reduce__(self):
        raise TypeError("an Executor cannot be pickled: it belongs to the process that made it")


Executor.__module__ = "snakefish"
