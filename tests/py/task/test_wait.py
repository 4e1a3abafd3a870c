"""wait(): waits until the first of several Threads and Generators has ended."""
import asyncio
import os
import signal
import threading
import time

import pytest

from snakefish import Channel, Generator, Thread, wait


def started(f, *args):
    thread = Thread(f, args=args)
    thread.start()
    return thread


@pytest.fixture
def gates():
    """Threads that end when their gate, a Channel, is opened."""
    made = []

    def make(count):
        for _ in range(count):
            channel = Channel(4096)
            made.append((channel, started(lambda c: c.receive_pyobj(timeout=30), channel)))
        return [c for c, _ in made], [t for _, t in made]

    yield make
    for channel, thread in made:
        thread.kill()
        thread.join()
        channel.dispose()


def open_later(channel, seconds):
    timer = threading.Timer(seconds, channel.send_pyobj, [None])
    timer.start()
    return timer


def test_it_returns_the_one_that_has_ended_and_leaves_it_to_be_joined(gates):
    channels, threads = gates(3)
    timer = open_later(channels[1], 0.2)
    began = time.monotonic()
    assert wait(threads) == [threads[1]]
    assert 0.15 < time.monotonic() - began < 5
    timer.join()
    assert wait(iter(threads)) == [threads[1]]  # still not joined
    threads[1].join()
    assert threads[1].get_result() is None


def test_all_that_have_ended_come_in_the_order_given(gates):
    channels, threads = gates(4)
    for i in (3, 0, 2):
        channels[i].send_pyobj(None)
        while threads[i].is_alive():
            time.sleep(0.001)
    assert wait(threads) == [threads[0], threads[2], threads[3]]
    assert wait(threads[::-1], 0) == [threads[3], threads[2], threads[0]]
    assert wait([threads[0], threads[0]]) == [threads[0], threads[0]]


def test_every_end_is_an_end(gates):
    for how in (lambda: 1 / 0, lambda: os._exit(3), lambda: os.kill(os.getpid(), signal.SIGKILL)):
        thread = started(how)
        assert wait([thread], 20) == [thread]
        thread.join()


def test_an_empty_list_when_the_timeout_passes(gates):
    _, threads = gates(1)
    began = time.monotonic()
    assert wait(threads, 0.2) == []
    assert 0.2 <= time.monotonic() - began < 2
    assert wait(threads, timeout=0) == []


def test_it_sleeps_while_it_waits(gates):
    _, threads = gates(2)
    began = time.process_time()
    assert wait(threads, 0.5) == []
    assert time.process_time() - began < 0.1


def test_generators_end_when_their_function_has(gates):
    def count():
        yield 1

    _, threads = gates(1)
    generator = Generator(count)
    generator.start()
    assert wait([generator], 0.1) == []
    assert list(generator) == [1]
    assert wait([*threads, generator], 20) == [generator]
    generator.join()


def test_nothing_to_wait_for_is_refused_or_waits_for_the_timeout():
    with pytest.raises(ValueError, match="threads is empty"):
        wait([])
    began = time.monotonic()
    assert wait([], 0.1) == []
    assert time.monotonic() - began >= 0.1


def test_wrong_states_are_refused(gates):
    _, threads = gates(1)
    fresh = Thread(int)
    with pytest.raises(RuntimeError, match="not started"):
        wait([*threads, fresh], 1)
    joined = started(int)
    joined.join()
    with pytest.raises(RuntimeError, match="joined already"):
        wait([*threads, joined], 1)
    disposed = started(int)
    wait([disposed])
    disposed.dispose()
    with pytest.raises(RuntimeError, match="disposed"):
        wait([*threads, disposed], 1)

    def elsewhere():
        with pytest.raises(RuntimeError, match="only that process can wait"):
            wait(threads, 1)
        return "refused"

    other = started(elsewhere)
    other.join()
    assert other.get_result() == "refused"


@pytest.mark.parametrize("wrong,error", [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), ([], TypeError)])
def test_wrong_timeouts_are_refused_by_name(gates, wrong, error):
    with pytest.raises(error, match="timeout"):
        wait([], wrong)


def test_what_is_no_iterable_of_threads_is_refused(gates):
    _, threads = gates(1)
    with pytest.raises(TypeError, match="not of int"):
        wait([threads[0], 1])
    with pytest.raises(TypeError, match="not a snakefish.Thread|not a Thread"):
        wait(threads[0])
    generator = Generator(lambda: (yield 1))
    with pytest.raises(TypeError, match="iterable of Threads"):
        wait(generator)  # a Generator is iterable, but wait() must not iterate it


def test_a_child_that_something_else_reaped_has_ended(check_program):
    assert check_program("""
        import signal
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        from snakefish import Thread, wait
        import time
        quick = Thread(int)
        quick.start()
        time.sleep(0.3)
        print(wait([quick], 10) == [quick])
        quick.is_alive()
        quick.join()
        """) == "True\n"


def test_a_thread_that_another_python_thread_joins_meanwhile_is_reported(gates):
    channels, threads = gates(1)
    joiner = threading.Thread(target=threads[0].join)
    joiner.start()
    timer = open_later(channels[0], 0.2)
    assert wait(threads, 20) == threads
    joiner.join()
    timer.join()


def test_signal_handlers_run_meanwhile_and_may_raise(gates):
    channels, threads = gates(1)

    class Alarm(Exception):
        pass

    def handler(*_):
        calls.append(time.monotonic())
        if len(calls) == 2:
            raise Alarm

    calls = []
    old = signal.signal(signal.SIGUSR1, handler)
    timers = [threading.Timer(s, os.kill, (os.getpid(), signal.SIGUSR1)) for s in (0.1, 0.3)]
    try:
        for timer in timers:
            timer.start()
        with pytest.raises(Alarm):
            wait(threads, 20)
        assert calls[1] - calls[0] > 0.1  # the first did not end the wait
    finally:
        for timer in timers:
            timer.join()
        signal.signal(signal.SIGUSR1, old)


def test_fileno_serves_asyncio_for_the_same():
    async def end_of(thread):
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(thread.fileno(), ended.set)
        await asyncio.wait_for(ended.wait(), 20)
        loop.remove_reader(thread.fileno())

    thread = started(time.sleep, 0.1)
    asyncio.run(end_of(thread))
    assert wait([thread], 0) == [thread]
    thread.join()
