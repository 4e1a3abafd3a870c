"""Calls on a Thread or Generator from inside another call on it: from what start() calls, from merge, from signal handlers."""
import gc
import os
import signal
import sys
import threading
import time

import pytest

from snakefish import Generator, Thread, wait


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


def test_an_iterator_in_args_cannot_initialise_it_meanwhile():
    task = Thread.__new__(Thread)

    def arguments():
        task.__init__(identity, name="inner")
        task.start()
        yield 1

    with pytest.raises(RuntimeError, match="inner was initialised meanwhile"):
        task.__init__(identity, args=arguments())
    task.join()
    assert task.get_result() == task.pid


def test_merge_cannot_join_it_but_may_try():
    tried = []

    def merge(_, extracted):
        tried.append(thread.try_join())
        thread.join()

    thread = Thread(identity, lambda _: 1, merge, name="mine")
    thread.start()
    with pytest.raises(RuntimeError, match=r"mine is in join\(\) already: that call must finish first"):
        thread.join()
    assert tried == [False]
    assert thread.get_exit_status() == 0
    thread.join()


@pytest.fixture
def alarm():
    """Calls the given function in a signal handler, after so many seconds. What it raises comes out of the handler."""
    before = signal.getsignal(signal.SIGUSR1)
    timers = []

    def call(function, seconds):
        signal.signal(signal.SIGUSR1, lambda *_: function())
        timers.append(threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1)))
        timers[0].start()

    yield call
    timers[0].join()
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_may_end_and_join_what_it_interrupts_in_join(alarm):
    """As a server's handler of SIGTERM does."""
    thread = Thread(time.sleep, args=(60,))
    thread.start()
    seen = []

    def stop():
        thread.terminate()
        thread.join()
        seen.append(thread.get_exit_status())

    alarm(stop, 0.1)
    thread.join()
    assert seen == [-signal.SIGTERM] and thread.get_exit_status() == -signal.SIGTERM


def test_handlers_that_join_one_inside_the_other_all_return(alarm):
    thread = Thread(time.sleep, lambda g: "extracted", lambda g, x: merged.append(x), args=(1,))
    thread.start()
    depth, merged = [], []

    def join():
        depth.append(1)
        if len(depth) < 4:
            os.kill(os.getpid(), signal.SIGUSR1)
        else:
            thread.kill()
        thread.join()

    alarm(join, 0.1)
    thread.join()
    assert len(depth) == 4 and merged == []


def test_a_handler_that_interrupts_merge_cannot_join_and_merge_goes_on():
    raised, merged = [], []

    def merge(g, extracted):
        signal.raise_signal(signal.SIGUSR1)
        for _ in range(1000):  # a handler runs between two instructions
            pass
        merged.append(extracted)

    def handler(*_):
        with pytest.raises(RuntimeError, match=r"join\(\) already") as caught:
            thread.join()
        raised.append(caught)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        thread = Thread(identity, lambda g: 1, merge)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(raised) == 1 and merged == [1] and thread.get_result() == thread.pid


def test_a_python_thread_that_joins_during_merge_waits_for_its_turn():
    begun, go_on, merged = threading.Event(), threading.Event(), []

    def merge(g, extracted):
        begun.set()
        assert go_on.wait(30)
        merged.append(extracted)

    thread = Thread(identity, lambda g: 1, merge)
    thread.start()
    joiners = [threading.Thread(target=thread.join) for _ in range(3)]
    joiners[0].start()
    assert begun.wait(30)
    for joiner in joiners[1:]:
        joiner.start()
    with pytest.raises(TimeoutError):
        thread.join(0.1)
    assert thread.try_join() is False
    with pytest.raises(RuntimeError, match=r"join\(\) already"):
        thread.get_result()
    go_on.set()
    for joiner in joiners:
        joiner.join(30)
        assert not joiner.is_alive()
    assert merged == [1] and thread.get_result() == thread.pid


def test_a_handler_that_raises_ends_the_wait_of_join(alarm):
    class Alarm(Exception):
        pass

    def shout():
        raise Alarm

    thread = Thread(time.sleep, args=(60,))
    thread.start()
    alarm(shout, 0.1)
    with pytest.raises(Alarm):
        thread.join()
    thread.kill()
    thread.join()
    assert thread.get_exit_status() == -9


def test_a_process_forked_while_another_thread_unpickles_may_ask_for_the_result():
    """In it that Python thread does not exist, so nobody there is busy with the result."""
    global during_unpickling
    inside, go_on = threading.Event(), threading.Event()

    def linger():
        if os.getpid() == parent:
            inside.set()
            assert go_on.wait(30)

    parent, during_unpickling = os.getpid(), linger
    thread = Thread(Unpickled)
    thread.start()
    thread.join()
    asker = threading.Thread(target=thread.get_result)
    asker.start()
    assert inside.wait(30)
    forked = os.fork()
    if forked == 0:
        status = 1
        try:
            status = thread.get_result() != "unpickled"
        finally:
            os._exit(status)
    status = os.waitpid(forked, 0)[1]
    go_on.set()
    asker.join()
    during_unpickling = None
    assert status == 0 and thread.get_result() == "unpickled"


# ---- every method, at every place ----

NAP_S, SOON_S = 0.1, 0.03  # what waits for a nap is still waiting a little later
during_unpickling = None  # what the unpickling of an Unpickled calls in the parent


def unpickled():
    if during_unpickling is not None:
        during_unpickling()
    return "unpickled"


class Unpickled:
    def __reduce__(self):
        return unpickled, ()


def nap():
    time.sleep(NAP_S)
    return Unpickled()


def napping():
    yield 1
    time.sleep(NAP_S)
    yield Unpickled()
    yield Unpickled()


METHODS = {
    "start": lambda task: task.start(), "join": lambda task: task.join(), "join in time": lambda task: task.join(0.05),
    "try_join": lambda task: task.try_join(), "is_alive": lambda task: task.is_alive(),
    "get_exit_status": lambda task: task.get_exit_status(), "fileno": lambda task: task.fileno(),
    "terminate": lambda task: task.terminate(), "kill": lambda task: task.kill(), "dispose": lambda task: task.dispose(),
    "repr": repr, "pid": lambda task: task.pid, "enter": lambda task: task.__enter__(),
    "exit": lambda task: task.__exit__(None, None, None), "exit with": lambda task: task.__exit__(KeyError, KeyError(), None),
    "wait": lambda task: wait([task], 0.05), "init": lambda task: task.__init__(napping), "collect": lambda task: gc.collect(),
    "get_result": lambda task: task.get_result(), "next": lambda task: task.next(), "next(False)": lambda task: task.next(False),
}


def in_a_handler(task, call):
    """While join(), or next(), waits."""
    before = signal.signal(signal.SIGUSR1, lambda *_: call())
    timer = threading.Timer(SOON_S, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def in_a_thread(task, call):
    """While join(), or next(), waits."""
    timer = threading.Timer(SOON_S, call)
    timer.start()
    yield
    timer.join()


def in_unpickling(task, call):
    global during_unpickling
    during_unpickling = call
    yield
    during_unpickling = None


PLACES = {"handler": in_a_handler, "thread": in_a_thread, "unpickling": in_unpickling, "merge": None}


def use(task):
    """The calls that something else happens in."""
    task.start()
    if isinstance(task, Generator):
        for _ in range(3):
            task.next()
    task.join()
    if isinstance(task, Thread):
        task.get_result()


@pytest.mark.diagonal
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind, f", [(Thread, nap), (Generator, napping)], ids=["Thread", "Generator"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_at_every_place_works_or_raises_runtime_error(method, kind, f, place, recwarn):
    called, merging = [], []

    def call():
        if called:
            return
        called.append(None)
        try:
            called.append(METHODS[method](task))
        except (RuntimeError, TimeoutError, IndexError, StopIteration, AttributeError) as error:
            assert str(error) or isinstance(error, StopIteration)
            assert not isinstance(error, AttributeError) or method in ("get_result", "next", "next(False)")

    def merge(g, extracted):
        merging.append(extracted)
        if place == "merge":
            call()

    task = kind(f, lambda g: Unpickled(), merge)
    around = PLACES[place](task, call) if PLACES[place] else iter([None, None])
    next(around)
    try:
        use(task)
    except (RuntimeError, StopIteration) as error:  # ended, or disposed of, before its time
        assert method in ("dispose", "exit", "exit with", "terminate", "kill", "join", "join in time", "try_join"), error
    next(around, None)
    assert called, "it was called nowhere"
    assert merging in ([], ["unpickled"])
    task.dispose()
    assert task.is_alive() is False and not os.path.exists(f"/proc/{task.pid}")


@pytest.mark.diagonal
@pytest.mark.parametrize("where", ["f", "extract", "__reduce__"])
@pytest.mark.parametrize("kind", [Thread, Generator])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_in_its_own_child_works_or_raises_runtime_error(method, kind, where):
    def call():
        try:
            METHODS[method](task)
        except (RuntimeError, AttributeError, StopIteration):
            pass

    class Reduced:
        def __reduce__(self):
            call()
            return str, ("reduced",)

    def value():
        if where == "f":
            call()
        return Reduced() if where == "__reduce__" else "value"

    def items():
        yield value()

    task = kind(items if kind is Generator else value, lambda g: call() if where == "extract" else None, lambda g, x: None)
    task.start()
    item = task.next() if kind is Generator else None
    task.join()
    assert task.get_exit_status() == 0
    assert (item or task.get_result()) in ("value", "reduced")


def test_dispose_in_the_hook_that_tells_of_it(monkeypatch):
    def hook(told):
        for method in METHODS.values():
            try:
                method(task)
            except (RuntimeError, AttributeError, ZeroDivisionError):
                pass
        calls.append(told)

    def f():
        return 1 / 0

    calls, before = [], getattr(sys, "unraisablehook", None)
    task = Thread(f)
    task.start()
    task.join()
    sys.unraisablehook = hook
    try:
        task.dispose()
    finally:
        sys.unraisablehook = before
    assert len(calls) == 1
