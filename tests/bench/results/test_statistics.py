"""Ratios, their intervals and verdicts, and medians: against values computed by hand, scipy, and what limma gives."""
import math

import numpy
import pytest
import scipy.stats

from bench.results import statistics
from bench.results.statistics import Estimate, Prior

BLOCKS = statistics.FEWEST_BLOCKS


def blocks_of(values):
    return dict(enumerate(values))


def simulated(draw, base_ns, own_ns, blocks=BLOCKS, noise=0.02):
    """A session's (base, own): each block has a state of its own."""
    state = numpy.exp(draw.normal(0, noise, blocks))
    return [blocks_of(state * ns * numpy.exp(draw.normal(0, noise, blocks))) for ns in (base_ns, own_ns)]


# -- values by hand

def test_times_as_fast_is_the_bases_geometric_mean_over_the_runtimes():
    of = statistics.times_as_fast(blocks_of([4.0, 9.0, 6.0]), blocks_of([2.0, 3.0, 1.0]))
    assert of.value == pytest.approx((2 * 3 * 6) ** (1 / 3))
    assert (of.low, of.high, of.p, of.blocks) == (None, None, None, 3)
    means = statistics.geometric_means([[4.0, 9.0, 6.0], [2.0, 3.0, 1.0]])
    assert of.value == pytest.approx(means[0] / means[1])


def test_a_ratio_is_paired_by_block():
    """What slows down a whole block is in both sides, and drops out."""
    noise = [1, 2, 4, 8, 16, 32, 64, 128]
    base, own = blocks_of([3.0 * n for n in noise]), blocks_of([1.0 * n for n in noise])
    of = statistics.times_as_fast(base, own)
    assert (of.value, of.low, of.high) == pytest.approx((3.0, 3.0, 3.0), rel=1e-5)
    del own[7]
    assert statistics.times_as_fast(base, own).blocks == 7
    assert statistics.times_as_fast({99: 1.0}, own) is None


def test_the_other_way_round_it_is_the_inverse():
    base, own = simulated(numpy.random.RandomState(3), 1.3, 1.0)
    there, back = statistics.times_as_fast(base, own), statistics.times_as_fast(own, base)
    assert there.value == pytest.approx(1 / back.value)
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))
    assert there.p == pytest.approx(back.p)


def test_the_geometric_mean_is_over_the_blocks_that_hold_all():
    base = blocks_of([8.0] * 3)
    mean = statistics.mean_times_as_fast([(base, blocks_of([4.0] * 3)), (base, blocks_of([1.0] * 2))])
    assert (mean.value, mean.blocks) == (pytest.approx(4.0), 2)  # sqrt(2 * 8)
    assert statistics.mean_times_as_fast([]) is None
    assert statistics.mean_times_as_fast([(base, {99: 1.0})]) is None


def test_a_mean_is_as_sure_as_its_blocks_are_alike():
    up, down = blocks_of([2.0, 8.0] * 4), blocks_of([1.0, 1.0] * 4)
    of = statistics.mean_times_as_fast([(up, down), (down, up)])  # what one gains the other loses
    assert (of.low, of.high) == pytest.approx((1.0, 1.0), rel=1e-5)
    assert statistics.mean_times_as_fast([(up, down)]).high > 2


def test_no_interval_below_six_blocks():
    for of in (statistics.median([1.0] * 5), statistics.times_as_fast(blocks_of([1.0] * 5), blocks_of([1.0] * 5))):
        assert (of.value, of.low, of.high, of.blocks) == (1.0, None, None, 5)
    assert statistics.detectable(of, 14) is None and statistics.blocks_needed(of, 14) is None
    of = statistics.median([1.0] * 6)
    assert (of.low, of.high, of.blocks) == (1.0, 1.0, 6)


def test_a_median_of_an_even_number_is_between_the_two():
    assert statistics.median([4.0, 1.0, 3.0, 9.0]).value == 3.5


def test_break_even_is_where_the_times_are_equal():
    def times(cost_ns, task_ns):
        return {size: blocks_of([cost_ns + task_ns * size] * 6) for size in (10, 100, 1000)}

    def size_of(own):
        return statistics.break_even(times(0, 20), own)

    of = size_of(times(500, 10))  # equal at 50
    # on the line through (log 10, log(600 / 200)) and (log 100, log(1500 / 2000))
    high, low = math.log(600 / 200), math.log(1500 / 2000)
    assert of.value == pytest.approx(10 ** (1 + high / (high - low)))
    assert (of.low, of.high) == pytest.approx((of.value, of.value))
    never, always = size_of(times(1e6, 10)), size_of(times(0, 10))
    assert (never.value, never.low, never.high) == (math.inf, math.inf, math.inf)
    assert (always.value, always.low, always.high) == (0, 0, 0)
    assert statistics.break_even({}, times(0, 10)) is None


def test_the_last_fall_counts():
    logs = numpy.log([1, 10, 100])
    assert statistics.last_fall(logs, numpy.array([-1.0, 1.0, -1.0])) == pytest.approx(math.sqrt(1000))
    assert statistics.last_fall(logs, numpy.array([1.0, -1.0, 0.0])) == math.inf


# -- the same samples, the same numbers

def test_the_resamples_are_the_same_for_ever():
    assert statistics.draws(6).shape == (statistics.RESAMPLES, 6)
    assert statistics.draws(6)[0].tolist() == [4, 5, 0, 3, 3, 3]


def test_resampling_leaves_other_random_numbers_alone():
    numpy.random.seed(5)
    expected = numpy.random.random_sample(3).tolist()
    numpy.random.seed(5)
    statistics.draws.cache_clear()
    statistics.median([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert numpy.random.random_sample(3).tolist() == expected


# -- against scipy

def test_intervals_of_medians_are_those_of_scipys_bootstrap():
    values = numpy.random.RandomState(7).lognormal(0, 0.1, 12)
    ours = statistics.median(list(values))
    theirs = scipy.stats.bootstrap((values,), numpy.median, n_resamples=20000, method="percentile", random_state=1)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), rel=0.01)


def test_without_others_interval_and_p_are_those_of_the_paired_t_test():
    base, own = simulated(numpy.random.RandomState(5), 1.05, 1.0, blocks=8)
    of = statistics.times_as_fast(base, own)
    theirs = scipy.stats.ttest_rel(numpy.log(list(base.values())), numpy.log(list(own.values())))
    assert of.p == pytest.approx(theirs.pvalue)
    logs = numpy.log(list(base.values())) - numpy.log(list(own.values()))
    assert numpy.log([of.low, of.high]) == pytest.approx(scipy.stats.t.interval(0.95, 7, logs.mean(), scipy.stats.sem(logs)))


def test_two_sessions_are_compared_by_welchs_t():
    a, b = numpy.random.RandomState(1).normal(0.2, 0.1, 8), numpy.random.RandomState(2).normal(0, 0.3, 11)
    of = statistics.quotient(a, b)
    assert of.value == pytest.approx(math.exp(a.mean() - b.mean()))
    assert of.p == pytest.approx(scipy.stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert of.low < of.value < of.high and of.blocks == 8
    assert statistics.quotient(a, b[:5]).low is None


# -- variances that are moderated by each other

def test_the_inverse_of_trigamma():
    for x in (0.01, 0.3, 1.0, 7.5, 400.0):
        assert statistics.trigamma_inverse(float(scipy.special.polygamma(1, x))) == pytest.approx(x)


def logs_with(variance, blocks):
    """Logarithms that have this variance."""
    ramp = numpy.arange(blocks) - (blocks - 1) / 2
    return ramp * math.sqrt(variance / ramp.var(ddof=1))


def test_the_prior_has_the_mean_and_the_variance_of_the_log_variances():
    """Of log s2 by the F distribution, as the docstring has them."""
    variances, d = numpy.array([0.5, 1.0, 8.0, 0.2, 3.0]), 7
    prior = statistics.prior([logs_with(variance, d + 1) for variance in variances])
    z, psi, psi1 = numpy.log(variances), scipy.special.digamma, lambda x: scipy.special.polygamma(1, x)
    assert z.var(ddof=1) == pytest.approx(psi1(d / 2) + psi1(prior.df / 2))
    assert z.mean() == pytest.approx(
        math.log(prior.variance) + psi(d / 2) - psi(prior.df / 2) + math.log(prior.df / d))
    assert prior.most_df == 5 * d


def test_the_prior_finds_the_distribution_that_variances_come_from():
    draw, d, d0, s0 = numpy.random.RandomState(3), 9, 6.0, 0.02
    logs = [draw.normal(0, math.sqrt(s0 * d0 / draw.chisquare(d0)), d + 1) for _ in range(4000)]
    prior = statistics.prior(logs)
    assert prior.df == pytest.approx(d0, rel=0.15) and prior.variance == pytest.approx(s0, rel=0.05)


def test_variances_that_differ_by_no_more_than_chance_are_one():
    prior = statistics.prior([logs_with(0.04, 10), logs_with(0.05, 10), logs_with(0.045, 10)])
    assert prior.df == math.inf and 0.04 < prior.variance * math.exp(scipy.special.digamma(4.5)) / 4.5 < 0.05
    assert statistics.moderated(0.04, 9, prior) == (prior.variance, 27)


def test_one_comparison_alone_has_no_prior_and_neither_have_too_few_blocks():
    assert statistics.prior([logs_with(1, 10)]) is None
    assert statistics.prior([logs_with(1, 10), logs_with(1, 5)]) is None
    assert statistics.moderated(0.04, 9, None) == (0.04, 9)


def test_a_moderated_variance_lies_between_its_own_and_the_others():
    prior = Prior(4.0, 0.1, 100.0)
    assert statistics.moderated(0.4, 8, prior) == (pytest.approx((4 * 0.1 + 8 * 0.4) / 12), 12)
    assert statistics.moderated(0.4, 8, Prior(400.0, 0.1, 50.0))[1] == 50  # no more than all have together


def test_what_seems_quiet_by_chance_is_believed_less_among_noisy_ones():
    quiet, noisy = logs_with(0.0001, 8) + 0.02, [logs_with(variance, 8) for variance in (0.01, 0.02, 0.015, 0.012)]
    alone = statistics.of_logs(quiet)
    among = statistics.of_logs(quiet, statistics.prior([quiet, *noisy]))
    assert among.value == alone.value and among.p > alone.p and among.high > alone.high


# -- many comparisons

def test_holm():
    assert statistics.holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def of(value, low, high, p=0.0005, sd=0.1, df=30.0, blocks=10):
    return Estimate(value, low, high, blocks, p, sd, df)


def test_verdicts():
    ratios = [of(1.1, 1.05, 1.25), of(0.93, 0.91, 0.95), of(1.01, 1.005, 1.015), of(1, 0.98, 1.02, 0.9),
              of(1.02, 0.99, 1.05, 0.2), Estimate(2.0, None, None, 5)]
    assert statistics.verdicts(ratios) == ["faster", "slower", "no practical difference", "no practical difference",
                                           "inconclusive", "inconclusive"]


def test_the_margin_is_what_it_is_said_to_be_and_noise_leads_to_nothing_but_inconclusive():
    wide = of(0.952, 0.763, 1.209, 0.4)  # this was called no practical difference, by the A/A control's noise
    assert statistics.verdicts([wide]) == ["inconclusive"]
    assert statistics.verdicts([of(1.01, 0.98, 1.04, 0.3)]) == ["inconclusive"]
    assert statistics.verdicts([of(1.01, 0.98, 1.04, 0.3)], 0.05) == ["no practical difference"]
    assert statistics.verdicts([of(1.03, 1.025, 1.04)], 0.05) == ["no practical difference"]


def test_many_comparisons_ask_for_more_of_each():
    assert statistics.verdicts([of(1.1, 1.05, 1.15, 0.03)]) == ["faster"]
    assert statistics.verdicts([of(1.1, 1.05, 1.15, 0.03)] * 2) == ["inconclusive"] * 2


def test_a_target_is_unsure_where_the_interval_holds_it():
    assert statistics.target_state(of(1.1, 1.05, 1.2), 1) == "reached"
    assert statistics.target_state(of(1.1, 1.0, 1.2), 1) == "reached"
    assert statistics.target_state(of(1.1, 0.99, 1.2), 1) == "unsure"
    assert statistics.target_state(of(0.9, 0.8, 1.0), 1) == "unsure"
    assert statistics.target_state(of(0.9, 0.8, 0.95), 1) == "missed"
    assert statistics.target_state(Estimate(2.0, None, None, 3), 1) == "unsure"
    assert statistics.target_state(None, 1) == "not measured"


# -- what could have been seen

def found_with(logs, family):
    """Whether these logs, the only ones that differ of so many comparisons, get a verdict."""
    return min(1.0, statistics.of_logs(logs).p * family) <= 0.05


def test_the_detectable_difference_is_found_in_four_of_five_sessions():
    draw, sd, family, blocks = numpy.random.RandomState(5), 0.1, 14, 10
    known = Estimate(1.0, 0.9, 1.1, blocks, 1.0, sd, blocks - 1.0)
    effect = math.log1p(statistics.detectable(known, family))
    found = sum(found_with(draw.normal(effect, sd, blocks), family) for _ in range(2000)) / 2000
    assert 0.77 < found < 0.85


def test_so_many_blocks_decide_it_in_four_of_five_sessions():
    draw, sd, family = numpy.random.RandomState(6), 0.1, 14
    blocks = statistics.blocks_needed(of(1.08, 0.9, 1.2, 0.2, sd=sd, df=9.0), family)
    assert 10 < blocks < 60
    found = sum(found_with(draw.normal(math.log(1.08), sd, blocks), family) for _ in range(2000)) / 2000
    assert 0.77 < found < 0.85


def test_what_looks_equal_is_decided_by_as_many_blocks_as_the_margin_needs():
    few, many = (statistics.blocks_needed(of(1.0, 0.9, 1.1, 0.9), 14, margin) for margin in (0.05, 0.03))
    assert 10 < few < many < 120  # (1.99 + 0.85) * 0.1 / log 1.03, squared
    assert statistics.blocks_needed(of(1.0, 0.2, 5, 0.9, sd=5.0), 14) == statistics.MOST_BLOCKS


def test_an_effect_is_found_among_however_many_comparisons():
    draw = numpy.random.RandomState(1)
    ratios = [statistics.times_as_fast(*simulated(draw, 1.3, 1.0)) for _ in range(200)]
    assert statistics.verdicts(ratios).count("faster") >= 190


def test_a_known_effect_is_found_in_the_right_direction():
    draw = numpy.random.RandomState(4)
    for effect, right in ((1.2, "faster"), (1 / 1.2, "slower")):
        called = []
        for _ in range(10):
            ratios = [statistics.times_as_fast(*simulated(draw, effect, 1.0, blocks=10)) for _ in range(14)]
            called += statistics.verdicts(ratios)
        assert called.count(right) / len(called) > 0.9
