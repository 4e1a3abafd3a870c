"""Generator: one item for each next(), next(False), how it ends, extract and merge."""
import functools
import os
import signal
import threading
import time

import generators
import pytest
from generators import OwnError, add_total, count, failing, polled, started, summing, take_total

from snakefish import Channel, ChildDied, Generator, Thread


def test_items_come_in_order_and_then_stop_iteration_for_good():
    with started(count, args=(3,)) as generator:
        assert [generator.next(), generator.next(), generator.next()] == [0, 1, 2]
        for _ in range(3):
            with pytest.raises(StopIteration):
                generator.next()
    assert generator.get_exit_status() == 0


def test_it_is_an_iterator():
    with started(count, args=(1000,)) as generator:
        assert iter(generator) is generator
        assert list(generator) == list(range(1000))


def test_only_one_item_is_computed_for_each_next():
    channel, gate = Channel(4096), Channel(4096)

    def telling():
        for i in range(10):
            if i == 3:
                gate.receive_pyobj()
            channel.send_pyobj(i)
            yield i

    def computed():
        time.sleep(0.15)
        got = []
        try:
            while True:
                got.append(channel.receive_pyobj(False))
        except IndexError:
            return got

    with started(telling) as generator:
        assert computed() == []
        for i in range(3):
            assert generator.next() == i
            assert computed() == [i]
        with pytest.raises(IndexError):
            generator.next(False)  # it is asked for
        gate.send_pyobj(None)
        assert computed() == [3]
        assert generator.next() == 3
        assert computed() == []
    channel.dispose()
    gate.dispose()


def test_next_without_blocking_asks_once_and_then_polls():
    def slow():
        time.sleep(0.3)
        yield "first"
        time.sleep(0.3)
        yield "second"

    with started(slow) as generator:
        for _ in range(3):
            with pytest.raises(IndexError):
                generator.next(False)
        time.sleep(0.6)
        assert generator.next(block=False) == "first"
        with pytest.raises(IndexError):
            generator.next(False)
        assert generator.next() == "second"  # the item that the first call asked for
        with pytest.raises(StopIteration):
            generator.next()


def test_polling_gets_everything_also_the_end():
    with started(count, args=(5,)) as generator:
        assert polled(generator) == [0, 1, 2, 3, 4]


def test_a_timeout_of_next_passes_and_the_item_is_not_lost():
    def slow():
        time.sleep(0.5)
        yield 1

    with started(slow) as generator:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            generator.next(timeout=0.1)
        with pytest.raises(TimeoutError):
            generator.next(True, 0)
        assert time.monotonic() - begun < 0.45
        assert generator.next(timeout=20) == 1


def test_the_value_of_return_is_the_stop_iterations():
    def returning():
        yield 1
        return "value"

    with started(returning) as generator:
        generator.next()
        with pytest.raises(StopIteration) as caught:
            generator.next()
        assert caught.value.value == "value"


def test_what_it_raises_next_raises_with_the_remote_traceback_and_then_stop_iteration():
    def raising():
        yield 1
        raise OwnError("a", 2)

    with started(raising) as generator:
        generator.next()
        with pytest.raises(OwnError) as caught:
            generator.next()
        assert caught.value.args == ("a", 2) and "in raising" in str(caught.value.__cause__)
        with pytest.raises(StopIteration):
            generator.next()
    assert generator.get_exit_status() == 0


def test_wrong_arguments_are_raised_by_the_first_next():
    with started(count) as generator:
        with pytest.raises(TypeError, match="positional argument"):
            generator.next()
        with pytest.raises(StopIteration):
            generator.next()
    with started(count):
        pass


def test_an_item_that_cannot_be_pickled_is_refused_and_the_next_one_comes():
    def mixed():
        yield lambda: None
        yield "good"

    with started(mixed) as generator:
        with pytest.raises(ChildDied, match="pickled"):
            generator.next()
        assert generator.next() == "good"


def test_exception_objects_and_none_are_items_like_others():
    def odd():
        yield None
        yield StopIteration(1)
        yield ValueError("item")

    with started(odd) as generator:
        assert generator.next() is None
        assert isinstance(generator.next(), StopIteration)
        assert generator.next().args == ("item",)


@pytest.mark.parametrize("bytes_", [0, 1 << 20, (4 << 20) + 1, 20 << 20])
def test_big_items_pass_whole(bytes_):
    def big():
        yield b"a" * bytes_
        yield b"b" * bytes_

    with started(big) as generator:
        assert generator.next() == b"a" * bytes_
        assert generator.next() == b"b" * bytes_


def test_a_big_item_that_nobody_takes_does_not_block_join():
    def big():
        yield b"a" * (32 << 20)

    generator = started(big)
    with pytest.raises(IndexError):
        generator.next(False)
    time.sleep(0.3)
    generator.join(10)
    assert generator.get_exit_status() == 0


# ---- how it ends ----


def closing(channel):
    try:
        yield 1
        yield 2
    finally:
        channel.send_pyobj(("finally", os.getpid()))


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_join_stops_it_at_the_item_where_it_is(taken):
    channel = Channel(4096)
    generator = started(closing, args=(channel,))
    for _ in range(taken):
        next(generator, None)
    generator.join()
    if taken:
        assert channel.receive_pyobj(False) == ("finally", generator.pid)
    with pytest.raises(IndexError):
        channel.receive_pyobj(False)
    assert generator.get_exit_status() == 0
    with pytest.raises(StopIteration):
        generator.next()
    generator.join()
    channel.dispose()


def test_try_join_stops_it_and_says_when_it_has_ended():
    channel = Channel(4096)
    generator = started(closing, args=(channel,))
    generator.next()
    end = time.monotonic() + 10
    while not generator.try_join() and time.monotonic() < end:
        time.sleep(0.01)
    assert generator.try_join() is True
    assert channel.receive_pyobj(False)[0] == "finally"
    channel.dispose()


def test_a_generator_in_the_middle_of_an_item_is_stopped_after_it_and_join_can_time_out():
    def slow():
        time.sleep(0.6)
        yield 1
        time.sleep(30)

    generator = started(slow)
    with pytest.raises(IndexError):
        generator.next(False)
    time.sleep(0.2)
    with pytest.raises(TimeoutError):
        generator.join(timeout=0.1)
    generator.join(10)
    assert generator.get_exit_status() == 0


def test_a_generator_that_raises_while_it_is_closed_ends_and_says_so_on_stderr(check_program, run_program):
    ended = run_program("""
        from snakefish import Generator
        def stubborn():
            try:
                yield 1
            finally:
                raise KeyError("in finally")
        with Generator(stubborn) as g:
            g.start()
            g.next()
        print(g.get_exit_status())
        """)
    assert (ended.status, ended.stdout) == (0, "0\n") and "in finally" in ended.stderr


def test_the_end_of_a_with_block_that_raises_ends_the_child():
    with pytest.raises(KeyError):
        with started(count, args=(3,)) as generator:
            raise KeyError
    assert not os.path.exists(f"/proc/{generator.pid}")


@pytest.mark.parametrize("how,status,words", [
    (lambda: os.kill(os.getpid(), signal.SIGKILL), -9, "signal 9"), (lambda: os._exit(3), 3, "status 3"),
    (lambda: exit(4), 4, "status 4")])
def test_the_death_of_the_child_is_raised_by_next_and_then_stop_iteration(how, status, words):
    def dying():
        yield 1
        how()
        yield 2

    generator = started(dying, name="short life")
    assert generator.next() == 1
    with pytest.raises(ChildDied, match=words) as caught:
        generator.next()
    assert (caught.value.exit_status, caught.value.name) == (status, "short life")
    with pytest.raises(StopIteration):
        generator.next()
    generator.join()
    assert generator.get_exit_status() == status


def test_next_raises_for_a_child_that_was_killed_while_it_waited():
    with started(count, args=(3,)) as generator:
        generator.next()
        generator.kill()
        with pytest.raises(ChildDied, match="signal 9"):
            generator.next()


def test_next_raises_an_exception_that_came_while_the_child_waited():
    def nervous():
        signal.signal(signal.SIGUSR1, lambda *_: 1 / 0)
        yield 1
        yield 2

    with started(nervous) as generator:
        generator.next()
        time.sleep(0.1)
        os.kill(generator.pid, signal.SIGUSR1)
        time.sleep(0.3)
        with pytest.raises(ZeroDivisionError):
            generator.next()


# ---- extract and merge ----


@pytest.mark.parametrize("f", [summing, failing])
@pytest.mark.parametrize("taken", [0, 2, 5])
def test_it_extracts_and_merges_where_it_is_stopped_or_has_ended(f, taken):
    generators.total = 0
    generator = started(f, take_total, add_total, args=(4,))
    for _ in range(taken):
        try:
            generator.next()
        except (OwnError, StopIteration):
            pass
    assert generators.total == 0
    generator.join()
    assert generators.total == min(taken, 4)


def test_exceptions_of_extract_and_merge_come_out_of_join():
    for extract, merge in ((lambda g: 1 / 0, add_total), (take_total, lambda g, e: 1 / 0)):
        generator = started(summing, extract, merge, args=(1,))
        with pytest.raises(ZeroDivisionError):
            generator.join()
        assert not os.path.exists(f"/proc/{generator.pid}")


# ---- what f may be ----


class Callable:
    def __call__(self, n):
        yield from count(n)

    def method(self, n):
        yield from count(n)


def wrapped(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs)

    return wrapper


class CallsWrapped:
    __call__ = wrapped(Callable.__call__)


@functools.wraps(len)
def wraps_no_generator_but_is_one(n):
    yield from count(n)


@pytest.mark.parametrize("f", [
    count, Callable(), Callable().method, functools.partial(count), functools.partial(Callable()),
    functools.partial(Callable().method), functools.partial(functools.partial(count)), wrapped(count),
    wrapped(wrapped(count)), wrapped(Callable().method), functools.partial(wrapped(count)), wrapped(functools.partial(count)),
    CallsWrapped(), functools.lru_cache(count), wraps_no_generator_but_is_one, lambda n: (yield from count(n))],
    ids=["function", "object", "method", "partial", "partial of object", "partial of method", "partial of partial", "wraps",
         "wraps twice", "wraps of method", "partial of wraps", "wraps of partial", "object with wraps", "lru_cache",
         "wraps no generator", "lambda"])
def test_it_takes_what_wraps_a_generator_function(f):
    with started(f, args=(3,)) as generator:
        assert list(generator) == [0, 1, 2]


@pytest.mark.parametrize("f", [len, lambda: [1], iter, Callable, lambda: iter([1]), functools.partial(range, 3), wrapped(len),
                               range])
def test_what_is_no_generator_function_is_refused_and_told_what_to_write(f):
    with pytest.raises(RuntimeError, match=r"generator function.*functools.wraps.*write def items\(\): yield from f\(\)"):
        Generator(f)


def test_a_wrapper_that_makes_something_else_of_it_is_told_by_the_first_next():
    @functools.wraps(count)
    def makes_a_list(n):
        return list(count(n))

    with started(makes_a_list, args=(3,)) as generator:
        with pytest.raises(TypeError, match="f returned list, not a generator"):
            generator.next()


def test_what_wraps_itself_is_refused():
    def f():
        pass

    f.__wrapped__ = f
    with pytest.raises(RuntimeError, match="generator function"):
        Generator(f)


def test_what_looking_for_the_function_raises_comes_through():
    class Broken(functools.partial):
        pass

    def func(self):
        raise LookupError("no function")

    broken = Broken(len)
    Broken.func = property(func)  # not before: PyPy's partial sets the attribute
    with pytest.raises(LookupError, match="no function"):
        Generator(broken)


def test_wrong_states_are_runtime_errors_that_say_what_to_do():
    generator = Generator(count, args=(1,))
    for call in (generator.next, lambda: next(generator), generator.join, generator.try_join, generator.fileno):
        with pytest.raises(RuntimeError, match=r"start\(\)"):
            call()
    generator.start()
    with pytest.raises(RuntimeError, match="started already"):
        generator.start()
    with pytest.raises(RuntimeError, match=r"join\(\)"):
        generator.get_exit_status()
    generator.join()
    generator.dispose()
    generator.dispose()
    with pytest.raises(RuntimeError, match="disposed"):
        generator.start()
    running = started(count, args=(1,))
    with pytest.warns(ResourceWarning):
        running.dispose()
    with pytest.raises(RuntimeError, match="disposed"):
        running.next()


# ---- more than one Python thread ----


def test_next_in_two_python_threads_is_an_error_and_loses_no_item():
    def slow():
        time.sleep(0.4)
        yield 1
        yield 2

    got = []
    with started(slow) as generator:
        taker = threading.Thread(target=lambda: got.append(generator.next()))
        taker.start()
        time.sleep(0.1)
        with pytest.raises(RuntimeError, match="thread"):
            generator.next()
        taker.join()
        assert got == [1] and generator.next() == 2


@pytest.mark.parametrize("end", ["join", "dispose"])
def test_another_thread_may_end_it_while_next_waits(end):
    def slow():
        time.sleep(0.3)
        yield 1
        time.sleep(0.3)
        yield 2

    seen = []

    def take_all():
        try:
            while True:
                seen.append(generator.next())
        except (StopIteration, RuntimeError) as error:
            seen.append(type(error))

    generator = started(slow)
    taker = threading.Thread(target=take_all)
    taker.start()
    time.sleep(0.45)
    if end == "join":
        generator.join(10)
    else:
        with pytest.warns(ResourceWarning):
            generator.dispose()
    taker.join(10)
    assert not taker.is_alive()
    assert seen[0] == 1 and seen[-1] is (StopIteration if end == "join" else RuntimeError)


def test_a_generator_in_the_child_of_a_thread_works_there():
    def use():
        with started(count, args=(4,)) as generator:
            return list(generator)

    with Thread(use) as task:
        task.start()
    assert task.get_result() == [0, 1, 2, 3]


def test_the_child_cannot_misuse_the_generator_it_runs_in():
    generators = []

    def misuse():
        refused = []
        for call in (generators[0].start, generators[0].next, generators[0].join, generators[0].try_join):
            try:
                call()
            except RuntimeError as error:
                refused.append(error)
        generators[0].dispose()
        yield len(refused)

    generators.append(Generator(misuse))
    generators[0].start()
    assert generators[0].next() == 4
    generators[0].join()
