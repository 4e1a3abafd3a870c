"""Medians and ratios of medians with bootstrap intervals, and the verdict on a ratio.

Every ratio is "times as fast": the base's time over the runtime's. Above 1 the runtime is the faster one.

The unit of replication is the block. Whole blocks are resampled, both sides of a ratio together, because what disturbs a
block disturbs both. A ratio is that of two medians over the same blocks, never a mean of ratios. Medians, because other
work on the machine hits a few samples of every session. With such outliers the intervals of 6 to 12 blocks cover the true
value in 93 to 98 % of simulated comparisons; intervals of means cover it in 71 to 89 %.

A ratio is called a difference only where it is larger than what a runtime differs by from itself (the A/A control), and
significant among all comparisons of its kind (Holm).

The random numbers have a fixed seed and come from numpy's RandomState, whose stream is the same in every version: the
same samples always give the same results.
"""
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

import numpy
import scipy  # noqa: F401 so that it is missed at once; its functions are imported where they are used, which is seldom

RESAMPLES = 4000
LEVEL = 0.95
FEWEST_BLOCKS = 6  # with fewer, even the extremes do not enclose the median with 95 %
PRACTICAL = 0.02  # a ratio nearer to 1 than this makes no practical difference

FASTER, SLOWER, SAME, OPEN = "faster", "slower", "no practical difference", "inconclusive"
REACHED, MISSED, UNSURE, NOT_MEASURED = "reached", "missed", "unsure", "not measured"


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; low, high and p are None where there are too few blocks for an interval."""

    value: float
    low: Optional[float]
    high: Optional[float]
    blocks: int
    p: Optional[float] = None  # of a ratio: the p-value of it being 1, see p_value


def median(values):
    """The median of the values, one a block."""
    return estimate([values], lambda medians: medians[..., 0])


def times_as_fast(base, own):
    """Base's time over own's, of two {block: ns}, over the blocks that have both; None without one."""
    columns = paired([base, own])
    return estimate(columns, lambda medians: medians[..., 0] / medians[..., 1]) if columns[0] else None


def mean_times_as_fast(pairs):
    """The geometric mean of several ratios over the blocks that hold all; None without one. pairs: of (base, own)."""
    columns = paired([by_block for pair in pairs for by_block in pair])
    if not columns or not columns[0]:
        return None
    return estimate(columns, lambda medians: numpy.exp(
        numpy.log(medians[..., 0::2] / medians[..., 1::2]).mean(axis=-1)))


def break_even(base, own):
    """The size from which on own is faster than base for good, of two {size: {block: ns}}; None without a common block.

    It is where log(own / base) over log(size) falls through 0 for the last time; 0 where own is faster at every size,
    infinity where it is not at the largest. Blocks are resampled for all sizes at once."""
    sizes = sorted(size for size in own if base.get(size))
    columns = paired([times[size] for times in (own, base) for size in sizes])
    if not columns or not columns[0]:
        return None
    logs = numpy.log(sizes)

    def statistic(medians):
        heights = numpy.log(medians[..., :len(sizes)] / medians[..., len(sizes):])
        return numpy.array([last_fall(logs, of) for of in heights]) if heights.ndim == 2 else last_fall(logs, heights)

    return estimate(columns, statistic)


def last_fall(logs, heights):
    """exp(x) where the line through (logs, heights) falls below 0 for good."""
    above = numpy.flatnonzero(heights >= 0)
    if not above.size:
        return 0.0
    k = above[-1]
    if k == len(heights) - 1:
        return numpy.inf
    return float(numpy.exp(logs[k] + (logs[k + 1] - logs[k]) * heights[k] / (heights[k] - heights[k + 1])))


def paired(columns):
    """The values of several {block: value} over the blocks that all of them have."""
    if not columns:
        return []
    both = sorted(set.intersection(*(set(column) for column in columns)))
    return [[column[block] for block in both] for column in columns]


@lru_cache(maxsize=None)
def draws(blocks, stream=0):
    """Which blocks are drawn, a row a resample. Another stream draws independently."""
    return numpy.random.RandomState(stream).randint(blocks, size=(RESAMPLES, blocks))


def resampled_medians(columns, stream=0):
    """The median of each column, a row a resample. columns: lists of equal length, one value a block."""
    values = numpy.column_stack(columns).astype(float)
    return numpy.median(values[draws(len(values), stream)], axis=1)


def medians_of(columns):
    return numpy.median(numpy.column_stack(columns).astype(float), axis=0)


def estimate(columns, statistic):
    """statistic: a function of the columns' medians, which are the last dimension of its argument."""
    value, blocks = float(statistic(medians_of(columns))), len(columns[0])
    if blocks < FEWEST_BLOCKS:
        return Estimate(value, None, None, blocks)
    return from_resamples(value, statistic(resampled_medians(columns)), blocks)


def quotient(above, below):
    """Of two independent sessions: the ratio of two statistics. Each is the median of a column, or of two columns over
    the same blocks the ratio of their medians."""

    def statistic(medians):
        return medians[..., 0] / medians[..., 1] if medians.shape[-1] == 2 else medians[..., 0]

    value = float(statistic(medians_of(above)) / statistic(medians_of(below)))
    blocks = min(len(above[0]), len(below[0]))
    if blocks < FEWEST_BLOCKS:
        return Estimate(value, None, None, blocks)
    drawn = [statistic(resampled_medians(columns, stream)) for stream, columns in enumerate((above, below))]
    return from_resamples(value, drawn[0] / drawn[1], blocks)


def from_resamples(value, drawn, blocks):
    """The estimate of a value from what the resamples give."""
    tail = (1 - LEVEL) / 2
    low, high = numpy.quantile(drawn, [tail, 1 - tail], method="nearest")  # which also serves where some are infinite
    return Estimate(value, float(low), float(high), blocks, p_value(value, drawn, blocks))


def p_value(value, drawn, blocks):
    """Two-sided, of the hypothesis that the ratio is 1; None of what is 0 or infinite.

    It is the larger of two: twice the share of resamples on the other side of 1, and the tails of Student's t beyond the
    distance of log(value) from 0 in standard deviations of the resamples' logarithms. Resamples of few blocks alone find
    too much: of simulated sessions of 6 blocks and 14 comparisons in which nothing differs, 8 to 17 % called some a
    difference, and with the tails 0 of 160 did. The number of resamples may not be the bound either: with more than 50
    comparisons Holm's procedure would find nothing."""
    if not (numpy.all(drawn > 0) and numpy.all(numpy.isfinite(drawn)) and value > 0):
        return None
    beyond = min(numpy.count_nonzero(drawn <= 1), numpy.count_nonzero(drawn >= 1))
    spread = numpy.log(drawn).std(ddof=1)
    # resamples that differ by rounding alone have no spread
    from scipy.special import stdtr
    tails = 2 * stdtr(blocks - 1, -abs(numpy.log(value)) / spread) if spread > 1e-12 else 0.0
    return float(max(min(1.0, 2 * beyond / len(drawn)), tails))


def holm(ps):
    """Each p adjusted for their number by Holm's step-down procedure; None stays None."""
    order = sorted((p, k) for k, p in enumerate(ps) if p is not None)
    adjusted, least = [None] * len(ps), 0.0
    for rank, (p, k) in enumerate(order):
        least = adjusted[k] = min(1.0, max(least, p * (len(order) - rank)))
    return adjusted


def distance(ratio):
    """How far a ratio is from 1, in either direction: 0.1 for 1.1 and for 1 / 1.1."""
    return max(ratio, 1 / ratio) - 1


def margin(control):
    """What counts as no difference: 2 %, or the 95th percentile of the A/A control's distances from 1 if that is more."""
    return max(PRACTICAL, float(numpy.quantile([distance(r) for r in control], 0.95))) if control else PRACTICAL


def verdicts(ratios, apart=PRACTICAL):
    """The verdict on each estimate of times as fast, of all comparisons of one kind. apart: the margin."""
    return [_verdict(of, p, apart) for of, p in zip(ratios, holm([of.p for of in ratios]))]


def _verdict(of, p, apart):
    if of.low is None:
        return OPEN
    if 1 / (1 + apart) <= of.low and of.high <= 1 + apart:
        return SAME
    if p is None or p > 1 - LEVEL or 1 / (1 + apart) <= of.value <= 1 + apart:
        return OPEN
    return FASTER if of.value > 1 else SLOWER


def target_state(of, target):
    """Whether an estimate of times as fast (or None) reaches a target: unsure where its interval holds the target."""
    if of is None:
        return NOT_MEASURED
    if of.low is None or of.low < target <= of.high:
        return UNSURE
    return REACHED if of.low >= target else MISSED
