"""A wait at a Channel ends when nobody is left who could end it: the others have died, or wait themselves."""
import signal
import threading
import time

import pytest
from conftest import run_the_program as run_program

from snakefish import Channel, Thread

PROGRAM = """
import threading, time
from snakefish import *
def receive(channel, name):
    try:
        while True:
            print(name, channel.receive_pyobj(), flush=True)
    except EOFError:
        print(name, "EOFError", flush=True)
def send(channel, name):
    try:
        while True:
            channel.send_pyobj(b"x" * 400, True)
    except BrokenPipeError:
        print(name, "BrokenPipeError", flush=True)
def start(f, *args):
    t = Thread(f, args=args)
    t.start()
    return t
a, b = Channel(1024), Channel(1024)
"""


def lines_of(body):
    """What a program prints, in the order of the alphabet. It must end by itself."""
    begin = time.monotonic()
    ended = run_program(PROGRAM + body, limit_s=30)
    assert ended.status == 0, ended
    assert time.monotonic() - begin < 15
    return sorted(ended.stdout.splitlines())


def test_a_program_ends_whose_child_receives_what_nobody_will_send():
    assert lines_of("t = start(receive, a, 1)") == ["1 EOFError"]


def test_a_program_ends_whose_children_all_receive_from_one_channel():
    assert lines_of("ts = [start(receive, a, n) for n in range(4)]") == [f"{n} EOFError" for n in range(4)]


def test_a_program_ends_whose_children_wait_for_each_other_over_two_channels():
    assert lines_of("t = start(receive, a, 1); u = start(receive, b, 2)") == ["1 EOFError", "2 EOFError"]


def test_a_program_ends_whose_child_sends_into_a_full_channel():
    assert lines_of("t = start(send, a, 1); u = start(receive, b, 2)") == ["1 BrokenPipeError", "2 EOFError"]


def test_a_program_ends_whose_grandchild_receives():
    assert lines_of("""
def begin():
    global u
    u = start(receive, a, 1)
t = start(begin)
""") == ["1 EOFError"]


def test_messages_that_are_there_are_received_first():
    assert lines_of("a.send_pyobj('m'); a.send_pyobj('n'); t = start(receive, a, 1)") == ["1 EOFError", "1 m", "1 n"]


def test_a_child_that_is_slow_to_send_is_waited_for():
    assert lines_of("""
def late():
    time.sleep(1)
    a.send_pyobj("late")
t = start(receive, a, 1); u = start(late)
""") == ["1 EOFError", "1 late"]


def test_a_daemon_thread_goes_on_to_feed_a_child_at_the_programs_end():
    assert lines_of("""
def feed():
    for n in range(3):
        time.sleep(0.5)
        a.send_pyobj(n)
    a.send_pyobj(None)
def take():
    while (n := a.receive_pyobj()) is not None:
        print(n, flush=True)
threading.Thread(target=feed, daemon=True).start()
with __import__("warnings").catch_warnings():
    __import__("warnings").simplefilter("ignore")
    t = start(take)
""") == ["0", "1", "2"]


def test_exit_handlers_that_run_later_may_use_a_channel():
    assert lines_of("""
import atexit
def last():
    a.send_pyobj("sent at exit")
    print(a.receive_pyobj(), len(a))
atexit.unregister(__import__("snakefish")._at_exit)
atexit.register(last)
atexit.register(__import__("snakefish")._at_exit)
t = start(receive, a, 1)
""") == ["1 EOFError", "sent at exit 0"]


def test_two_processes_that_receive_from_each_other_do_not_wait_for_ever():
    channel = Channel(1024)

    def receive():
        try:
            return channel.receive_pyobj()
        except EOFError:
            channel.send_pyobj("child")
            return "EOFError"

    with Thread(receive) as task:
        task.start()
        try:
            got = channel.receive_pyobj()
        except EOFError:
            got = "EOFError"
            channel.send_pyobj("parent")
        task.join(10)
    assert (got, task.get_result()) in (("EOFError", "parent"), ("child", "EOFError")), "one at a time"
    channel.dispose()


def test_one_with_a_timeout_may_still_send():
    channel = Channel(1024)
    with Thread(channel.receive_pyobj) as task:
        task.start()
        with pytest.raises(TimeoutError):
            channel.receive_pyobj(timeout=1)
        channel.send_pyobj("after all")
        task.join(10)
        assert task.get_result() == "after all"
    channel.dispose()


def test_one_with_another_thread_may_still_send():
    channel, got = Channel(1024), []
    thread = threading.Timer(1, lambda: [channel.send_pyobj(n) for n in (1, 2)])
    with Thread(channel.receive_pyobj) as task:
        task.start()
        thread.start()
        got.append(channel.receive_pyobj())
        task.join(10)
        got.append(task.get_result())
    thread.join()
    assert sorted(got) == [1, 2]
    channel.dispose()


def test_handlers_run_in_a_process_that_only_waits(request):
    channel, calls = Channel(1024), []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(channel.send_pyobj(len(calls))))
    request.addfinalizer(lambda: signal.signal(signal.SIGALRM, before))
    with Thread(time.sleep, args=(30,)) as other:  # another one that is active, so that no wait ends by itself
        other.start()
        signal.setitimer(signal.ITIMER_REAL, 0.6)
        assert channel.receive_pyobj() == 0
        other.kill()
    channel.dispose()
