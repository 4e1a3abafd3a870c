"""Medians, ratios, their intervals and verdicts: against values computed by hand, scipy, and simulated sessions."""
import math

import numpy
import pytest
import scipy.stats

from bench.results import statistics
from bench.results.statistics import Estimate
from matrix import first

BLOCKS = statistics.FEWEST_BLOCKS


def blocks_of(values):
    return dict(enumerate(values))


def simulated(draw, base_ns, own_ns, blocks=BLOCKS, noise=0.02, outliers=0.0):
    """A session's (base, own): each block has a state of its own, and other work makes some samples up to twice as long."""
    state = numpy.exp(draw.normal(0, noise, blocks))
    return [blocks_of(state * ns * numpy.exp(draw.normal(0, noise, blocks))
                      * (1 + (draw.random_sample(blocks) < outliers) * draw.random_sample(blocks)))
            for ns in (base_ns, own_ns)]


# -- values by hand

def test_times_as_fast_is_the_bases_median_over_the_runtimes():
    of = statistics.times_as_fast(blocks_of([6.0, 9.0, 30.0]), blocks_of([2.0, 3.0, 5.0]))
    assert (of.value, of.low, of.high, of.p, of.blocks) == (3.0, None, None, None, 3)


def test_it_is_a_ratio_of_medians_and_not_a_mean_of_ratios():
    assert statistics.times_as_fast(blocks_of([1.0, 10.0]), blocks_of([10.0, 1.0])).value == 1.0


def test_a_ratio_is_paired_by_block():
    """What slows down a whole block is in both sides, and drops out."""
    noise = [1, 2, 4, 8, 16, 32, 64, 128]
    base, own = blocks_of([3.0 * n for n in noise]), blocks_of([1.0 * n for n in noise])
    of = statistics.times_as_fast(base, own)
    assert (of.value, of.low, of.high) == (3.0, 3.0, 3.0)
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


def test_a_mean_resamples_the_blocks_of_all_its_ratios_together():
    up, down = blocks_of([2.0, 8.0] * 4), blocks_of([1.0, 1.0] * 4)
    of = statistics.mean_times_as_fast([(up, down), (down, up)])  # what one gains the other loses
    assert (of.low, of.high) == pytest.approx((1.0, 1.0))
    assert statistics.mean_times_as_fast([(up, down)]).high > 2


def test_no_interval_below_six_blocks():
    assert statistics.median([1.0] * 5).low is None
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


def test_two_sessions_are_resampled_independently():
    session = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]
    of = statistics.quotient([session], [session])
    assert of.value == 1 and of.low < 0.95 and of.high > 1.05  # paired, it would be exactly 1
    assert statistics.quotient([[2.0] * 8, [1.0] * 8], [[3.0] * 8, [1.0] * 8]).value == pytest.approx(2 / 3)
    assert statistics.quotient([session], [session[:5]]).low is None


# -- the same samples, the same numbers

def test_the_resamples_are_the_same_for_ever():
    assert statistics.draws(6).shape == (statistics.RESAMPLES, 6)
    assert statistics.draws(6)[0].tolist() == [4, 5, 0, 3, 3, 3]
    assert not (statistics.draws(6) == statistics.draws(6, 1)).all()


def test_resampling_leaves_other_random_numbers_alone():
    numpy.random.seed(5)
    expected = numpy.random.random_sample(3).tolist()
    numpy.random.seed(5)
    statistics.draws.cache_clear()
    statistics.median([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert numpy.random.random_sample(3).tolist() == expected


# -- against scipy

def test_intervals_are_those_of_scipys_bootstrap():
    values = numpy.random.RandomState(7).lognormal(0, 0.1, 12)
    ours = statistics.median(list(values))
    theirs = scipy.stats.bootstrap((values,), numpy.median, n_resamples=20000, method="percentile", random_state=1)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), rel=0.01)


def test_p_has_the_tails_of_students_t_where_resamples_are_too_sure():
    drawn = numpy.exp(numpy.random.RandomState(1).normal(0.5, 0.1, 4000))
    t = 0.5 / numpy.log(drawn).std(ddof=1)
    assert statistics.p_value(math.exp(0.5), drawn, 8) == pytest.approx(2 * scipy.stats.t.sf(t, 7))


def test_p_is_the_share_of_resamples_on_the_other_side_where_that_is_more():
    drawn = numpy.array([0.9] * 100 + [1.5] * 900)
    assert statistics.p_value(2.0, drawn, 30) == pytest.approx(0.2)
    assert statistics.p_value(1.0, numpy.ones(100), 8) == 1
    assert statistics.p_value(2.0, numpy.full(100, 2.0), 8) == 0
    assert statistics.p_value(0.0, numpy.zeros(100), 8) is None
    assert statistics.p_value(math.inf, numpy.full(100, math.inf), 8) is None


# -- many comparisons

def test_holm():
    assert statistics.holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_the_margin_is_what_a_runtime_differs_by_from_itself():
    assert statistics.margin([]) == statistics.margin([1.001, 0.999]) == 0.02
    assert statistics.margin([0.9]) == pytest.approx(1 / 9)
    distances = sorted(statistics.distance(r) for r in [1.0] * 15 + [1.1, 0.92])
    assert statistics.margin([1.0] * 15 + [1.1, 0.92]) == pytest.approx(  # 0.95 * 16 = 15.2
        distances[15] + 0.2 * (distances[16] - distances[15]))


def of(value, low, high, p=0.0005):
    return Estimate(value, low, high, 8, p)


def test_verdicts():
    ratios = [of(1.1, 1.05, 1.25), of(0.93, 0.91, 0.95), of(1.01, 1.005, 1.015), of(1, 0.99, 1.01, 0.9),
              of(1.02, 0.99, 1.05, 0.2), Estimate(2.0, None, None, 5)]
    assert statistics.verdicts(ratios) == ["faster", "slower", "no practical difference", "no practical difference",
                                           "inconclusive", "inconclusive"]


def test_nothing_within_the_margin_is_called_a_difference():
    ratios = [of(1.03, 1.025, 1.04), of(0.94, 0.935, 0.945)]
    assert statistics.verdicts(ratios, 0.02) == ["faster", "slower"]
    assert statistics.verdicts(ratios, 0.05) == ["no practical difference", "slower"]
    assert statistics.verdicts(ratios, 0.065) == ["no practical difference", "inconclusive"]


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


# -- simulated sessions whose truth is known

@pytest.mark.parametrize("blocks, outliers", first(2, ((6, 0.1), (10, 0.0), (6, 0.0), (8, 0.1))))
def test_the_interval_covers_the_truth(blocks, outliers):
    draw, covered, sessions = numpy.random.RandomState(11), 0, 800
    for _ in range(sessions):
        found = statistics.times_as_fast(*simulated(draw, 1.25, 1.0, blocks, outliers=outliers))
        covered += found.low <= 1.25 <= found.high
    assert 0.92 < covered / sessions < 0.98


def test_an_effect_is_found_among_however_many_comparisons():
    draw = numpy.random.RandomState(1)
    ratios = [statistics.times_as_fast(*simulated(draw, 1.3, 1.0)) for _ in range(200)]
    assert statistics.verdicts(ratios).count("faster") >= 190


def test_of_sessions_where_nothing_differs_few_call_any_comparison_a_difference():
    draw, wrong, sessions = numpy.random.RandomState(2), 0, 60
    for _ in range(sessions):
        ratios = [statistics.times_as_fast(*simulated(draw, 1.0, 1.0, outliers=0.05)) for _ in range(14)]
        control = [statistics.times_as_fast(*simulated(draw, 1.0, 1.0, outliers=0.05)).value for _ in range(7)]
        wrong += bool({"faster", "slower"} & set(statistics.verdicts(ratios, statistics.margin(control))))
    assert wrong <= 3


def test_a_known_effect_is_found_in_the_right_direction():
    draw = numpy.random.RandomState(4)
    for effect, right in ((1.2, "faster"), (1 / 1.2, "slower")):
        called = []
        for _ in range(10):
            ratios = [statistics.times_as_fast(*simulated(draw, effect, 1.0, blocks=10, outliers=0.05)) for _ in range(14)]
            called += statistics.verdicts(ratios)
        assert called.count(right) / len(called) > 0.9
