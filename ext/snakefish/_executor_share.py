"""Executor.submit with share=: the task and its future. Internal; for _executor.py.

    submit   the values of the shared globals travel with the task, as of then (_submitted_share.py)
    worker   its variables get these values for the time of the call, and it sends what the call has changed
    future   result() merges that, once: the order of these calls, which is the program's, is the order of the merges
"""

import atexit
import functools
import inspect
import os
import threading
import weakref

from snakefish._executor_functions import SharedItem, goes_whole
from snakefish._executor_future import TaskFuture
from snakefish._executor_tasks import Task
from snakefish._kept import tell
from snakefish._sharing import Sharing
from snakefish._submit_failure import unpack_failure
from snakefish._submit_share import Shared
from snakefish._submitted import is_interruption

_futures: "weakref.WeakSet[SharedFuture]" = weakref.WeakSet()


def takes_share(fn):
    """Whether `share` is a parameter of fn itself, which it then gets, as all others."""
    while isinstance(fn, functools.partial):
        if "share" in fn.keywords:
            return False  # it has one already
        fn = fn.func
    try:
        parameter = inspect.signature(fn).parameters.get("share")
    except (TypeError, ValueError):  # it does not say
        return False
    return parameter is not None and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


class SharedTask(Task):
    __slots__ = ("packed_parcel", "pack_items")

    def __init__(self, fn, args, kwargs, globals):
        """kwargs: with share. globals: the caller's."""
        given = [kwargs.pop(name, None) for name in ("share", "on_conflict", "merge")]
        super().__init__(fn, args, kwargs)
        shared = Shared(Sharing(fn, *given, False, globals, False), fn, are_forks=True)
        self.packed_parcel, self.pack_items = shared.pack_parcel(), shared.pack_items
        self.future = SharedFuture(shared.merge_all, str(self), list(shared.parcel.variables))

    def prepare(self, functions):
        try:
            self.resolve(functions)
        except Exception as reason:  # the arguments are pickled here, with the numbers of what is shared
            if is_interruption(reason):
                raise
            self.cannot_be_packed(reason)
            return False
        return True

    def resolve(self, functions):
        try:
            self._resolve(functions)
        except Exception as reason:
            if is_interruption(reason) or self.is_whole or goes_whole(self.fn):
                raise
            self.is_whole = True  # a part of it cannot be pickled
            self._resolve(functions)

    def _resolve(self, functions):
        (function, args, kwargs), self.number = functions.item(self.fn, self.args, self.kwargs, self.is_whole)
        self.item = SharedItem(function, self.packed_parcel, self.pack_items((args, kwargs or {})))

    def was_sent(self, crew, waiting):
        """The manager takes its result: it is more than what the future gets."""

    def succeed(self, came):
        changes, failure, result, of_worker = came
        self.future.came(changes)
        if failure is None:
            super().succeed(result)
        else:
            super().fail(unpack_failure(failure, str(self), of_worker))


class SharedFuture(TaskFuture):
    """merge: Ancestor.merge_all. changes: its argument, what the task has changed and nobody has merged."""

    def __init__(self, merge, task, variables):
        super().__init__()
        self._merge, self._task, self._variables = merge, task, variables
        self._owner, self._merging, self._refusal = os.getpid(), threading.RLock(), None
        self.changes = []
        _futures.add(self)

    def came(self, changes):
        """Before it is done."""
        if changes:
            self.changes.append((changes, self._task))
        else:
            self._merge = None  # it refers to the state at the submit

    def result(self, timeout=None):
        super().exception(timeout)
        self._join()
        if self._refusal is not None:
            raise self._refusal
        return super().result(0)

    def exception(self, timeout=None):
        raised = super().exception(timeout)
        self._join()
        return self._refusal or raised

    def _join(self):
        """Merges what is not merged. An interruption comes out of it, and it can be called again."""
        if not self.changes:
            return
        if self._owner != os.getpid():
            raise RuntimeError(f"this Future belongs to process {self._owner}: only there its task's changes can be merged")
        with self._merging:
            changes, self.changes = self.changes, []  # a merge function may ask this Future
            try:
                if changes:
                    self._merge(changes)
                    self._merge = None
            except BaseException as error:
                if not isinstance(error, Exception) or is_interruption(error):
                    self.changes = changes  # empty: all is merged
                    raise
                self._refusal, self._merge = error, None

    def tell_if_lost(self):
        if self.changes and self._owner == os.getpid():
            self.changes = []
            tell(self, RuntimeError(f"{self._task} has changed {', '.join(self._variables)}, and nobody has called result() or "
                                    "exception() of its Future, which merges that: it is lost"), "Changes never merged")

    def __del__(self):
        if getattr(self, "changes", None):
            self.tell_if_lost()


@atexit.register
def _at_exit():
    for future in list(_futures):
        future.tell_if_lost()
