"""What the manager of an Executor leaves to another thread, because a lock is taken. Internal; for _executor_future.py.

Locks of futures are held for some instructions only. Where one is taken, either its thread waits for the interpreter
lock, or it is in a signal handler, which may wait for the manager: so the manager must not wait for it. Or an exception
of a handler has left the lock locked for ever. The thread here looks again and again, and ends when all is done.
"""

import collections
import sys
import threading
import time

from snakefish._sleepers import start_thread

_FIRST_S, _LONGEST_S = 0.001, 0.1  # between two looks

_attempts: "collections.deque" = collections.deque()
_running = threading.Lock()  # held while the thread is there


def do_later(attempt):
    """attempt(): whether that is done. It does not block. It is called until it is."""
    _attempts.append(attempt)
    _run()


def _run():
    if _attempts and _running.acquire(False):
        try:
            start_thread(_work, None, "snakefish-executor-late")
        except RuntimeError:  # too many threads: the next one that is left tries again
            _running.release()


def _work(_):
    wait_s = _FIRST_S
    while _attempts:
        left = len(_attempts)
        for _ in range(left):
            attempt = _attempts.popleft()
            try:
                if not attempt():
                    _attempts.append(attempt)
            except BaseException:  # a callback's
                sys.excepthook(*sys.exc_info())
        wait_s = min(2 * wait_s, _LONGEST_S) if len(_attempts) >= left else _FIRST_S
        if _attempts:
            time.sleep(wait_s)
    _running.release()
    _run()  # for what came between
