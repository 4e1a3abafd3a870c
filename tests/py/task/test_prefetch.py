"""Generator(prefetch=n): how far the child runs ahead, and that it ends as a Generator without prefetch does."""
import os
import signal
import time

import generators
import pytest
from conftest import settles
from generators import OwnError, add_total, count, polled, started, summing, take_total

from snakefish import Channel, ChildDied, Generator


@pytest.fixture
def channel():
    with Channel(1 << 16) as one:
        yield one


def telling(channel, n=100):
    """A generator that sends the number of each item when it begins to compute it."""
    for i in range(n):
        channel.send_pyobj(i)
        yield i


def comes_to(channel, count):
    """How many items were begun, once they are `count` and some time has passed in which more could begin."""
    settles(lambda: len(channel) < count)
    time.sleep(0.15)
    return len(channel)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_the_child_is_up_to_n_items_ahead_from_the_start_on(channel, n):
    with started(telling, args=(channel,), prefetch=n) as generator:
        assert comes_to(channel, n) == n
        for taken in range(1, 4):
            assert generator.next() == taken - 1
            assert comes_to(channel, n + taken) == n + taken


@pytest.mark.diagonal
@pytest.mark.parametrize("n", [1, 3, 7, 1000, 1 << 70 >> 8])
@pytest.mark.parametrize("items", [0, 1, 6, 300])
def test_items_and_the_end_come_in_order(n, items):
    with started(count, args=(items,), prefetch=n) as generator:
        assert list(generator) == list(range(items))
        with pytest.raises(StopIteration):
            generator.next()
    assert generator.get_exit_status() == 0


def test_parent_and_child_work_at_the_same_time():
    def slow():
        for i in range(6):
            time.sleep(0.1)
            yield i

    began = time.monotonic()
    with started(slow, prefetch=2) as generator:
        for _ in generator:
            time.sleep(0.1)
    assert time.monotonic() - began < 1.05  # without prefetch the sleeps add up to 1.2 s


def test_next_without_blocking_finds_what_was_computed_ahead(channel):
    with started(telling, args=(channel, 3), prefetch=2) as generator:
        assert comes_to(channel, 2) == 2
        assert [generator.next(False), generator.next(block=False)] == [0, 1]
        assert polled(generator) == [2]


def test_a_poll_that_finds_nothing_does_not_make_it_run_further_ahead(channel):
    def held():
        for i in range(50):
            channel.send_pyobj(i)
            if i == 0:
                time.sleep(0.3)
            yield i

    with started(held, prefetch=2) as generator:
        for _ in range(5):
            with pytest.raises(IndexError):
                generator.next(False)
        assert comes_to(channel, 3) == 3  # two ahead, and the one that next() asked for


def test_it_does_not_compute_ahead_of_more_than_the_stream_holds(channel):
    def big():
        for i in range(100):
            channel.send_pyobj(i)
            yield bytes([i]) * (1 << 20)

    with started(big, prefetch=100) as generator:
        settles(lambda: len(channel) < 4)
        time.sleep(0.3)
        assert 3 <= len(channel) <= 6
        assert [item[0] for item in generator] == list(range(100))


@pytest.mark.parametrize("taken", [0, 1, 4])
def test_join_stops_it_and_drops_what_was_not_taken(channel, taken):
    def closing():
        try:
            yield from range(1000)
        finally:
            channel.send_pyobj("finally")

    generator = started(closing, prefetch=5)
    assert [generator.next() for _ in range(taken)] == list(range(taken))
    time.sleep(0.1)
    generator.join(10)
    assert channel.receive_pyobj(False) == "finally"
    assert generator.get_exit_status() == 0
    with pytest.raises(StopIteration):
        generator.next()


def test_join_stops_it_in_the_middle_of_a_big_item_that_nobody_takes():
    def big():
        while True:
            yield b"a" * (16 << 20)

    generator = started(big, prefetch=3)
    time.sleep(0.2)
    generator.join(10)
    assert generator.get_exit_status() == 0


def test_join_stops_it_while_it_computes_ahead_and_can_time_out():
    def slow():
        yield 1
        time.sleep(0.6)
        yield 2
        time.sleep(30)

    generator = started(slow, prefetch=10)
    assert generator.next() == 1
    time.sleep(0.2)
    with pytest.raises(TimeoutError):
        generator.join(timeout=0.1)
    generator.join(10)
    assert generator.get_exit_status() == 0


def test_a_generator_that_has_ended_ahead_keeps_its_items():
    with started(count, args=(4,), prefetch=10) as generator:
        assert settles(generator.is_alive) is False
        assert list(generator) == [0, 1, 2, 3]


def test_what_it_raises_comes_after_the_items_before_it():
    def raising():
        yield 1
        yield 2
        raise OwnError("ahead")

    with started(raising, prefetch=10) as generator:
        settles(generator.is_alive)
        assert [generator.next(), generator.next()] == [1, 2]
        with pytest.raises(OwnError, match="ahead") as caught:
            generator.next()
        assert "in raising" in str(caught.value.__cause__)
        with pytest.raises(StopIteration):
            generator.next()


@pytest.mark.parametrize("how,words", [(lambda: os.kill(os.getpid(), signal.SIGKILL), "signal 9"),
                                       (lambda: os._exit(3), "status 3"), (lambda: exit(4), "status 4")])
def test_items_that_were_sent_before_the_child_died_are_not_lost(how, words):
    def dying():
        yield 1
        yield 2
        how()

    with started(dying, prefetch=10) as generator:
        settles(generator.is_alive)
        assert [generator.next(), generator.next()] == [1, 2]
        with pytest.raises(ChildDied, match=words):
            generator.next()


def test_what_is_extracted_shows_how_far_it_had_come():
    generators.total = 0
    with started(summing, take_total, add_total, args=(100,), prefetch=4) as generator:
        assert generator.next() == 0
        time.sleep(0.2)
    assert generators.total == 5


@pytest.mark.parametrize("wrong,error", [(-1, ValueError), ("1", TypeError), (1.5, TypeError), (None, TypeError),
                                         (1 << 64, ValueError)])
def test_other_values_are_refused_by_name(wrong, error):
    with pytest.raises(error, match="prefetch"):
        Generator(count, prefetch=wrong)
