"""imap and imap_unordered: lazy, in order or as they come, bounded, and with an end whoever dies."""
import gc
import inspect
import itertools
import os
import signal
import threading
import time
import warnings
import weakref

import pytest
from conftest import PYPY, children, settles
from matrix import first

import snakefish
from snakefish import Channel, ChildDied, imap, imap_unordered

AHEAD = 3  # chunks for each worker, as documented
BOTH = pytest.mark.parametrize("any_imap", [imap, imap_unordered])


@pytest.fixture
def channel():
    with Channel(1 << 16) as one:
        yield one


@pytest.mark.diagonal
@pytest.mark.parametrize("concurrency", [0, 1, 3])
@pytest.mark.parametrize("chunksize", [1, 4, 1000])
@pytest.mark.parametrize("count", [0, 1, 4, 50])
def test_results_are_those_of_the_builtin(count, chunksize, concurrency):
    assert list(imap(lambda x: x * x, range(count), concurrency, chunksize)) == [x * x for x in range(count)]


@pytest.mark.parametrize("chunksize", [1, 3])
def test_unordered_results_are_all_there(chunksize):
    assert sorted(imap_unordered(lambda x: x + 0.5, range(40), 3, chunksize)) == [x + 0.5 for x in range(40)]


def test_order_is_that_of_the_arguments_whichever_comes_first():
    def slow_first(x):
        time.sleep(0.3 if x == 0 else 0)
        return x

    assert list(imap(slow_first, range(5), 2)) == [0, 1, 2, 3, 4]
    assert list(imap_unordered(slow_first, range(5), 2))[0] != 0


def test_unordered_results_that_wait_come_first_come_first_served():
    """None is passed over for ever by others that came later and were handed out earlier."""
    def f(x):
        time.sleep(0.1 * (x == 0))
        return x

    results = imap_unordered(f, itertools.count(), 2)
    got = [next(results)]
    time.sleep(0.3)  # now as many are here as may be, 0 among them
    got += [next(results) for _ in range(6)]
    assert 0 in got
    results.close()


@BOTH
def test_results_come_while_others_are_computed(any_imap, channel):
    def work(x):
        return channel.receive_pyobj(timeout=20) if x else "first"

    results = any_imap(work, [0, 1], 2)
    assert next(results) == "first"
    channel.send_pyobj("second")
    assert list(results) == ["second"]


@pytest.mark.diagonal
@BOTH
@pytest.mark.parametrize("concurrency,chunksize", [(1, 1), (2, 1), (2, 5)])
def test_endless_arguments_are_taken_a_few_chunks_ahead(any_imap, concurrency, chunksize):
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield i

    with any_imap(abs, endless(), concurrency, chunksize) as results:
        assert taken == []
        for done in range(1, 60):
            next(results)
            in_hand = -(-done // chunksize) * chunksize
            assert len(taken) <= in_hand + AHEAD * concurrency * chunksize
        assert len(taken) >= in_hand + chunksize


def test_workers_go_on_while_the_caller_works_on_a_result():
    def slow(x):
        time.sleep(0.1)
        return x

    began = time.monotonic()
    for _ in imap(slow, range(8), 1):
        time.sleep(0.1)
    assert time.monotonic() - began < 1.4  # 1.6 one after the other


def test_a_free_worker_takes_the_next_chunk():
    began = time.monotonic()
    assert list(imap(lambda s: time.sleep(s), [0.6] + [0.1] * 5, 2)) == [None] * 6
    assert time.monotonic() - began < 1.0


@BOTH
def test_there_are_no_more_workers_than_chunks_or_concurrency(any_imap):
    before = children()
    with any_imap(lambda x: os.getpid(), range(100), 2) as results:
        assert len({next(results) for _ in range(50)} | children() - before) <= 2
    with any_imap(lambda x: x, range(2), 50) as results:
        next(results)
        assert len(children() - before) <= 2


def test_no_worker_is_forked_before_the_first_next():
    before = children()
    with imap(abs, [1]):
        assert children() == before


def test_results_larger_than_one_message_of_a_pipe_pass():
    sizes = [0, 1 << 20, 5 << 20]
    assert [len(b) for b in imap(bytes, sizes, 2)] == sizes


# ---- failures ----


class OwnError(Exception):
    pass


def reciprocal(x):
    if x == 7:
        raise OwnError("seven", x)
    return x


@pytest.mark.parametrize("chunksize", [1, 3, 100])
def test_what_f_raises_comes_in_its_place_with_the_remote_traceback(chunksize):
    before = children()
    results = imap(reciprocal, range(100), 2, chunksize)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(OwnError) as caught:
        next(results)
    assert caught.value.args == ("seven", 7)
    assert "in reciprocal" in str(caught.value.__cause__)
    assert children() == before
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)


def test_unordered_raises_and_ends_its_workers_too():
    before = children()
    with pytest.raises(OwnError):
        list(imap_unordered(reciprocal, itertools.count(), 2))
    assert children() == before


@BOTH
def test_what_args_raises_comes_after_the_results_before_it(any_imap):
    def broken():
        yield from range(5)
        raise LookupError("no more")

    before, got = children(), []
    with pytest.raises(LookupError, match="no more"):
        for x in any_imap(abs, broken(), 2, 2):
            got.append(x)
    assert sorted(got) == [0, 1, 2, 3, 4] and children() == before


@BOTH
def test_an_argument_that_cannot_be_pickled_is_raised_after_the_results_before_it(any_imap):
    got = []
    with pytest.raises(Exception, match="pickle"):
        for x in any_imap(lambda x: x, [1, 2, threading.Lock(), 3], 2):
            got.append(x)
    assert sorted(got) == [1, 2]


@BOTH
def test_a_result_that_cannot_be_pickled_is_child_died_that_names_the_argument(any_imap):
    got = []
    with pytest.raises(ChildDied, match=r"argument 5 \(function\) cannot be pickled") as caught:
        for x in any_imap(lambda x: (lambda: x) if x == 5 else x, range(6), 1, 4):
            got.append(x)
    assert got == [0, 1, 2, 3, 4] and caught.value.name.startswith("imap worker")


class DoesNotComeBack:
    def __reduce__(self):
        return explode, ()


def explode():
    raise TimeoutError("while unpickling")  # the Channel's own word for no message, but not here


@BOTH
def test_a_result_or_argument_that_cannot_be_unpickled_is_raised_and_hangs_nobody(any_imap):
    with pytest.raises(TimeoutError, match="while unpickling"):
        list(any_imap(lambda x: DoesNotComeBack(), range(3), 2))
    with pytest.raises(TimeoutError, match="while unpickling") as caught:
        list(any_imap(abs, [DoesNotComeBack()], 2))
    assert "in explode" in str(caught.value.__cause__)


def test_exceptions_that_do_not_travel_are_told_by_child_died():
    def f(x):
        raise OwnError(lambda: 1)

    with pytest.raises(ChildDied, match="OwnError.*cannot be pickled") as caught:
        list(imap(f, [0]))
    assert "in f" in str(caught.value.__cause__)


@BOTH
def test_stop_iteration_of_f_is_its_exception_with_the_remote_traceback(any_imap):
    def f(x):
        raise StopIteration("of f")

    before = children()
    with pytest.raises(StopIteration, match="of f") as caught:
        next(any_imap(f, [1, 2], 1))
    assert "in f" in str(caught.value.__cause__)
    assert children() == before


@pytest.mark.diagonal
@BOTH
@pytest.mark.parametrize("how,words,status", [
    (lambda: os.kill(os.getpid(), signal.SIGKILL), r"signal 9 \(Killed\) at argument 6", -9),
    (lambda: os._exit(3), "exit status 3 at argument 6", 3), (lambda: exit(4), "exit status 4 at argument 6", 4)])
@pytest.mark.parametrize("chunksize", [1, 4])
def test_a_worker_that_dies_is_child_died_that_names_how_and_the_argument(any_imap, chunksize, how, words, status):
    def f(x):
        if x == 6:
            how()
        return x

    before, got = children(), []
    with pytest.raises(ChildDied, match=words) as caught:
        for x in any_imap(f, itertools.count(), 2, chunksize):
            got.append(x)
    assert caught.value.exit_status == status and caught.value.name.startswith("imap worker")
    if any_imap is imap:
        assert got == list(range(6 // chunksize * chunksize))
    assert children() == before


@pytest.mark.parametrize("seed", first(3, range(8)))
def test_a_worker_killed_at_any_moment_is_noticed(seed):
    def kill_one():
        time.sleep(0.02 * seed)
        for pid in list(children() - before)[:1]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    before, killed = children(), []
    results = imap(lambda x: x, itertools.count(), 2, 1 + seed % 3)
    next(results)
    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        with pytest.raises(ChildDied, match="signal 9") as caught:
            for wanted, got in enumerate(results, 1):
                assert got == wanted
        assert [caught.value.pid] == killed
    finally:
        killer.join()
        results.close()


@BOTH
def test_workers_killed_while_they_are_idle_are_noticed(any_imap):
    before = children()
    results = any_imap(abs, itertools.count(), 2)
    next(results)
    time.sleep(0.2)  # now as many chunks are here as may be
    for pid in children() - before:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    with pytest.raises(ChildDied, match="signal 9"):
        for _ in range(50):
            next(results)


def test_a_process_that_f_forks_and_that_comes_back_does_not_speak_for_the_worker():
    def f(x):
        if os.fork():
            os.wait()
        return x

    assert list(imap(f, range(4), 1, 2)) == [0, 1, 2, 3]


# ---- its end ----


@pytest.mark.diagonal
@BOTH
@pytest.mark.parametrize("how", ["close", "with", "drop", "cycle"])
def test_an_early_end_reaps_workers_in_the_middle_of_their_work(any_imap, how):
    def f(x):
        if x:
            time.sleep(60)
        return x

    before = children()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = any_imap(f, itertools.count(), 2)
        assert next(results) == 0 and len(children() - before) == 2
        if how == "close":
            results.close()
            results.close()
            with pytest.raises(StopIteration):
                next(results)
        elif how == "with":
            with pytest.raises(KeyError), results:
                raise KeyError
        elif how == "cycle":
            cycle = [results]
            cycle.append(cycle)
            del cycle
        del results
        gc.collect()
    assert settles(lambda: children() - before) == set()


def test_a_program_may_end_with_an_iterator_half_way(check_program):
    assert check_program("""
        import itertools, sys, time
        from snakefish import Thread, imap
        def f(x):
            if x > 1:
                time.sleep(60)
            return x
        results = imap(f, itertools.count(), 2)
        print(next(results), flush=True)
        def inner():
            global kept
            kept = imap(f, itertools.count(), 2)
            return next(kept)
        with Thread(inner) as t:
            t.start()
        print(t.get_result())
        """, limit_s=20) == "0\n0\n"


def test_workers_that_have_done_everything_end_by_themselves(check_program):
    """They flush what they had printed, and run their exit handlers."""
    assert check_program("""
        import atexit
        from snakefish import imap
        def f(x):
            atexit.register(print, "end", x)
            return x
        print(list(imap(f, [7], 1)))
        """) == "end 7\n[7]\n"


def test_a_signal_handler_that_raises_comes_out_of_next_and_ends_the_workers():
    class Alarm(Exception):
        pass

    def handler(*_):
        raise Alarm

    before = children()
    old = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    results = imap(time.sleep, [60, 60, 60], 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the timer is a thread
            timer.start()
            with pytest.raises(Alarm):
                next(results)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, old)
    assert children() == before


def test_another_process_cannot_iterate_and_does_no_harm():
    results = imap(abs, range(10), 2)
    assert next(results) == 0
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            next(results)
        except RuntimeError as error:
            status = 0 if "only that process" in str(error) else 2
        results.close()
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert list(results) == list(range(1, 10))


# ---- arguments ----


@BOTH
@pytest.mark.parametrize("more,error,words", [
    ({"f": 1}, TypeError, "f must be callable"), ({"args": 5}, TypeError, "args must be an iterable"),
    ({"concurrency": -1}, ValueError, "concurrency must be at least 0"), ({"concurrency": "2"}, TypeError, "concurrency"),
    ({"chunksize": 0}, ValueError, "chunksize must be at least 1"), ({"chunksize": 1.5}, TypeError, "chunksize")])
def test_wrong_arguments_are_refused_by_name_at_the_call(any_imap, more, error, words):
    with pytest.raises(error, match=words):
        any_imap(**{"f": abs, "args": [], **more})


def test_what_iter_of_args_raises_comes_through():
    class Broken:
        def __iter__(self):
            raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        imap(abs, Broken())


# ---- what the caller sees of it ----


@pytest.mark.parametrize("any_map", [imap, imap_unordered, snakefish.map])
def test_the_warning_of_a_fork_points_at_the_line_that_calls(any_map):
    gate = threading.Event()
    beside = threading.Thread(target=gate.wait)
    beside.start()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        list(any_map(abs, [1, 2], 2)); here = inspect.currentframe().f_lineno  # noqa: E702
    gate.set()
    beside.join()
    assert {(warning.filename, warning.lineno) for warning in told} == {(__file__, here)}


class Result:
    """Can be referred to weakly."""


@pytest.mark.skipif(PYPY, reason="PyPy counts no references")
@BOTH
@pytest.mark.parametrize("chunksize", [1, 4])
def test_a_result_that_the_caller_has_dropped_is_not_kept(any_imap, chunksize):
    with any_imap(lambda n: Result(), range(9), 2, chunksize) as results:
        for _ in range(9):
            kept = weakref.ref(next(results))
            assert kept() is None
