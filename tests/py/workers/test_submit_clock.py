"""The offset of a remote clock by exchanges whose ways take any time, each way another, while the clocks drift: the truth is
always within the error that is told."""
import random

import pytest
from matrix import first

from snakefish._submit_clock import Exchange, Offset

S = 1_000_000_000
TICKS_HERE, TICKS_THERE = 2.6, 3.1  # each ns


class Remote:
    """A machine whose clock is wrong by offset_ns at the start and runs off by so many parts."""

    def __init__(self, offset_ns, drift):
        self.offset_ns, self.drift = offset_ns, drift

    def ns(self, here_ns):
        return int((here_ns + self.offset_ns) + here_ns * self.drift)

    def clock(self, here_ns):
        return int(self.ns(here_ns) * TICKS_THERE), self.ns(here_ns)


def clock(here_ns):
    return int(here_ns * TICKS_HERE), here_ns


@pytest.mark.parametrize("seed", first(10, range(40)))
def test_the_truth_is_within_the_error(seed):
    rng = random.Random(seed)
    remote = Remote(rng.randrange(-10**6, 10**6) * S + 10**7 * S, rng.uniform(-9e-5, 9e-5))
    offset, now, before, base, exchanges = Offset(), 10 * S, remote.clock(9 * S), clock(9 * S), []
    quickest = None
    for _ in range(60):
        now += int(rng.expovariate(1 / S) * rng.choice([0.01, 1, 100]))
        there, busy, back = (int(rng.expovariate(1) * ms * 1e6) + 1000 for ms in (20, 5, 3))
        sent, entered, ended, came = now, now + there, now + there + busy, now + there + busy + back
        now = came
        exchanges.append((Exchange(offset, clock(sent), remote.clock(entered), remote.clock(ended), clock(came), before, base),
                          sent, entered, ended, came))
        quickest = min(quickest or there + back, there + back)
        _, error = offset.estimate(came)
        truth = came - remote.ns(came)
        assert abs(offset.estimate(came)[0] - truth) <= error + 2
        assert error <= (there + back) // 2 + 2 * 10**-4 * busy + 2  # never worse than this exchange alone
        if rng.random() < 0.9:
            before = remote.clock(ended)
    for exchange, sent, entered, ended, came in exchanges:
        (start, to, rate, *held), error = exchange.line()
        assert held == [remote.clock(entered)[0], clock(sent)[0], clock(came)[0]]
        for moment in entered, (entered + ended) // 2, ended:
            mapped_ns = (to + (remote.clock(moment)[0] - start) * rate) / TICKS_HERE
            assert abs(mapped_ns - moment) <= error + 50_000, (moment, mapped_ns - moment, error)


def test_the_fastest_way_there_and_the_fastest_way_back_may_be_of_different_exchanges():
    offset = Offset()
    offset.learn(-10, 1_000_000, 0)
    offset.learn(-1_000_000, 30, 0)
    assert offset.estimate(0) == (10, 20)


def test_it_begins_anew_when_a_clock_was_set_and_is_less_sure_with_time():
    offset = Offset()
    offset.learn(-100, 100, 0)
    assert offset.estimate(10 * S) == (0, 100 + 1_000_000)
    offset.learn(60 * S - 100, 60 * S + 100, S)
    assert offset.estimate(S) == (60 * S, 100)


def test_a_counter_that_is_the_same_needs_no_offset():
    exchange = Exchange(None, clock(10), clock(20), clock(30), clock(40), clock(0), clock(0))
    assert exchange.line() == ((clock(30)[0], clock(30)[0], 1.0, clock(20)[0], clock(10)[0], clock(40)[0]), 0)
