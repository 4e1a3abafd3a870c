"""Executor: who waits for a result takes it without the manager thread, and nothing else is different for it."""
import concurrent.futures
import functools
import os
import signal
import threading
import time

import pytest
from conftest import PYPY

from snakefish import Executor, WorkerDied

LIMIT_S = 20

pytestmark = pytest.mark.skipif(PYPY, reason="PyPy's locks are written in Python, so there the manager takes each result")


@pytest.fixture
def executor():
    with Executor(2) as one:
        one.submit(int).result(LIMIT_S)
        yield one


def taken(executor):
    return executor._state.crew.taken


def same(x):
    return x


def later(x, seconds=0.003):
    time.sleep(seconds)
    return x


class Boxed:
    """Its unpickling is code of the program."""

    def __init__(self, value):
        self.value = value


def test_results_that_are_waited_for_come_without_the_manager(executor):
    before = taken(executor)
    assert [executor.submit(same, n).result() for n in range(200)] == list(range(200))
    assert [executor.submit(same, str(n)).result(LIMIT_S) for n in range(100)] == [str(n) for n in range(100)]
    assert taken(executor) - before > 200


@pytest.mark.parametrize("watch", [lambda future, told: future.add_done_callback(told.append),
                                   lambda future, told: threading.Thread(target=lambda: told.append(future.result())).start()])
def test_who_else_waits_for_it_is_told(executor, watch):
    for n in range(30):
        told = []
        future = executor.submit(later, n)
        watch(future, told)
        assert future.result(LIMIT_S) == n and future.done() and future.exception() is None
        end = time.monotonic() + LIMIT_S
        while not told and time.monotonic() < end:
            time.sleep(0.001)
        assert told in ([future], [n])


def test_what_has_to_be_unpickled_and_what_is_raised_comes_by_the_manager(executor):
    before = taken(executor)
    for n in range(20):
        assert executor.submit(Boxed, n).result(LIMIT_S).value == n
        with pytest.raises(ZeroDivisionError):
            executor.submit(lambda: 1 / 0).result(LIMIT_S)
        assert type(executor.submit(int, "x").exception(LIMIT_S)) is ValueError
    assert taken(executor) == before
    assert executor.submit(same, 7).result(LIMIT_S) == 7


def by_callback(executor):
    came = threading.Event()
    executor.submit(same, 1).add_done_callback(lambda _: came.set())
    assert came.wait(LIMIT_S)


def by_manager(executor):
    assert executor.submit(Boxed, 1).result(LIMIT_S).value == 1


def in_another_thread(executor):
    slow = executor.submit(later, 1, 0.002)
    thread = threading.Thread(target=slow.result)
    thread.start()
    by_callback(executor)
    thread.join()


@pytest.mark.parametrize("get", [by_callback, by_manager, in_another_thread])
def test_the_manager_is_there_at_once_for_what_is_not_waited_for(executor, get):
    """It looks by itself every 100 ms: so a call of it that is missing costs 50 ms at the median."""
    took = []
    for n in range(31):
        assert executor.submit(same, n).result(LIMIT_S) == n
        begin = time.monotonic()
        get(executor)
        took.append(time.monotonic() - begin)
    assert sorted(took)[len(took) // 2] < 0.03, took


def test_what_waits_for_its_turn_goes_on_while_one_result_is_waited_for():
    with Executor(1) as executor:
        futures = [executor.submit(later, n, 0.002) for n in range(100)]
        assert [future.result(LIMIT_S) for future in reversed(futures)] == list(reversed(range(100)))


def test_a_timeout_that_passes_is_told_and_the_result_comes_later(executor):
    for seconds in (0, 0.001, 0.02):
        future = executor.submit(later, 5, 0.2)
        with pytest.raises(concurrent.futures.TimeoutError):
            future.result(seconds)
        assert future.result(LIMIT_S) == 5


def test_the_death_of_a_worker_is_told_to_who_waits(executor):
    for seconds in (0, 0.004, 0.05):
        with pytest.raises(WorkerDied):
            executor.submit(lambda s: (time.sleep(s), os.kill(os.getpid(), signal.SIGKILL)), seconds).result(LIMIT_S)
        assert executor.submit(same, seconds).result(LIMIT_S) == seconds


def test_many_threads_that_wait_get_each_their_own_results(executor):
    wrong = []

    def work(k):
        for n in range(150):
            if executor.submit(same, (k, n)).result(LIMIT_S) != (k, n):
                wrong.append((k, n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert not wrong and not any(thread.is_alive() for thread in threads)


def test_a_handler_of_a_signal_that_comes_during_the_wait_runs_and_may_wait_itself(executor):
    results = []
    before = signal.signal(signal.SIGALRM, lambda *_: results.append(executor.submit(same, 2).result(LIMIT_S)))
    try:
        for seconds in (0.002, 0.005):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            assert executor.submit(later, 1, 0.3).result(LIMIT_S) == 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert results == [2, 2]


def test_what_a_handler_raises_comes_out_of_the_wait_at_once_and_the_result_stays(executor):
    class Interrupt(Exception):
        pass

    def interrupt(*_):
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for n in range(200):
            future = executor.submit(later, n, 0.0005)
            signal.setitimer(signal.ITIMER_REAL, 0.0002 + n % 10 * 0.0001)
            try:
                future.result(LIMIT_S)
                while True:  # until the signal comes
                    time.sleep(0.001)
            except Interrupt:
                assert future.result(LIMIT_S) == n
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_shutdown_by_another_thread_during_the_wait_ends():
    for seconds in (0.001, 0.003, 0.02):
        executor = Executor(1)
        executor.submit(int).result(LIMIT_S)
        future = executor.submit(later, 1, seconds)
        thread = threading.Thread(target=functools.partial(executor.shutdown, wait=True))
        thread.start()
        assert future.result(LIMIT_S) == 1
        thread.join(LIMIT_S)
        assert not thread.is_alive()
        with pytest.raises(RuntimeError):
            executor.submit(int)


def test_workers_that_end_after_so_many_tasks_are_replaced_meanwhile():
    with Executor(1, max_tasks_per_child=3) as executor:
        pids = {executor.submit(os.getpid).result(LIMIT_S) for _ in range(12)}
    assert len(pids) == 4


def test_deaths_with_results_in_between_do_not_break_it():
    with Executor(1) as executor:
        for n in range(25):
            with pytest.raises(WorkerDied):
                executor.submit(os._exit, 3).result(LIMIT_S)
            assert executor.submit(same, n).result(LIMIT_S) == n
