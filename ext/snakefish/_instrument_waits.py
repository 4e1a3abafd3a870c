"""trace.instrument: where a thread sleeps until another one has something for it. Internal.

What a program waits for from its workers is often received by another thread of it: the manager of an Executor, the result
handler of a Pool, an event loop's selector. The program's own thread then sleeps in a Condition (in Future.result,
concurrent.futures.wait, as_completed, AsyncResult.get, Event.wait, queue.Queue.get, ...), in a selector, or until a thread
has ended (Executor.shutdown, Pool.join). These few are wrapped, and not the many methods that use them: a program may have
taken such a function into its own modules before instrument().

A replacement of a method gets the method first, then the method's arguments.
"""

import selectors
import threading

from snakefish._snakefish import (
    _WAIT_MESSAGE as FOR_MESSAGE,
    _WAIT_THREAD as FOR_THREAD,
    _instrument_wait as wait,
)


def wait_for_message(original, self, timeout=None):
    return original(self, timeout) if timeout == 0 else wait(original, FOR_MESSAGE, None, self, timeout)


def _join(original, self, timeout=None):
    return original(self, timeout) if timeout == 0 else wait(original, FOR_THREAD, None, self, timeout)


_PollLikeSelector = selectors.PollSelector.__mro__[1]

METHODS = [
    (threading.Condition, "wait", wait_for_message),
    (threading.Thread, "join", _join),
    (_PollLikeSelector, "select", wait_for_message),
    (selectors.EpollSelector, "select", wait_for_message),
]
