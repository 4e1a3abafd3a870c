"""Waits that a signal handler may interrupt anywhere, and in which it may wait itself. Internal; for _executor_*.py.

threading's Condition and Event are written in Python, and hold a lock while they do. A handler that runs just then and
waits for the thread that needs the lock waits for ever; one that raises, as Ctrl-C does, may leave the lock locked. Here
each wait has a lock of its own, which nobody else waits for, and each step is one operation of a deque or a lock.
"""

import collections
import threading
from _thread import allocate_lock


class Sleepers(collections.deque):
    """The locks of those who wait, each of them locked."""

    def sleep(self, is_over, timeout=None):
        """Until wake(), at most timeout seconds, and not at all if is_over() once who calls wake() would see this."""
        sleeper = allocate_lock()
        sleeper.acquire()
        self.append(sleeper)
        try:
            if not is_over():
                sleeper.acquire(timeout is None or timeout > 0, timeout if timeout is not None and timeout > 0 else -1)
        finally:
            try:
                self.remove(sleeper)
            except ValueError:
                pass  # wake() has

    def wake(self):
        """All of them. Whatever they wait for has come before."""
        while self:
            try:
                self.popleft().release()
            except IndexError:
                break  # it went by itself


class Event:
    """threading.Event without a lock; it is never cleared."""

    def __init__(self):
        self._is_set = False
        self._sleepers = Sleepers()

    def is_set(self):
        return self._is_set

    def set(self):
        self._is_set = True
        self._sleepers.wake()

    def wait(self, timeout=None):
        if not self._is_set:
            self._sleepers.sleep(self.is_set, timeout)
        return self._is_set

    def _at_fork_reinit(self):  # threading calls it in a child, of the threads' own
        self._sleepers.clear()


def start_thread(function, argument, name):
    """As a daemon. Once it is started it runs, wherever a signal handler interrupts or ends the start."""
    thread = threading.Thread(target=function, args=(argument,), name=name, daemon=True)
    if hasattr(thread, "_started"):  # not documented
        thread._started = Event()  # type: ignore[attr-defined]
    thread.start()
