"""The future of a task of an Executor. Internal; for _executor_tasks.py.

A Future of the standard library, for wait(), as_completed() and all others who know it. But its locks are held in code
that is written in Python: a signal handler may interrupt that, and wait for the manager, or for a result, which the
manager brings. So nobody here waits for these locks:

    result(), exception()   wait until the outcome is there (_sleepers.py)
    begin, cancel           one operation of a dict decides between them
    cancel, finish          the outcome is there at once. Where the lock of the future is taken, another thread
                            (_executor_late.py) tells the rest: the state, the callbacks, and those in wait() and
                            as_completed(), whose own locks may be taken too

An exception of a handler, such as Ctrl-C's, may leave a lock locked for ever, as the standard library takes them. So after
_PATIENCE_S it is done without the lock. If then a handler stands in wait() or as_completed() that long, these may wait for
ever for a future that had its outcome meanwhile.
"""

import functools
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING

from snakefish._executor_late import do_later
from snakefish._sleepers import Sleepers
from snakefish._snakefish import _WAIT_MESSAGE, _instrument_wait, enabled

_CANCELLED = (CANCELLED, CANCELLED_AND_NOTIFIED)
_OVER = (FINISHED, *_CANCELLED)
_PATIENCE_S = 5.0


class _Condition(threading.Condition):
    """_waiters are Sleepers."""

    def notify_all(self):
        self._waiters.wake()


class TaskFuture(Future):
    """take: None, or takes the result without the manager, where it can, which is faster: the crew's, with a timeout."""

    take = None
    _outcome = None  # what _state will be, before it is told
    # _fate: RUNNING or CANCELLED, once begin() or cancel() has decided

    def __init__(self):
        super().__init__()
        self._condition.__class__ = _Condition
        self._condition._waiters = Sleepers()

    # ---- for the program ----

    def result(self, timeout=None):
        self._wait(timeout)
        try:
            if self._exception is not None:
                raise self._exception
            return self._result
        finally:
            self = None  # the exception refers to this frame

    def exception(self, timeout=None):
        self._wait(timeout)
        return self._exception

    def cancel(self):
        if self._now() == PENDING and vars(self).setdefault("_fate", CANCELLED) == CANCELLED:
            self._end(CANCELLED_AND_NOTIFIED)
        return self._now() in _CANCELLED

    def done(self):
        return self._now() in _OVER

    def running(self):
        return self._now() == RUNNING

    def cancelled(self):
        return self._now() in _CANCELLED

    def _now(self):
        return self._outcome or self._state

    def _wait(self, timeout):
        """Until it has an outcome. Raises where that is neither a result nor an exception."""
        if not self.done():
            end = None if timeout is None else time.monotonic() + timeout
            if self.take is not None and (timeout is None or timeout > 0):
                self.take(timeout)
            if not self.done():
                self._sleep(None if end is None else end - time.monotonic())
        if self._now() != FINISHED:
            raise CancelledError() if self.done() else FutureTimeoutError()

    def _sleep(self, timeout):
        sleep = self._condition._waiters.sleep
        if enabled():
            _instrument_wait(sleep, _WAIT_MESSAGE, None, self.done, timeout)
        else:
            sleep(self.done, timeout)

    # ---- for the manager ----

    def begin(self):
        """Whether nobody has cancelled it or given it an outcome; from then on nobody can cancel it."""
        if self._now() == PENDING and vars(self).setdefault("_fate", RUNNING) == RUNNING:
            self._state = RUNNING  # for wait() and as_completed() this is as before
        return self._now() == RUNNING

    def finish(self, result, exception=None):
        """Gives it its outcome, if the program has not. Raises what a callback raises that is no Exception."""
        if not self.done():
            self._end(FINISHED, result, exception)

    # ---- the end ----

    def _end(self, outcome, result=None, exception=None):
        condition = self._condition
        if not condition._is_owned() and condition.acquire(False):  # owned: this is a handler, in the midst of a wait()
            self._settle(outcome, result, exception)
            return
        self._result, self._exception = result, exception
        self._outcome = outcome
        condition.notify_all()
        do_later(functools.partial(self._settle_if_free, time.monotonic() + _PATIENCE_S))

    def _settle_if_free(self, patient_until):
        """Whether it did. After that time it does in any case."""
        held = self._condition.acquire(False)
        if held or time.monotonic() >= patient_until:
            self._settle(self._outcome, self._result, self._exception, held)
            return True
        return False

    def _settle(self, outcome, result, exception, held=True):
        """held: this thread has the lock."""
        try:
            if self._state in _OVER:
                return
            self._result, self._exception = result, exception
            self._state = outcome
            if self._waiters:
                self._tell("add_cancelled" if outcome != FINISHED else "add_result" if exception is None else "add_exception")
            self._condition.notify_all()
        finally:
            if held:
                self._condition.release()
        self._invoke_callbacks()

    def _tell(self, method):
        """Those in wait() and as_completed()."""
        for waiter in self._waiters:
            if _is_busy(waiter):
                do_later(functools.partial(_tell_if_free, weakref.ref(self), weakref.ref(waiter), method))
            else:
                getattr(waiter, method)(self)


def _is_busy(waiter):
    """Whether one of its locks is taken: for a moment only, or by a thread that stands still."""
    of_event = getattr(getattr(waiter, "event", None), "_cond", None)
    locks = (getattr(waiter, "lock", None), getattr(of_event, "_lock", None))
    return any([lock.locked() for lock in locks if lock is not None])


def _tell_if_free(future, waiter, method):
    """Whether it did, or there is nobody left to be told."""
    future, waiter = future(), waiter()
    if future is None or waiter is None:
        return True
    if _is_busy(waiter):
        return False
    getattr(waiter, method)(future)
    return True
