"""Every method of a Channel may be called while one of its methods is under way: from what pickling and unpickling call,
from signal handlers, finalizers and other threads. It works or raises, and never waits for itself."""
import os
import random
import signal
import threading
import time
import weakref

import pytest
from conftest import PYPY, collect, settles

from snakefish import Channel, Thread

METHODS = {
    "send": lambda c: c.send_pyobj("inner"),
    "send and wait": lambda c: c.send_pyobj("inner", True, 0.05),
    "send what does not fit": lambda c: c.send_pyobj(b"x" * 5000, True),
    "send bytes": lambda c: c.send_bytes(b"inner"),
    "receive": lambda c: c.receive_pyobj(False),
    "receive and wait": lambda c: c.receive_pyobj(timeout=0.05),
    "receive bytes": lambda c: c.receive_bytes(False),
    "dispose": lambda c: c.dispose(),
    "exit": lambda c: c.__exit__(None, None, None),
    "enter": lambda c: c.__enter__(),
    "len": len,
    "repr": repr,
    "bool": bool,
    "pickle": lambda c: c.__reduce__(),
    "init": lambda c: c.__init__(),
}
FINE = (RuntimeError, IndexError, OverflowError, TimeoutError, TypeError, EOFError, BrokenPipeError)


def call(channel, method):
    """"done", or the name of a documented exception."""
    try:
        METHODS[method](channel)
        return "done"
    except FINE as error:
        assert str(error)
        return type(error).__name__


inside = []  # what Calls call; a list of functions without arguments, emptied first


def call_what_is_inside():
    functions, inside[:] = inside[:], []
    for function in functions:
        function()


class CallsWhenPickled:
    def __reduce__(self):
        call_what_is_inside()
        return str, ("pickled",)


def rebuild(*_):
    call_what_is_inside()
    return "unpickled"


class CallsWhenUnpickled:
    def __init__(self, *args):
        self.args = args

    def __reduce__(self):
        return rebuild, self.args


class CallsAtItsEnd:
    def __del__(self):
        call_what_is_inside()


def rebuild_and_drop(*_):
    CallsAtItsEnd()
    if PYPY:
        collect()
    return "dropped"


class DropsWhenUnpickled:
    def __reduce__(self):
        return rebuild_and_drop, ()


def rebuild_and_drop_weakly(*_):
    thing = CallsWhenUnpickled()
    kept = weakref.ref(thing, lambda _: call_what_is_inside())
    del thing
    if PYPY:
        collect()
    return kept and "weak"


class DropsWeakly:
    def __reduce__(self):
        return rebuild_and_drop_weakly, ()


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def handler():
    """Sets the handler of SIGUSR1."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda function: signal.signal(signal.SIGUSR1, lambda *_: function())
    signal.signal(signal.SIGUSR1, before)


def kill_self():
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(100):  # bytecodes, for the handler to run
        pass


def usable_or_disposed(channel):
    """After all: it works as a new one does, or says that it is disposed."""
    try:
        for _ in range(1000):
            channel.receive_pyobj(False)
    except IndexError:
        pass
    except RuntimeError as error:
        assert "disposed" in str(error)
        assert "disposed" in repr(channel)
        return
    channel.send_bytes(b"x" * 900)  # all room is back
    assert channel.receive_pyobj() == b"x" * 900
    channel.dispose()


@pytest.mark.diagonal
@pytest.mark.parametrize("how", ["by itself", "in a thread"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("thing", [CallsWhenPickled, CallsWhenUnpickled, DropsWhenUnpickled, DropsWeakly])
def test_from_pickling_and_unpickling(thing, method, how):
    channel, outcomes = Channel(1024), []
    channel.send_pyobj("first")

    def inner():
        outcomes.append(call(channel, method))

    inside[:] = [inner if how == "by itself" else lambda: in_thread(inner)]
    try:
        channel.send_pyobj(thing())
        for _ in range(2):
            channel.receive_pyobj(False)
    except (RuntimeError, IndexError) as error:
        assert method in ("dispose", "exit", "receive", "receive and wait", "receive bytes"), error
    assert len(outcomes) == 1 and not inside
    usable_or_disposed(channel)


@pytest.mark.diagonal
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("outer", ["receive", "send"])
def test_from_a_signal_handler_that_interrupts_a_wait(outer, method, handler):
    channel, outcomes = Channel(1024), []
    handler(lambda: outcomes.append(call(channel, method)))

    def poke():  # a thread keeps the wait from ending by EOFError
        settles(lambda: len(outcomes) or os.kill(os.getpid(), signal.SIGUSR1) or time.sleep(0.05))
        time.sleep(0.2)
        try:
            channel.send_pyobj("end") if outer == "receive" else channel.receive_pyobj(False)
        except (IndexError, OverflowError, RuntimeError):
            pass

    if outer == "send":
        channel.send_bytes(b"x" * 1000)
    thread = threading.Thread(target=poke)
    thread.start()
    try:
        channel.receive_pyobj(timeout=5) if outer == "receive" else channel.send_bytes(b"x" * 600, True, 5)
    except RuntimeError as error:
        assert method in ("dispose", "exit") and "disposed" in str(error)
    thread.join()
    assert outcomes
    usable_or_disposed(channel)


@pytest.mark.parametrize("method", ["dispose", "exit"])
@pytest.mark.parametrize("outer", ["receive", "send"])
def test_dispose_by_another_thread_ends_a_wait(outer, method):
    channel = Channel(1024)
    channel.send_bytes(b"x" * 1000)
    if outer == "receive":
        channel.receive_pyobj()
    timer = threading.Timer(0.2, METHODS[method], [channel])
    timer.start()
    with pytest.raises(RuntimeError, match="disposed"):
        channel.receive_pyobj() if outer == "receive" else channel.send_bytes(b"x" * 600, True)
    timer.join()


class Alarm(Exception):
    pass


@pytest.mark.diagonal
@pytest.mark.parametrize("size", [0, 100_000, 2_500_000])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, Alarm])
def test_what_was_being_received_when_an_interruption_came_is_still_there(error, size, handler):
    channel = Channel(1 << 23)

    def interrupt():
        raise error

    handler(interrupt)
    for number in range(3):
        channel.send_pyobj(CallsWhenUnpickled(number, b"x" * size))
    for _ in range(3):
        inside[:] = [kill_self]
        with pytest.raises(error):
            channel.receive_pyobj()
        assert len(channel) == 3
    with Thread(channel.receive_pyobj) as task:  # for others, too
        task.start()
        task.join()
        assert task.get_result() == "unpickled"
    assert [channel.receive_pyobj(False) for _ in range(2)] == ["unpickled"] * 2
    with pytest.raises(IndexError):
        channel.receive_pyobj(False)
    channel.dispose()


def test_a_message_that_cannot_be_unpickled_is_taken():
    channel = Channel(1024)

    def fail():
        raise LookupError("mine")

    channel.send_pyobj(CallsWhenUnpickled())
    channel.send_pyobj("next")
    inside[:] = [fail]
    with pytest.raises(LookupError, match="mine"):
        channel.receive_pyobj()
    assert channel.receive_pyobj() == "next" and len(channel) == 0
    channel.dispose()


def test_messages_keep_their_order_when_one_is_given_back():
    channel = Channel(1 << 16)
    for number in range(5):
        channel.send_pyobj(CallsWhenUnpickled() if number == 0 else number)

    def receive_others_and_stop():
        assert [channel.receive_pyobj() for _ in range(2)] == [1, 2]
        raise KeyboardInterrupt

    inside[:] = [receive_others_and_stop]
    with pytest.raises(KeyboardInterrupt):
        channel.receive_pyobj()
    channel.send_pyobj(5)
    assert [channel.receive_pyobj() for _ in range(4)] == ["unpickled", 3, 4, 5]
    channel.dispose()


def test_a_fork_while_unpickling_gives_each_process_the_message_and_the_ring_its_room_once():
    channel, results = Channel(1024), Channel(1024)
    channel.send_pyobj(CallsWhenUnpickled())
    pids = []
    inside[:] = [lambda: pids.append(os.fork())]
    got = channel.receive_pyobj()
    if pids[0] == 0:
        try:
            results.send_pyobj(got)
        finally:
            os._exit(0)
    os.waitpid(pids[0], 0)
    assert got == results.receive_pyobj() == "unpickled"
    usable_or_disposed(channel)
    results.dispose()


SEED = int(os.environ.get("SF_REENTRY_SEED", random.randrange(1 << 30)))


def test_any_methods_at_any_places_deeply(handler):
    """Seeded: SF_REENTRY_SEED repeats a run."""
    rng = random.Random(SEED)
    print("SF_REENTRY_SEED", SEED)
    places = [CallsWhenPickled, CallsWhenUnpickled, DropsWhenUnpickled, DropsWeakly]
    end = time.monotonic() + float(os.environ.get("SF_REENTRY_SECONDS", 3))
    while time.monotonic() < end:
        channel, depth = Channel(rng.choice([1024, 4096, 1 << 20])), [0]

        def act():
            depth[0] += 1
            method = rng.choice(list(METHODS))
            if rng.random() < 0.7:
                method = rng.choice(["receive", "send", "len"])
            inside.append(rng.choice([act, lambda: in_thread(act), kill_self]))
            if depth[0] > 30:
                inside.clear()
            elif rng.random() < 0.6:
                try:
                    channel.send_pyobj(rng.choice(places)())
                except FINE:
                    pass
            call(channel, method)

        handler(act)
        for _ in range(20):
            act()
        inside.clear()
        usable_or_disposed(channel)
