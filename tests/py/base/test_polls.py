"""A program that polls leaves the CPU to the processes that it polls."""
import os
import time

import pytest

from snakefish import Channel, Generator, Thread

SECONDS = 0.6


def work(channel):
    """Takes all CPU time that it can get for a while. How much that was."""
    begin, end = time.process_time(), time.monotonic() + SECONDS
    while time.monotonic() < end:
        pass
    channel.send_pyobj(time.process_time() - begin)


def empty(poll, *errors):
    def does_nothing(*what):
        try:
            poll(*what)
        except errors:
            pass
    return does_nothing


def full(channel):
    channel.send_bytes(b"x" * 1020)
    channel.send_bytes(b"x" * 1020)


POLLS = {
    "try_join": lambda task, channel: task.try_join(),
    "is_alive": lambda task, channel: task.is_alive(),
    "join(0)": empty(lambda task, channel: task.join(0), TimeoutError),
    "receive(False)": empty(lambda task, channel: channel.receive_pyobj(False), IndexError),
    "receive(timeout=0)": empty(lambda task, channel: channel.receive_bytes(timeout=0), TimeoutError),
    "send(False)": empty(lambda task, channel: full(channel), OverflowError),
}


@pytest.fixture
def one_cpu():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("PyPy cannot say on which CPU it runs")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize("poll", POLLS)
def test_polls_leave_the_cpu_to_the_child(poll, one_cpu):
    result, other = Channel(1024), Channel(1024)
    with Thread(work, args=(result,)) as task:
        task.start()
        begin, polls, end = time.process_time(), 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            POLLS[poll](task, other)
            polls += 1
        mine = time.process_time() - begin
        assert polls > 10
        assert mine < result.receive_pyobj() / 3
    result.dispose()
    other.dispose()


def test_polls_for_an_item_leave_the_cpu_to_the_generator(one_cpu):
    def items():
        begin, end = time.process_time(), time.monotonic() + SECONDS
        while time.monotonic() < end:
            pass
        yield time.process_time() - begin

    with Generator(items) as generator:
        generator.start()
        begin = time.process_time()
        while True:
            try:
                theirs = generator.next(False)
                break
            except IndexError:
                pass
        assert time.process_time() - begin < theirs / 3


def test_polls_that_find_something_are_not_slowed():
    with Channel(1 << 20) as channel:
        for _ in range(1000):  # from now on each empty poll yields
            with pytest.raises(IndexError):
                channel.receive_pyobj(False)
        begin = time.process_time()
        for number in range(10_000):
            channel.send_pyobj(number)
            assert channel.receive_pyobj(False) == number
        assert time.process_time() - begin < 2
