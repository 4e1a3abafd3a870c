"""Every bad argument raises TypeError or ValueError that names it, and changes nothing."""
import re

import pytest

import snakefish
from snakefish import Channel, Generator, Thread, trace

HUGE = 1 << 200


def gen():
    yield 1


@pytest.mark.parametrize("size,error", [
    ("1024", TypeError), (2048.0, TypeError), (None, TypeError), ([], TypeError), (False, ValueError), (0, ValueError),
    (-1, ValueError), (-HUGE, ValueError), (HUGE, ValueError), (True, ValueError)])
def test_bad_sizes_of_a_channel(size, error):
    for call in (lambda: Channel(size), lambda: Channel(size=size)):
        with pytest.raises(error, match="size"):
            call()


@pytest.mark.parametrize("size", [1, 2, 1023, 1 << 31])
def test_any_other_size_of_a_channel(size):
    with Channel(size) as channel:
        assert f"{size} bytes" in repr(channel)
        channel.send_bytes(b"x")
        assert channel.receive_bytes() == b"x"


@pytest.mark.parametrize("size", [(1 << 63) - 1, 1 << 62, 1 << 50])
def test_absurd_sizes_are_memory_errors(size):
    with pytest.raises(MemoryError, match="Channel"):
        Channel(size)


def test_a_size_may_be_anything_with_index():
    class Index:
        def __index__(self):
            return 2048

    with Channel(Index()) as channel:
        assert "2048" in repr(channel)


BAD_TIMEOUTS = [("1", TypeError), ([], TypeError), (1j, TypeError), (-1, ValueError), (-0.001, ValueError),
                (float("nan"), ValueError), (float("-inf"), ValueError), (10 ** 400, ValueError), (-10 ** 400, ValueError)]


@pytest.mark.parametrize("timeout,error", BAD_TIMEOUTS)
def test_bad_timeouts_everywhere(timeout, error):
    task, generator = Thread(len, args=("",)), Generator(gen)
    task.start()
    generator.start()
    with Channel(1024) as channel:
        for call in (lambda: channel.receive_pyobj(True, timeout), lambda: channel.receive_pyobj(timeout=timeout),
                     lambda: channel.send_pyobj(1, True, timeout), lambda: channel.send_pyobj(1, timeout=timeout),
                     lambda: task.join(timeout), lambda: task.join(timeout=timeout),
                     lambda: generator.next(True, timeout), lambda: generator.next(timeout=timeout),
                     lambda: generator.join(timeout), lambda: generator.join(timeout=timeout)):
            with pytest.raises(error, match="timeout"):
                call()
        with pytest.raises(IndexError):
            channel.receive_pyobj(False)  # nothing was sent
    assert generator.next() == 1  # nothing was stopped
    task.join(float("inf"))
    generator.join(1e300)


@pytest.mark.parametrize("kind,f", [(Thread, len), (Generator, gen)])
@pytest.mark.parametrize("arguments,error,name", [
    ({"f": None}, TypeError, "f must"), ({"f": 5}, TypeError, "f must"), ({"extract": 5, "merge": len}, TypeError, "extract"),
    ({"extract": len, "merge": 5}, TypeError, "merge"), ({"extract": len}, ValueError, "extract and merge"),
    ({"merge": len}, ValueError, "extract and merge"), ({"args": 5}, TypeError, "args"),
    ({"kwargs": [1]}, TypeError, "kwargs"), ({"name": 5}, TypeError, "name"), ({"name": b"x"}, TypeError, "name"),
    ({"name": "\udc80"}, ValueError, "name"), ({"unknown": 1}, TypeError, "unknown"), ({"share": 1}, TypeError, "share"),
], ids=lambda v: None if isinstance(v, type) else str(v))
def test_bad_arguments_of_thread_and_generator(kind, f, arguments, error, name):
    with pytest.raises(error, match=name):
        kind(**{"f": f, **arguments})


@pytest.mark.parametrize("kind,f", [(Thread, len), (Generator, gen)])
def test_missing_and_too_many_arguments(kind, f):
    for arguments in ((), (f, len, len, ())):
        with pytest.raises(TypeError):
            kind(*arguments)


def test_none_means_not_given():
    with Thread(len, None, None, args=([],), kwargs=None, name=None) as task:
        task.start()
    assert task.get_result() == 0


def test_wrong_arguments_for_f_are_fs_own_error():
    with Thread(len) as task:
        task.start()
    with pytest.raises(TypeError) as own:
        len()
    with pytest.raises(TypeError, match="^" + re.escape(str(own.value)) + "$"):
        task.get_result()


def test_keys_that_are_no_strings_are_an_error_of_the_call():
    with Thread(dict, kwargs={5: 1}) as task:
        task.start()
    with pytest.raises(TypeError, match="keywords must be strings"):
        task.get_result()


@pytest.mark.parametrize("function", [snakefish.map, snakefish.starmap])
@pytest.mark.parametrize("arguments,named,error,name", [
    ((5, []), {}, TypeError, "f must"), ((None, []), {}, TypeError, "f must"), ((len, 5), {}, TypeError, "args"),
    ((len, None), {}, TypeError, "args"), ((len, [], "2"), {}, TypeError, "extract"),
    ((len, [], 1.5), {}, TypeError, "extract"), ((len, [], 2, 1.5), {}, TypeError, "chunksize"),
    ((len, []), {"concurrency": 1.5}, TypeError, "concurrency"), ((len, []), {"concurrency": []}, TypeError, "concurrency"),
    ((len, []), {"chunksize": "1"}, TypeError, "chunksize"), ((len, [], -1), {}, ValueError, "concurrency"),
    ((len, [], 0, -1), {}, ValueError, "chunksize"), ((len, [], HUGE), {}, ValueError, "concurrency"),
    ((len, [], -HUGE), {}, ValueError, "concurrency"), ((len, []), {"chunksize": HUGE}, ValueError, "chunksize"),
    ((len, []), {"extract": 5, "merge": len}, TypeError, "extract"),
    ((len, []), {"extract": len, "merge": 5}, TypeError, "merge"), ((len, []), {"extract": len}, ValueError, "merge"),
    ((len, [], len), {}, ValueError, "extract and merge"), ((len, [], len, len, -1), {}, ValueError, "concurrency"),
    ((len, []), {"unknown": 1}, TypeError, "unknown"), ((len,), {}, TypeError, "args"), ((), {}, TypeError, "f"),
])
def test_bad_arguments_of_map_and_starmap(function, arguments, named, error, name):
    with pytest.raises(error, match=name):
        function(*arguments, **named)


def test_large_numbers_that_mean_something_are_taken():
    for more in ({}, {"extract": lambda g: 1, "merge": lambda g, e: 1}):
        assert snakefish.map(abs, [-1, -2], 1 << 62, (1 << 63) - 1, **more) == [1, 2]
        assert snakefish.map(abs, [-1, -2], concurrency=(1 << 63) - 1, **more) == [1, 2]


def test_block_is_positional_or_keyword_and_any_truth():
    with Channel(1024) as channel:
        for false in (0, [], "", None):
            with pytest.raises(IndexError):
                channel.receive_pyobj(false)
        channel.send_pyobj(5, 1)
        assert channel.receive_pyobj("yes") == 5
        for call in (channel.send_pyobj, lambda: channel.send_pyobj(1, True, None, 4), lambda: channel.send_pyobj(1, wait=1)):
            with pytest.raises(TypeError):
                call()


@pytest.mark.parametrize("name,error", [(5, TypeError), (None, TypeError), (b"x", TypeError), ("\udc80", ValueError)])
def test_names_of_marks_and_spans_are_checked_also_with_tracing_off(name, error):
    assert not trace.enabled()
    with pytest.raises(error, match="name"):
        trace.mark(name)
    with pytest.raises(error, match="name"):
        trace.span(name)


def test_marks_and_spans_do_nothing_with_tracing_off():
    trace.mark("mark")
    with trace.span("span") as span:
        with span:
            pass


def test_wrong_states_of_the_trace():
    with pytest.raises(RuntimeError, match=r"trace\.start"):
        trace.stop()
    for path in (None, 5):
        with pytest.raises(TypeError):
            trace.start(path)
