"""What interrupts the taking of a result, or calls back into it, loses nothing: the call can be made again."""
import functools
import os
import signal
import sys
import threading
import time

import pytest
from conftest import PYPY

import snakefish
from snakefish import ChildDied, Generator, Thread

call = None  # what the unpickling of a Result calls in the parent


def unpickled():
    if call is not None:
        call()
    return "the result"


class Result:
    def __reduce__(self):
        return unpickled, ()


@pytest.fixture
def during_unpickling():
    """Sets what the next unpickling of a Result calls. The child calls nothing: it only pickles."""
    def set_call(function):
        global call
        call = function
    yield set_call
    set_call(None)


def joined(f, *merging):
    task = Thread(f, *merging, name="mine")
    task.start()
    return task


def interrupt():
    signal.raise_signal(signal.SIGINT)
    for _ in range(1000):  # a handler runs between two instructions
        pass


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, SystemExit])
def test_a_result_whose_unpickling_is_interrupted_can_be_asked_for_again(interruption, during_unpickling):
    task = joined(Result)
    task.join()

    def interrupted():
        if interruption is KeyboardInterrupt:
            interrupt()
        raise interruption

    during_unpickling(interrupted)
    for _ in range(2):
        with pytest.raises(interruption):
            task.get_result()
    during_unpickling(None)
    assert task.get_result() == "the result"
    assert task.get_result() == "the result"


def test_get_result_in_the_unpickling_of_that_result_is_refused(during_unpickling):
    task = joined(Result)
    task.join()
    raised = []

    def ask():
        with pytest.raises(RuntimeError, match=r"^mine is in get_result\(\) already") as caught:
            task.get_result()
        raised.append(caught)

    during_unpickling(ask)
    assert task.get_result() == "the result"
    assert len(raised) == 1


def test_get_result_in_two_python_threads_gives_one_the_result_and_the_other_a_sentence(during_unpickling):
    task = joined(Result)
    task.join()
    inside, go_on = threading.Event(), threading.Event()

    def linger():
        inside.set()
        assert go_on.wait(30)

    during_unpickling(linger)
    results = []
    other = threading.Thread(target=lambda: results.append(task.get_result()))
    other.start()
    assert inside.wait(30)
    with pytest.raises(RuntimeError, match=r"get_result\(\) already"):
        task.get_result()
    go_on.set()
    other.join()
    assert results == ["the result"] and task.get_result() == "the result"


def test_a_join_that_is_interrupted_while_it_unpickles_what_was_extracted_merges_at_the_next_join(during_unpickling):
    merged = []
    task = joined(lambda: 7, lambda g: Result(), lambda g, extracted: merged.append(extracted))
    during_unpickling(interrupt)
    with pytest.raises(KeyboardInterrupt):
        task.join()
    assert merged == []
    during_unpickling(None)
    task.join()
    assert merged == ["the result"] and task.get_result() == 7


class Deadline(Exception):
    """An ordinary exception, which handlers raise."""


def late(number, frame):
    raise Deadline


class Timer:
    def late(self, number, frame):
        raise Deadline

    def __call__(self, *arguments):
        raise Deadline


def late_once(number, frame):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    late(number, frame)


HANDLERS = {
    "function": late, "method": Timer().late, "object": Timer(), "partial": functools.partial(Timer().late),
    "lambda": lambda *arguments: late(*arguments), "keywords": lambda number, frame=None, **more: late(number, frame),
    "once": late_once,
}


@pytest.fixture(params=HANDLERS)
def alarm(request):
    """Calls a handler of SIGALRM that raises Deadline; there is one of each kind."""
    before = signal.signal(signal.SIGALRM, HANDLERS[request.param])

    def call():
        signal.raise_signal(signal.SIGALRM)
        for _ in range(1000):
            pass
    yield call
    signal.signal(signal.SIGALRM, before)


def test_what_a_handler_raises_comes_out_of_get_result_as_it_is_and_the_result_after_it(alarm, during_unpickling):
    task = joined(Result)
    task.join()
    during_unpickling(alarm)
    with pytest.raises(Deadline):
        task.get_result()
    during_unpickling(None)
    assert task.get_result() == "the result"


def test_what_a_handler_raises_comes_out_of_join_as_it_is_and_the_next_join_merges(alarm, during_unpickling):
    merged = []
    task = joined(lambda: 7, lambda g: Result(), lambda g, extracted: merged.append(extracted))
    during_unpickling(alarm)
    with pytest.raises(Deadline):
        task.join()
    during_unpickling(None)
    task.join()
    assert merged == ["the result"] and task.get_result() == 7


@pytest.mark.parametrize("way", [
    lambda: snakefish.map(lambda x: Result(), [1]), lambda: list(snakefish.imap(lambda x: Result(), [1])),
    lambda: snakefish.map(lambda x: 1, [1], extract=lambda g: Result(), merge=lambda g, extracted: None)],
    ids=["map", "imap", "merge"])
def test_what_a_handler_raises_comes_out_of_maps_as_it_is(way, alarm, during_unpickling):
    during_unpickling(alarm)
    with pytest.raises(Deadline):
        way()


def test_what_a_handler_raises_comes_out_of_a_generator_as_it_is(alarm, during_unpickling):
    def items():
        yield Result()

    with Generator(items) as generator:
        generator.start()
        during_unpickling(alarm)
        with pytest.raises(Deadline):
            generator.next()
        during_unpickling(None)


def test_the_same_exception_from_anything_but_a_handler_is_about_the_bytes(during_unpickling):
    task = joined(Result)
    task.join()

    def raise_it(number=signal.SIGALRM, frame=sys._getframe()):  # a frame, but not its caller's
        raise Deadline("mine")

    during_unpickling(raise_it)
    with pytest.raises(ChildDied, match="its result cannot be unpickled: mine") as caught:
        task.get_result()
    assert isinstance(caught.value.__cause__, Deadline)


def test_a_result_that_could_not_be_unpickled_can_be_asked_for_again(during_unpickling):
    task = joined(Result)
    task.join()
    during_unpickling(lambda: {}["nothing"])
    for _ in range(2):
        with pytest.raises(ChildDied, match="its result cannot be unpickled: 'nothing'"):
            task.get_result()
    during_unpickling(None)
    task.dispose()
    assert task.get_result() == "the result"


def test_what_was_extracted_and_cannot_be_unpickled_is_told_once_by_join(during_unpickling):
    task = joined(lambda: 7, lambda g: Result(), lambda g, extracted: None)
    during_unpickling(lambda: {}["nothing"])
    with pytest.raises(ChildDied, match="what it extracted cannot be unpickled: 'nothing'"):
        task.join()
    task.join()
    assert task.get_result() == 7


def test_a_result_that_is_asked_for_too_deep_in_a_recursion_is_there_afterwards(during_unpickling):
    task = joined(Result)
    task.join()

    def deeper():
        deeper()

    during_unpickling(deeper)
    with pytest.raises(RecursionError):
        task.get_result()
    during_unpickling(None)
    assert task.get_result() == "the result"


def results(padding):
    """Items of one piece, or of several: a piece of a stream has at most 1 MiB."""
    for number in (1, 2):
        yield number, Result(), bytes(padding), [number] * 100


class Failure(Exception):
    def __reduce__(self):
        return rebuilt_failure, ()


def rebuilt_failure():
    unpickled()
    return Failure("mine")


def failing():
    yield 1
    raise Failure


@pytest.mark.diagonal
@pytest.mark.parametrize("padding", [0, 100_000, 3 << 20])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, SystemExit])
def test_an_item_whose_unpickling_is_interrupted_comes_at_the_next_call(interruption, padding, during_unpickling):
    def interrupted():
        if interruption is KeyboardInterrupt:
            interrupt()
        raise interruption

    with Generator(results, args=(padding,), prefetch=1) as generator:
        generator.start()
        during_unpickling(interrupted)
        for call in (generator.next, generator.next, lambda: generator.next(False), lambda: next(generator)):
            with pytest.raises(interruption):
                call()
        during_unpickling(None)
        for number in (1, 2):
            assert generator.next() == (number, "the result", bytes(padding), [number] * 100)
        assert list(generator) == []


def test_an_exception_of_a_generator_whose_unpickling_is_interrupted_comes_at_the_next_call(during_unpickling):
    with Generator(failing) as generator:
        generator.start()
        assert next(generator) == 1
        during_unpickling(interrupt)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                generator.next()
        during_unpickling(None)
        with pytest.raises(Failure, match="mine"):
            generator.next()
        assert list(generator) == []


def test_next_in_the_unpickling_of_an_item_is_refused(during_unpickling):
    raised = []

    def ask():
        with pytest.raises(RuntimeError, match=r"is in next\(\) already") as caught:
            generator.next()
        raised.append(caught)

    with Generator(results, args=(0,)) as generator:
        generator.start()
        during_unpickling(ask)
        assert generator.next()[1] == "the result" and len(raised) == 1
        during_unpickling(None)
        assert generator.next()[0] == 2


@pytest.mark.parametrize("end", ["join", "dispose"])
def test_an_item_in_whose_unpickling_the_generator_is_ended_is_still_returned(end, during_unpickling, recwarn):
    generator = Generator(results, args=(100_000,))
    generator.start()
    during_unpickling(lambda: getattr(generator, end)())
    assert generator.next() == (1, "the result", bytes(100_000), [1] * 100)
    during_unpickling(None)
    with pytest.raises(StopIteration if end == "join" else RuntimeError):
        generator.next()


@pytest.mark.skipif(PYPY, reason="PyPy turns a bytes object that finds no memory into SystemError")
def test_a_next_without_memory_for_the_item_can_be_repeated(check_program):
    out = check_program("""
        import resource, snakefish
        def items():
            yield b"1" * (64 << 20)
            yield "2"
        generator = snakefish.Generator(items)
        generator.start()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), hard))
        for _ in range(2):
            try:
                generator.next()
                print("an item")
            except MemoryError:
                print("MemoryError")
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        print(len(generator.next()) >> 20, generator.next())
        """)
    assert out.split() == ["MemoryError", "MemoryError", "64", "2"]


@pytest.mark.skipif(PYPY, reason="PyPy turns a bytes object that finds no memory into SystemError")
def test_a_join_without_memory_for_the_result_can_be_repeated(check_program):
    out = check_program("""
        import resource, snakefish
        task = snakefish.Thread(lambda: bytes(64 << 20))
        task.start()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), hard))
        try:
            task.join()
            print("joined")
        except MemoryError:
            print("MemoryError")
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        task.join()
        print(len(task.get_result()) >> 20)
    """)
    assert out.split() == ["MemoryError", "64"]


def test_a_join_that_ctrl_c_interrupts_while_arrays_arrive_can_be_repeated(check_program):
    pytest.importorskip("numpy")
    out = check_program("""
        import os, signal, threading, time, numpy, snakefish, snakefish._arrays
        arrays = [numpy.full(8, i) for i in range(100_000)]
        task = snakefish.Thread(lambda: arrays, lambda g: arrays, lambda g, x: merged.append(x))
        merged, interrupted = [], 0
        task.start()
        while task.is_alive():
            time.sleep(0.01)
        for _ in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            try:
                task.join()
                time.sleep(10)
            except KeyboardInterrupt:
                interrupted += 1
        task.join()
        same = [all(numpy.array_equal(a, b) for a, b in zip(x, arrays)) for x in (task.get_result(), merged[0])]
        print(interrupted, len(merged), len(task.get_result()), len(merged[0]), *same)
    """)
    assert out.split() == ["3", "1", "100000", "100000", "True", "True"]


@pytest.mark.skipif(PYPY, reason="PyPy turns a bytes object that finds no memory into SystemError")
def test_a_dispose_without_memory_for_what_was_extracted_says_so_and_goes_on(check_program):
    out = check_program("""
        import pickle, resource, sys, time, snakefish
        raised = []
        sys.unraisablehook = lambda unraisable: raised.append(unraisable.exc_type)
        large = [pickle.PickleBuffer(bytes(1 << 20)), "x" * (64 << 20)]
        task = snakefish.Thread(int, lambda g: large, lambda g, x: None)
        task.start()
        while task.is_alive():
            time.sleep(0.01)
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), hard))
        task.dispose()
        print(*[kind.__name__ for kind in raised])
    """)
    assert out.split() == ["MemoryError"]


def test_a_process_that_is_forked_while_a_result_is_taken_leaves_it_to_its_parent(check_program):
    """A signal handler calls os.fork, and comes back in both processes."""
    pytest.importorskip("numpy")
    out = check_program("""
        import os, signal, time, numpy, snakefish, snakefish._arrays
        parent = os.getpid()
        arrays = [numpy.full(8, i) for i in range(100_000)]
        task = snakefish.Thread(lambda: arrays)
        task.start()
        while task.is_alive():
            time.sleep(0.01)
        def fork(*_):
            forked = os.fork()
            if forked:
                os.waitpid(forked, 0)  # it is the first to go on
                print("forked")
        signal.signal(signal.SIGALRM, fork)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        try:
            task.join()
        except RuntimeError:
            assert os.getpid() != parent
        if os.getpid() != parent:
            os._exit(0)
        print(all(numpy.array_equal(a, b) for a, b in zip(task.get_result(), arrays)))
    """)
    assert out.split() == ["forked", "True"]


def test_an_item_for_which_a_handler_forks_stays_its_parents(check_program):
    out = check_program("""
        import os, signal, time, snakefish
        parent = os.getpid()
        def items():
            time.sleep(0.5)
            yield "an item"
        generator = snakefish.Generator(items)
        generator.start()
        def fork(*_):
            forked = os.fork()
            if forked:
                os.waitpid(forked, 0)
            else:
                time.sleep(1)  # the item is there
        signal.signal(signal.SIGALRM, fork)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            print(generator.next(timeout=10))
        except RuntimeError:
            assert os.getpid() != parent
        if os.getpid() != parent:
            os._exit(0)
    """)
    assert out == "an item\n"


class Stopped(Exception):
    def __reduce__(self):
        return made_stopped, ()


def made_stopped():
    unpickled()
    return Stopped()


def test_the_end_of_a_generator_without_an_item_is_raised_by_the_next_call_where_one_was_interrupted(during_unpickling):
    """A signal handler raises in the child, which then waits for next()."""
    def stop(*_):
        raise Stopped

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        generator = Generator(results, args=(0,))
        generator.start()
        generator.next()
        os.kill(generator.pid, signal.SIGUSR1)
        while generator.is_alive():
            time.sleep(0.01)
        during_unpickling(interrupt)
        with pytest.raises(KeyboardInterrupt):
            generator.next()
        during_unpickling(None)
        with pytest.raises(Stopped):
            generator.next()
        with pytest.raises(StopIteration):
            generator.next()
        generator.dispose()
    finally:
        signal.signal(signal.SIGUSR1, before)
