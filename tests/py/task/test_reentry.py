"""Calls on a Thread or Generator from inside another call on it: from what start() calls, from merge, from signal handlers."""
import os
import signal
import sys
import time

import pytest

from snakefish import Generator, Thread


def identity():
    return os.getpid()


def one_item():
    yield os.getpid()


class CallsInFlush:
    """A standard stream that makes one call when start() flushes it, and keeps what that raised."""

    def __init__(self, call):
        self.call, self.raised = call, None

    def write(self, text):
        return len(text)

    def flush(self):
        call, self.call = self.call, None
        if call is not None:
            try:
                call()
            except RuntimeError as error:
                self.raised = str(error)


@pytest.mark.parametrize("kind, f", [(Thread, identity), (Generator, one_item)])
@pytest.mark.parametrize("name", ["start", "dispose"])
def test_what_start_calls_can_neither_start_nor_dispose_it(kind, f, name, monkeypatch):
    task = kind(f, name="mine")
    stream = CallsInFlush(lambda: getattr(task, name)())
    monkeypatch.setattr(sys, "stdout", stream)
    task.start()
    assert stream.raised == "mine is in start() already: that call must finish first"
    result = next(task) if kind is Generator else None
    task.join()
    assert task.get_exit_status() == 0
    assert (result or task.get_result()) == task.pid
    task.dispose()


def test_a_hook_of_the_fork_cannot_start_it_again(check_program):
    check_program("""
        import os, snakefish
        raised = []
        def start_again():
            try:
                thread.start()
            except RuntimeError as error:
                raised.append(str(error))
        os.register_at_fork(before=start_again, after_in_parent=start_again, after_in_child=start_again)
        thread = snakefish.Thread(lambda: len(raised), name="mine")
        thread.start()
        thread.join()
        assert raised == ["mine is in start() already: that call must finish first"] * 2, raised
        assert thread.get_result() == 2
    """)


def test_merge_cannot_join_it_but_may_try():
    tried = []

    def merge(_, extracted):
        tried.append(thread.try_join())
        thread.join()

    thread = Thread(identity, lambda _: 1, merge, name="mine")
    thread.start()
    with pytest.raises(RuntimeError, match="mine is being joined by this Python thread already"):
        thread.join()
    assert tried == [False]
    assert thread.get_exit_status() == 0
    thread.join()


def test_a_signal_handler_cannot_join_what_it_interrupts_in_join():
    raised = []

    def handler(number, frame):
        try:
            thread.join()
        except RuntimeError as error:
            raised.append(str(error))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        thread = Thread(time.sleep, args=(0.5,), name="mine")
        thread.start()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        thread.join()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(raised) == 1 and "mine is being joined by this Python thread already" in raised[0]
    assert thread.get_exit_status() == 0
