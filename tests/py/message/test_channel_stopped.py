"""A process that is stopped while it holds a Channel's lock makes nobody late, and nobody deaf to signals."""
import ctypes
import os
import signal
import threading
import time

import pytest
from conftest import finish_program, start_program
from stopped import new_channel, shared_mappings, stopped_owner, tag_of, word

import snakefish
from snakefish import Generator, Thread


class Alarm(Exception):
    pass


@pytest.fixture
def alarm():
    """Raises Alarm in the main thread after so many seconds."""
    def ring(*_):
        raise Alarm
    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def late():
    """Seconds since the test began to call."""
    begin = time.monotonic()
    return lambda: time.monotonic() - begin


BLOCKING = {
    "receive": lambda channel, **how: channel.receive_pyobj(**how),
    "receive bytes": lambda channel, **how: channel.receive_bytes(**how),
    "send": lambda channel, **how: channel.send_pyobj(1, True, **how),
    "send bytes": lambda channel, **how: channel.send_bytes(b"1", True, **how),
}


@pytest.mark.parametrize("call", BLOCKING)
def test_a_timeout_passes_in_time(call):
    channel, address = new_channel()
    channel.send_pyobj(5)
    with stopped_owner(address):
        for timeout in (0, 0.05, 0.3):
            begin = time.monotonic()
            with pytest.raises(TimeoutError, match="stopped"):
                BLOCKING[call](channel, timeout=timeout)
            assert timeout <= time.monotonic() - begin < timeout + 0.25
    assert channel.receive_pyobj(timeout=10) == 5
    channel.dispose()


@pytest.mark.parametrize("call", BLOCKING)
def test_signal_handlers_run_and_may_raise(call, alarm):
    channel, address = new_channel()
    channel.send_pyobj(5)
    with stopped_owner(address):
        begin = time.monotonic()
        alarm(0.15)
        with pytest.raises(Alarm):
            BLOCKING[call](channel)
        assert time.monotonic() - begin < 0.5
    assert channel.receive_pyobj(timeout=10) == 5
    channel.dispose()


def test_calls_that_do_not_block_come_back_and_say_why():
    channel, address = new_channel()
    channel.send_pyobj(5)
    with stopped_owner(address):
        for error, call in ((IndexError, lambda: channel.receive_pyobj(False)), (RuntimeError, lambda: len(channel)),
                            (OverflowError, lambda: channel.send_pyobj(1)), (IndexError, lambda: channel.receive_bytes(False))):
            begin = time.monotonic()
            with pytest.raises(error, match="stopped"):
                call()
            assert time.monotonic() - begin < 0.8
    assert len(channel) == 1 and channel.receive_pyobj(False) == 5
    channel.dispose()


def test_other_python_threads_go_on_meanwhile():
    channel, address = new_channel()
    turns, end = [0], threading.Event()

    def turn():
        while not end.wait(0.001):
            turns[0] += 1

    with stopped_owner(address):
        thread = threading.Thread(target=turn)
        thread.start()
        before = turns[0]
        with pytest.raises(TimeoutError):
            channel.receive_pyobj(timeout=0.5)
        assert turns[0] - before > 50
    end.set()
    thread.join()
    channel.dispose()


def test_a_waiting_call_goes_on_when_the_owner_does():
    channel, address = new_channel()

    def receive():
        return channel.receive_pyobj()

    with Thread(receive) as task:
        with stopped_owner(address):
            task.start()
            time.sleep(0.3)
            word(ctypes.c_uint32, address).value = 0  # as if it had gone on, been woken, and dropped the lock
            channel.send_pyobj("here", True, 10)
            task.join(10)
        assert task.get_result() == "here"
    channel.dispose()


def test_dispose_does_not_wait_for_it(late):
    channel, address = new_channel()
    with stopped_owner(address):
        channel.dispose()
        assert late() < 1


def test_dispose_ends_a_call_in_another_thread():
    channel, address = new_channel()
    raised = []

    def receive():
        try:
            channel.receive_pyobj()
        except RuntimeError as error:
            raised.append(str(error))

    with stopped_owner(address):
        thread = threading.Thread(target=receive)
        thread.start()
        time.sleep(0.2)
        channel.dispose()
        thread.join(5)
        assert not thread.is_alive() and "disposed" in raised[0]


def stop_with_lock_of_results():
    """In a worker or a Generator's child: stops it, with the lock of the ring over which it sends its results."""
    for begin, end in shared_mappings().items():
        try:
            word(ctypes.c_uint32, begin).value = tag_of(begin, os.getpid())
        except (LookupError, ValueError):
            continue
    os.kill(os.getpid(), signal.SIGSTOP)


def test_a_map_hears_signals_although_a_worker_is_stopped_with_the_lock(alarm, late):
    alarm(0.5)
    with pytest.raises(Alarm):
        snakefish.map(lambda n: stop_with_lock_of_results() if n == 3 else n, range(8), 2, 1)
    assert late() < 3


def test_an_imap_hears_signals_although_a_worker_is_stopped_with_the_lock(alarm, late):
    alarm(0.5)
    with pytest.raises(Alarm), snakefish.imap(lambda n: stop_with_lock_of_results() if n == 3 else n, range(8), 2) as results:
        list(results)
    assert late() < 3


def test_a_generators_next_is_in_time_although_its_child_is_stopped_with_the_lock(late):
    def items():
        yield 1
        stop_with_lock_of_results()
        yield 2

    generator = Generator(items)
    generator.start()
    assert generator.next() == 1
    with pytest.raises(TimeoutError):
        generator.next(timeout=0.3)
    with pytest.raises(IndexError):
        generator.next(False)
    assert late() < 3
    with pytest.warns(ResourceWarning):
        generator.dispose()
    assert late() < 3


def test_ctrl_c_ends_a_program_at_its_exit_whose_child_is_stopped_with_the_lock():
    program = start_program("""
        import ctypes, os, signal, time
        from stopped import new_channel, tag_of, word
        from snakefish import Thread
        channel, address = new_channel()
        def stop():
            word(ctypes.c_uint32, address).value = tag_of(address, os.getpid())
            print("ready", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        t = Thread(stop)
        t.start()
        time.sleep(0.5)
        """)
    assert program.stdout.readline() == "ready\n"
    time.sleep(1)
    assert program.poll() is None
    os.kill(program.pid, signal.SIGINT)
    begin = time.monotonic()
    finish_program(program, 20)
    assert time.monotonic() - begin < 5
