"""Costs and their ratios with bootstrap intervals, and the verdict on a ratio.

The sample of a block is the unit: blocks are resampled, and a ratio's two sides together, because what disturbs a
block disturbs both. A ratio is that of two medians, never a mean of ratios. Medians, because a few samples of any
session are hit by something else on the machine; and their intervals hold: simulated with such outliers, those of 6 to
12 blocks cover the true value in 93 to 97 % of sessions, those of means in 71 to 89 %.

A ratio is called a difference only where it is larger than what a runtime differs by from itself (the A/A control), and
sure enough when all comparisons of its kind are taken together (Holm). analysis/statistics.R does the same.
"""
import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from math import atan, cos, exp, log, pi, sin, sqrt
from statistics import stdev
from typing import Optional, Tuple

RESAMPLES = 2000
LEVEL = 0.95
FEWEST_BLOCKS = 6  # with fewer, even the extremes do not enclose the median with 95 %
PRACTICAL = 0.02  # a ratio nearer to 1 than this makes no practical difference


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; None where there are too few blocks for one."""

    value: float
    interval: Optional[Tuple[float, float]]
    blocks: int
    p: Optional[float] = None  # of a ratio, that it is 1: see from_resamples


def cost(by_block):
    """The median of {block: value}."""
    values = [by_block[b] for b in sorted(by_block)]
    return _estimate(len(values), lambda places: _median(values, places))


def ratio(above, below):
    """Median over median of two {block: value}, over the blocks that have both; None without one."""
    both = sorted(above.keys() & below.keys())
    if not both:
        return None
    a, b = [above[block] for block in both], [below[block] for block in both]
    return _estimate(len(both), lambda places: _median(a, places) / _median(b, places))


def mean_ratio(pairs):
    """The geometric mean of several ratios, each median over median of two lists over the same blocks."""

    def statistic(places):
        return exp(sum(log(_median(a, places) / _median(b, places)) for a, b in pairs) / len(pairs))

    return _estimate(len(pairs[0][0]), statistic)


def _median(values, places):
    """statistics.median is several times slower, and this is called millions of times."""
    drawn = sorted([values[k] for k in places])
    middle = len(drawn) // 2
    return drawn[middle] if len(drawn) % 2 else (drawn[middle - 1] + drawn[middle]) / 2


@lru_cache(maxsize=None)
def draws(n):
    """Which places are drawn of n, for each resample: always the same, so that a database always gives the same."""
    draw = random.Random(0)
    return [draw.choices(range(n), k=n) for _ in range(RESAMPLES)]


def _estimate(n, statistic):
    value = statistic(range(n))
    if n < FEWEST_BLOCKS:
        return Estimate(value, None, n)
    return from_resamples(value, sorted(map(statistic, draws(n))), n)


def from_resamples(value, drawn, blocks):
    """drawn: the resampled values, sorted.

    p: how likely resamples lie on the other side of 1, or farther; or, where that is more, the tail of Student's t beyond
    the distance of log(value) from 0 in standard deviations of the resamples' logarithms. Resamples of few blocks alone
    are too sure: of simulated sessions of 6 blocks and 14 comparisons in which nothing differs, 8 to 17 % called some a
    difference, and with that tail 0 of 160 did. Nor may the number of resamples be the bound: with more than 50
    comparisons Holm's procedure would find nothing."""
    cut = round(len(drawn) * (1 - LEVEL) / 2)
    beyond = min(bisect_right(drawn, 1), len(drawn) - bisect_left(drawn, 1))
    spread = stdev([log(x) for x in drawn])
    p = max(min(1.0, 2 * beyond / len(drawn)), student_tails(abs(log(value)) / spread, blocks - 1) if spread else 0.0)
    return Estimate(value, (drawn[cut], drawn[-cut - 1]), blocks, p)


def student_tails(t, freedom):
    """How likely Student's t is that far from 0, or farther: the finite sums for whole degrees of freedom."""
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2
    term = total = 0.0 if freedom == 1 else cos(angle) if odd else 1.0
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cos(angle) ** 2 * ((k - 1) / k)
        total += term
    inside = 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
    return max(0.0, 1 - inside)


def holm(ps):
    """The p of each, adjusted for there being so many (Holm's step-down procedure); None stays None."""
    order = sorted((p, k) for k, p in enumerate(ps) if p is not None)
    adjusted, least = [None] * len(ps), 0.0
    for rank, (p, k) in enumerate(order):
        least = adjusted[k] = min(1.0, max(least, p * (len(order) - rank)))
    return adjusted


def margin(ratios):
    """What counts as no difference: 2 %, or what 95 % of the A/A control's ratios differ from 1 by where that is more."""
    apart = sorted(max(r, 1 / r) - 1 for r in ratios)
    if not apart:
        return PRACTICAL
    at = 0.95 * (len(apart) - 1)
    low, high = apart[int(at)], apart[min(int(at) + 1, len(apart) - 1)]
    return max(PRACTICAL, low + (high - low) * (at - int(at)))


def verdicts(ratios, apart=PRACTICAL):
    """Of the ratios of times of one kind: faster, slower, no practical difference or inconclusive."""
    return [verdict(of, p, apart) for of, p in zip(ratios, holm([of.p for of in ratios]))]


def verdict(of, p, apart):
    if of.interval is None:
        return "inconclusive: too few blocks"
    low, high = of.interval
    if 1 / (1 + apart) <= low and high <= 1 + apart:
        return "no practical difference"
    if p > 1 - LEVEL or 1 / (1 + apart) <= of.value <= 1 + apart:
        return "inconclusive"
    return "faster" if of.value < 1 else "slower"
