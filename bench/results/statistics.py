"""Ratios of times with intervals, the verdict on a ratio, and medians of times.

Every ratio is "times as fast": the base's time over the runtime's. Above 1 the runtime is the faster one.

The unit of replication is the block. A ratio is paired: its samples are the logarithms of base over runtime, one a block,
because what disturbs a block disturbs both sides. It is their mean, exponentiated, which is the ratio of the two geometric
means; the interval and p are Student's.

Ten samples say little of their own variance. So the variances of comparisons that are noisy in the same way (of one kind, at
one number of workers) are moderated (Smyth 2004, https://doi.org/10.2202/1544-6115.1027): of a comparison with variance s2 on
d degrees of freedom it takes (d0 s0 + d s2) / (d0 + d), and d0 + d degrees. d0 and s0 are such that the mean and the variance
of log s2 over all comparisons are those that they expect (see `prior`).

A verdict is given within a family, by Holm's procedure. `detectable` and `blocks_needed` say what a family of that size sees.

Medians and break-evens have intervals of a bootstrap that resamples whole blocks. Its random numbers have a fixed seed and come
from numpy's RandomState, whose stream is the same in every version: the same samples always give the same results.
"""
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

import numpy
import scipy  # noqa: F401 so that it is missed at once; its functions are imported where they are used, which is seldom

from bench.run.plan import MARGIN

RESAMPLES = 4000
LEVEL = 0.95
POWER = 0.8
FEWEST_BLOCKS = 6  # with fewer, even the extremes do not enclose the median with 95 %
LEAST_VARIANCE = 1e-12  # of log ratios: less is the rounding of the clock
MOST_BLOCKS = 10_000  # as an answer to what a verdict would take

FASTER, SLOWER, SAME, OPEN = "faster", "slower", "no practical difference", "inconclusive"
REACHED, MISSED, UNSURE, NOT_MEASURED = "reached", "missed", "unsure", "not measured"


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; low and high are None where there are too few blocks for an interval."""

    value: float
    low: Optional[float]
    high: Optional[float]
    blocks: int
    p: Optional[float] = None  # of a ratio: two-sided, of it being 1
    sd: Optional[float] = None  # of a ratio: the standard deviation of its logarithm in one block
    df: Optional[float] = None  # degrees of freedom of sd


@dataclass(frozen=True)
class Prior:
    """What the variances of comparisons that are noisy in the same way say of each of them."""

    df: float  # infinite: they differ by no more than chance
    variance: float
    most_df: float  # of a moderated variance: what all of them have together


# -- ratios

def log_ratios(base, own):
    """The logarithm of base's time over own's in each block that has both, of two {block: ns}."""
    above, below = paired([base, own])
    return numpy.log(above) - numpy.log(below)


def times_as_fast(base, own, prior=None):
    """Base's time over own's, of two {block: ns}, over the blocks that have both; None without one."""
    return of_logs(log_ratios(base, own), prior)


def mean_times_as_fast(pairs):
    """The geometric mean of several ratios over the blocks that hold all; None without one. pairs: of (base, own)."""
    columns = paired([by_block for pair in pairs for by_block in pair])
    if not columns or not columns[0]:
        return None
    logs = numpy.log(columns)
    return of_logs((logs[0::2] - logs[1::2]).mean(axis=0))


def of_logs(logs, prior=None):
    """The estimate of a ratio from its logarithm in each block."""
    if not len(logs):
        return None
    value, blocks = float(numpy.exp(numpy.mean(logs))), len(logs)
    if blocks < FEWEST_BLOCKS:
        return Estimate(value, None, None, blocks)
    variance, df = moderated(variance_of(logs), blocks - 1, prior)
    return from_mean(float(numpy.mean(logs)), variance / blocks, df, blocks, sd=float(numpy.sqrt(variance)))


def from_mean(mean, variance, df, blocks, sd=None):
    """The estimate of a ratio from the mean of its logarithms, and the variance of that mean."""
    error = float(numpy.sqrt(variance))
    reach = student(1 - (1 - LEVEL) / 2, df) * error
    return Estimate(float(numpy.exp(mean)), float(numpy.exp(mean - reach)), float(numpy.exp(mean + reach)), blocks,
                    float(min(1.0, 2 * below(-abs(mean) / error, df))), sd, df)


def quotient(above, below):
    """Of two independent sessions: the ratio of two geometric means, of logarithms one a block. Welch's t."""
    value, blocks = float(numpy.exp(numpy.mean(above) - numpy.mean(below))), min(len(above), len(below))
    if blocks < FEWEST_BLOCKS:
        return Estimate(value, None, None, blocks)
    a, b = variance_of(above) / len(above), variance_of(below) / len(below)
    df = (a + b) ** 2 / (a ** 2 / (len(above) - 1) + b ** 2 / (len(below) - 1))
    return from_mean(float(numpy.mean(above) - numpy.mean(below)), a + b, df, blocks)


def paired(columns):
    """The values of several {block: value} over the blocks that all of them have."""
    if not columns:
        return []
    both = sorted(set.intersection(*(set(column) for column in columns)))
    return [[column[block] for block in both] for column in columns]


def geometric_means(columns):
    return [float(numpy.exp(numpy.mean(numpy.log(list(column))))) for column in columns]


# -- their variances

def variance_of(logs):
    return max(float(numpy.var(logs, ddof=1)), LEAST_VARIANCE)


def prior(all_logs):
    """The Prior of comparisons that are noisy in the same way; None of fewer than two with enough blocks.

    With z = log s2, E z = log s0 + psi(d/2) - psi(d0/2) + log(d0/d) and var z = psi'(d/2) + psi'(d0/2), where psi is the
    digamma function (Smyth 2004, section 6.2). d0 and s0 are those at which these are the mean and the variance that are
    found."""
    from scipy.special import digamma, polygamma

    kept = [logs for logs in all_logs if len(logs) >= FEWEST_BLOCKS]
    if len(kept) < 2:
        return None
    df = numpy.array([len(logs) - 1.0 for logs in kept])
    e = numpy.log([variance_of(logs) for logs in kept]) - digamma(df / 2) + numpy.log(df / 2)
    excess = float(numpy.var(e, ddof=1) - numpy.mean(polygamma(1, df / 2)))
    if excess <= 0:
        return Prior(numpy.inf, float(numpy.exp(e.mean())), float(df.sum()))
    half = trigamma_inverse(excess)
    return Prior(2 * half, float(numpy.exp(e.mean() + digamma(half)) / half), float(df.sum()))


def trigamma_inverse(y):
    """The x > 0 with psi'(x) = y: by Newton's method on 1 / psi', which is nearly a line."""
    from scipy.special import polygamma

    x = 0.5 + 1 / y
    for _ in range(50):
        of = polygamma(1, x)
        step = of * (1 - of / y) / polygamma(2, x)
        x += step
        if abs(step) < 1e-10 * x:
            break
    return float(x)


def moderated(variance, df, prior):
    """(variance, degrees of freedom) of a comparison, by its own variance and the others'."""
    if prior is None:
        return variance, float(df)
    if numpy.isinf(prior.df):
        return prior.variance, max(prior.most_df, float(df))
    return ((prior.df * prior.variance + df * variance) / (prior.df + df), min(prior.df + df, max(prior.most_df, df)))


def student(share, df):
    """The quantile of Student's t."""
    from scipy.special import stdtrit
    return float(stdtrit(df, share))


def below(t, df):
    """The share of Student's t below that."""
    from scipy.special import stdtr
    return float(stdtr(df, t))


# -- verdicts

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


def verdicts(ratios, margin=MARGIN):
    """The verdict on each estimate of times as fast, of all comparisons of one family.

    Equal is what has its whole interval within the margin, and noise makes intervals wide: it can lead to OPEN only."""
    return [_verdict(of, p, margin) for of, p in zip(ratios, holm([of.p for of in ratios]))]


def _verdict(of, p, margin):
    if of.low is None:
        return OPEN
    if 1 / (1 + margin) <= of.low and of.high <= 1 + margin:
        return SAME
    if p > 1 - LEVEL:
        return OPEN
    return FASTER if of.value > 1 else SLOWER


def detectable(of, family):
    """The smallest difference that would have got a verdict with 80 % power, in a family of so many; None without blocks."""
    if of.sd is None:
        return None
    return float(numpy.expm1(of.sd * needed(family, of.df) / numpy.sqrt(of.blocks)))


def needed(family, df):
    """How many standard errors a difference must have, so that it is found with 80 % power among so many comparisons."""
    from scipy.special import nctdtrinc
    reach = student(1 - (1 - LEVEL) / 2 / family, df)
    # beyond many degrees of freedom the noncentral t is a normal distribution, and scipy's inverse is not exact
    return float(nctdtrinc(df, 1 - POWER, reach)) if df < 1000 else reach + student(POWER, df)


def blocks_needed(of, family, margin=MARGIN):
    """How many blocks would decide it with 80 % power, if it is as it looks: as a difference, or as none. At most MOST_BLOCKS;
    None without an interval."""
    if of.sd is None:
        return None
    apart = abs(numpy.log(of.value))
    rest = numpy.log1p(margin) - apart

    def decides(blocks):
        df, error = of.df + blocks - of.blocks, of.sd / numpy.sqrt(blocks)
        return apart >= needed(family, df) * error or rest >= needed(1, df) * error

    low, high = of.blocks, MOST_BLOCKS
    while low < high:  # bisection for the least that decides
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle + 1, high)
    return low


def target_state(of, target):
    """Whether an estimate of times as fast (or None) reaches a target: unsure where its interval holds the target."""
    if of is None:
        return NOT_MEASURED
    if of.low is None or of.low < target <= of.high:
        return UNSURE
    return REACHED if of.low >= target else MISSED


# -- medians of times

def median(values):
    """The median of the values, one a block."""
    return estimate([values], lambda medians: medians[..., 0])


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


@lru_cache(maxsize=None)
def draws(blocks):
    """Which blocks are drawn, a row a resample."""
    return numpy.random.RandomState(0).randint(blocks, size=(RESAMPLES, blocks))


def estimate(columns, statistic):
    """statistic: a function of the columns' medians, which are the last dimension of its argument. columns: lists of equal
    length, one value a block."""
    values = numpy.column_stack(columns).astype(float)
    value, blocks = float(statistic(numpy.median(values, axis=0))), len(values)
    if blocks < FEWEST_BLOCKS:
        return Estimate(value, None, None, blocks)
    tail = (1 - LEVEL) / 2
    drawn = statistic(numpy.median(values[draws(blocks)], axis=1))
    low, high = numpy.quantile(drawn, [tail, 1 - tail], method="nearest")  # which also serves where some are infinite
    return Estimate(value, float(low), float(high), blocks)
