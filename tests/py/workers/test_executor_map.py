"""Executor.map: results in order, chunks that balance the load, failures, time limits, buffers, early ends."""
import concurrent.futures
import itertools
import os
import pickle
import threading
import time
import weakref

import pytest
from conftest import children, collect, settles

import snakefish
from snakefish import Executor

LIMIT_S = 20


@pytest.fixture
def channel():
    with snakefish.Channel(1 << 20) as one:
        yield one


@pytest.mark.diagonal
@pytest.mark.parametrize("chunksize", [0, 1, 7, 1000])
@pytest.mark.parametrize("buffersize", [None, 1, 5, 1000])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_results_are_those_of_the_builtin(executor, count, chunksize, buffersize):
    settings = {"chunksize": chunksize, "buffersize": buffersize}
    assert list(executor.map(lambda x: x * x, range(count), **settings)) == [x * x for x in range(count)]
    assert list(executor.map(pow, range(count), [2] * (count + 3), **settings)) == [x * x for x in range(count)]
    assert list(executor.map(str, (str(x) for x in range(count)), **settings)) == list(map(str, range(count)))
    assert list(executor.map(lambda a, b, c: a, [], [1], [2], **settings)) == []
    assert list(executor.map(lambda: 1, **settings)) == []


def test_all_is_computed_even_if_nobody_takes_the_results(executor, channel):
    executor.map(channel.send_pyobj, range(300))
    got = {channel.receive_pyobj(timeout=LIMIT_S) for _ in range(300)}
    assert got == set(range(300))


def test_the_end_finishes_a_map(channel):
    with Executor(2) as executor:
        executor.map(channel.send_pyobj, range(300))
    assert len(channel) == 300


def test_quick_calls_travel_in_large_chunks_and_slow_ones_in_small_ones(executor):
    def where(_):
        return os.getpid()

    def slow(n):
        time.sleep(0.02)

    list(executor.map(where, range(4)))
    first = number_of_tasks(executor)
    list(executor.map(where, range(100_000)))
    assert number_of_tasks(executor) - first < 80
    first = number_of_tasks(executor)
    list(executor.map(slow, range(20)))
    assert number_of_tasks(executor) - first >= 9  # as 5 take the longest that a chunk should


def number_of_tasks(executor):
    """How many there were up to now."""
    return executor._state.crew.number(-1)


def test_skewed_work_is_shared_evenly(executor):
    """The second half of the arguments has three quarters of the work."""
    def spin(n):
        end = time.process_time() + n * 1e-5
        while time.process_time() < end:
            pass
        return os.getpid(), n

    list(executor.map(time.sleep, [0.05, 0.05]))
    executor.refresh()
    shares = {}
    for pid, n in executor.map(spin, range(400)):
        shares[pid] = shares.get(pid, 0) + n
    assert len(shares) == 2 and max(shares.values()) < 0.7 * sum(shares.values())


def test_an_exception_comes_after_the_results_before_it(executor):
    def fail_at_50(n):
        if n == 50:
            raise LookupError("at 50")
        return n

    for chunksize in (0, 1, 7, 1000):
        got = []
        with pytest.raises(LookupError, match="at 50") as raised:
            for result in executor.map(fail_at_50, range(100), chunksize=chunksize):
                got.append(result)
        assert got == list(range(50))
        assert "in fail_at_50" in str(raised.value.__cause__)
        assert not [name for name in vars(raised.value) if "snakefish" in name]


def test_an_argument_that_cannot_be_pickled_comes_after_the_results_before_it(executor):
    arguments = [*range(20), threading.Lock(), *range(20)]
    for chunksize in (0, 1, 1000):
        got = []
        with pytest.raises((TypeError, pickle.PicklingError), match="pickle"):  # PyPy raises the other one
            for result in executor.map(str, arguments, chunksize=chunksize):
                got.append(result)
        assert got == list(map(str, range(20)))


def test_stop_iteration_is_no_silent_end(executor):
    def stop(n):
        if n == 3:
            raise StopIteration
        return n

    for chunksize in (1, 10):
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(executor.map(stop, range(10), chunksize=chunksize))


def test_a_worker_that_dies_is_told_with_its_arguments(executor):
    def die(n):
        if n == 5:
            os._exit(4)
        return n

    got = []
    with pytest.raises(snakefish.WorkerDied, match="exit status 4.*die of the arguments 4 to 7 of a map"):
        for result in executor.map(die, range(12), chunksize=4):
            got.append(result)
    assert got == [0, 1, 2, 3]


def test_what_the_iterables_raise_comes_out_of_map(executor):
    def broken():
        yield 1
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        executor.map(abs, broken())
    with pytest.raises(TypeError, match="iter"):
        executor.map(abs, 5)
    results = executor.map(abs, broken(), buffersize=1)
    with pytest.raises(OSError, match="broken"):
        list(results)


def test_the_timeout_counts_from_the_call_on(executor, channel):
    executor.submit(int).result(LIMIT_S)  # so that its workers are there, also on a busy machine
    results = executor.map(lambda n: channel.receive_pyobj() if n else 7, range(3), timeout=1, chunksize=1)
    begin = time.monotonic()
    assert next(results) == 7
    with pytest.raises((TimeoutError, concurrent.futures.TimeoutError)):
        next(results)
    assert 0.5 < time.monotonic() - begin < 5
    with pytest.raises(StopIteration):
        next(results)
    channel.send_pyobj(1)
    channel.send_pyobj(2)


def test_task_timeout_holds_for_each_call():
    with Executor(2, task_timeout=0.5) as executor:
        assert list(executor.map(time.sleep, [0.1] * 12)) == [None] * 12
        with pytest.raises(TimeoutError, match="task_timeout"):
            list(executor.map(time.sleep, [0, 30]))


def test_closing_the_iterator_cancels_what_is_left(executor, channel):
    results = executor.map(lambda n: (channel.send_pyobj(n), time.sleep(0.01)), range(1000), chunksize=1)
    next(results)
    results.close()
    assert not settles(lambda: executor._state.crew.under_way)
    assert len(channel) < 100
    assert executor.submit(abs, -1).result(LIMIT_S) == 1


def test_after_close_and_after_a_failure_nothing_comes(executor):
    results = executor.map(abs, range(100), chunksize=10)
    assert next(results) == 0
    results.close()
    results.close()
    assert list(results) == []
    results = executor.map(lambda n: 1 / n, [1, 0, 1], chunksize=1)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_each_result_is_let_go_when_it_was_taken(executor):
    for thing in executor.map(Thing, range(20), chunksize=10):
        gone = weakref.ref(thing)
        del thing
        assert not settles(lambda: collect() or gone())  # noqa: B023


class Thing:
    def __init__(self, _):
        pass


def test_shutdown_cancels_a_map_on_request(channel):
    executor = Executor(1)
    results = executor.map(lambda n: (channel.send_pyobj(n), time.sleep(0.01))[1], range(1000), chunksize=1)
    next(results)
    executor.shutdown(cancel_futures=True)
    with pytest.raises(concurrent.futures.CancelledError):
        list(results)
    assert len(channel) < 100
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.map(abs, [1])


def test_with_a_buffer_endless_arguments_are_read_a_bounded_number_ahead(executor):
    taken = itertools.count()

    def arguments():
        for n in taken:
            yield n

    for buffersize in (1, 3, 40):
        begin = next(taken) + 1
        results = executor.map(lambda n: n, arguments(), buffersize=buffersize)
        for n in range(begin, begin + 50):
            assert next(results) == n
            ahead = int(repr(taken)[6:-1]) - n - 1
            assert ahead <= buffersize + max(1, buffersize // 2)
        results.close()


def test_a_map_with_a_buffer_keeps_its_executor():
    results = Executor(2).map(abs, itertools.count(), buffersize=4)
    collect()
    assert list(itertools.islice(results, 30)) == list(range(30))
    results.close()
    collect()
    assert not settles(children)


def test_wrong_arguments_are_named(executor):
    for settings, kind, words in [
        ({"chunksize": -1}, ValueError, "chunksize"),
        ({"chunksize": "2"}, TypeError, "str"),
        ({"buffersize": 0}, ValueError, "buffersize"),
        ({"buffersize": 1.5}, TypeError, "buffersize"),
    ]:
        with pytest.raises(kind, match=words):
            executor.map(abs, [1], **settings)
    with pytest.raises(TypeError, match="callable"):
        executor.map([1], abs)


def test_several_maps_and_tasks_mix(executor):
    maps = [executor.map(lambda n, m=m: n * m, range(50)) for m in range(4)]
    tasks = [executor.submit(abs, -n) for n in range(50)]
    assert [list(results) for results in maps] == [[n * m for n in range(50)] for m in range(4)]
    assert [task.result(LIMIT_S) for task in tasks] == list(range(50))


def test_unpicklable_methods_and_partials_map_too(executor):
    class Local:
        def __init__(self):
            self.lock = threading.Lock()

        def plus(self, x, y=0):
            return x + y + 1

    assert list(executor.map(Local().plus, range(5), range(5))) == [1, 3, 5, 7, 9]
    assert list(executor.map("x".__add__, "abc")) == ["xa", "xb", "xc"]
