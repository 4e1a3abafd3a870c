"""Intervals, verdicts, and the table made of them."""
import random

import pytest

from bench.results import show_micro, show_scaling, statistics
from bench.results.statistics import Estimate
from bench.results.show import show
from bench.run.store import Store


def of(value, low, high, p=0.0005):
    return Estimate(value, (low, high), 8, p)


def noisy(draw, cost):
    return {block: cost * draw.lognormvariate(0, 0.02) for block in range(statistics.FEWEST_BLOCKS)}


def test_an_effect_is_found_among_however_many_comparisons():
    draw = random.Random(1)
    ratios = [statistics.ratio(noisy(draw, 1.0), noisy(draw, 1.3)) for _ in range(200)]
    assert statistics.verdicts(ratios).count("faster") >= 195


def test_of_sessions_where_nothing_differs_few_call_any_comparison_a_difference():
    draw, called = random.Random(2), 0
    for _ in range(40):
        ratios = [statistics.ratio(noisy(draw, 1.0), noisy(draw, 1.0)) for _ in range(14)]
        called += bool({"faster", "slower"} & set(statistics.verdicts(ratios)))
    assert called <= 2


def test_tails_of_students_t():
    for freedom, t in ((1, 12.706), (2, 4.303), (5, 2.571), (6, 2.447), (9, 2.262)):  # of the tables, 95 %
        assert abs(statistics.student_tails(t, freedom) - 0.05) < 1e-4
    assert statistics.student_tails(0, 5) == 1


def test_verdicts():
    ratios = [of(0.9, 0.80, 0.95), of(1.07, 1.05, 1.10), of(0.99, 0.985, 0.995), of(1, 0.99, 1.01, 0.9),
              of(0.98, 0.95, 1.01, 0.2), Estimate(0.5, None, 5)]
    assert statistics.verdicts(ratios) == ["faster", "slower", "no practical difference", "no practical difference",
                                         "inconclusive", "inconclusive: too few blocks"]


def test_nothing_below_the_noise_is_called_a_difference():
    ratios = [of(0.97, 0.96, 0.975), of(1.06, 1.055, 1.07)]
    assert statistics.verdicts(ratios, 0.02) == ["faster", "slower"]
    assert statistics.verdicts(ratios, 0.05) == ["no practical difference", "slower"]
    assert statistics.verdicts(ratios, 0.065) == ["no practical difference", "inconclusive"]


def test_many_comparisons_ask_for_more_of_each():
    assert statistics.holm([0.01, 0.04, None, 0.03]) == [0.03, 0.06, None, 0.06]
    assert statistics.verdicts([of(0.9, 0.85, 0.95, 0.03)]) == ["faster"]
    assert statistics.verdicts([of(0.9, 0.85, 0.95, 0.03)] * 2) == ["inconclusive"] * 2


def test_the_noise_is_what_a_runtime_differs_by_from_itself():
    assert statistics.margin([]) == statistics.margin([1.001, 0.999]) == 0.02
    assert abs(statistics.margin([0.9]) - 1 / 9) < 1e-9
    assert 0.08 < statistics.margin([1.0] * 15 + [1.1, 0.92]) < 0.1


def test_p_is_that_of_the_interval():
    apart = statistics.ratio({b: 2.0 + b / 100 for b in range(8)}, dict.fromkeys(range(8), 1.0))
    same = statistics.ratio(dict.fromkeys(range(8), 1.0), dict.fromkeys(range(8), 1.0))
    assert apart.p < 0.002 and same.p == 1
    assert statistics.ratio({0: 1.0}, {0: 1.0}).p is None


def test_no_interval_below_six_blocks():
    assert statistics.cost(dict.fromkeys(range(5), 1.0)).interval is None
    assert statistics.cost(dict.fromkeys(range(6), 1.0)).interval == (1.0, 1.0)


def test_ratio_is_paired_by_block():
    """What slows down a whole block is in both sides, and drops out."""
    noise = [1, 2, 4, 8, 16, 32, 64, 128]
    above = {block: 3.0 * n for block, n in enumerate(noise)}
    below = {block: 1.0 * n for block, n in enumerate(noise)}
    ratio = statistics.ratio(above, below)
    assert (ratio.value, ratio.interval) == (3.0, (3.0, 3.0))
    del below[7]
    assert statistics.ratio(above, below).blocks == 7
    assert statistics.ratio(above, {99: 1.0}) is None


def test_ratio_is_one_of_medians_and_not_a_mean_of_ratios():
    ratio = statistics.ratio({0: 1.0, 1: 10.0}, {0: 10.0, 1: 1.0})
    assert ratio.value == 1.0


def fill(path, blocks, cells, workload="injected", kind="program"):
    with Store(path) as store:
        store.start_session(command="test", seed=1, blocks=blocks, samples=blocks * len(cells))
        store.add_machine({"cpu_model": "Test CPU", "cpus": 2, "effective_cpus": 2, "load1": 0.1, "dirty": 0})
        store.add("workload", name=workload, size=9, kind=kind, unit="tasks", operation="run", doc="")
        for runtime in dict.fromkeys(r for r, _ in cells):
            store.add("runtime", name=runtime, status="present", doc="")
        for runtime, workers in cells:
            store.add("cell", workload=workload, size=9, runtime=runtime, workers=workers, series="strong", work=1)
        for block in range(blocks):
            for position, ((runtime, workers), ms) in enumerate(cells.items()):
                store.add("sample", block=block, position=position, workload=workload, size=9, runtime=runtime,
                          workers=workers, status="ok", output_ok=1, operations=1,
                          region_ns=int(ms * 1e6 * (1 + block / 1000)))


CELLS = {("sequential", 1): 1000, ("multiprocessing", 2): 600, ("snakefish", 2): 500, ("snakefish-traced", 2): 501}


def test_table(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, CELLS)
    assert show(tmp_path / "bench.db") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1] == str(tmp_path / "bench.db")
    snakefish = next(line for line in lines if line.split()[:2] == ["snakefish", "2"])
    assert "2.00" in snakefish.split()  # speedup
    ratio = lines[lines.index("  snakefish / multiprocessing") + 1]
    assert ratio.split()[2] == "0.833" and ratio.endswith("faster")
    assert lines[next(n for n, x in enumerate(lines) if "what tracing costs" in x) + 1].endswith(
        "no practical difference")


def test_over_all_programs_the_geometric_mean_is_told(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, {**CELLS, ("multiprocessing", 1): 1200, ("snakefish", 1): 250})
    show(tmp_path / "bench.db")
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines[lines.index(next(x for x in lines if x.startswith("all programs"))):]
              if line.startswith("  snakefish / multiprocessing ")]
    assert row.split()[3] == "0.417" and row.endswith("of 2")  # sqrt(500/600 * 250/1200)


def test_a_mean_ratio_resamples_the_blocks_of_all_its_ratios_together():
    pairs = [([2.0, 8.0] * 4, [1.0, 1.0] * 4), ([1.0, 1.0] * 4, [2.0, 8.0] * 4)]  # what one gains the other loses
    assert statistics.mean_ratio(pairs).interval == (1.0, 1.0)
    assert statistics.mean_ratio(pairs[:1]).interval[1] > 2


def test_table_of_few_blocks_has_no_interval_and_says_so(tmp_path, capsys):
    fill(tmp_path / "bench.db", 3, CELLS)
    show(tmp_path / "bench.db")
    out = capsys.readouterr().out
    assert "Fewer than 6 blocks" in out and "[" not in out and "too few blocks" in out


MICRO = {("floor", 1): 1, ("snakefish", 1): 2, ("multiprocessing", 1): 14, ("multiprocessing-simplequeue", 1): 13}


def micro(tmp_path, capsys, blocks=8, **changed):
    cells = {key: changed.get(key[0], ms) for key, ms in MICRO.items() if changed.get(key[0], ms)}
    fill(tmp_path / "bench.db", blocks, cells, workload="stream-int", kind="micro")
    show(tmp_path / "bench.db")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 100
    at = next(n for n, line in enumerate(lines) if line.startswith("  snakefish /"))
    return lines[at + 1:], next(line for line in lines if line.startswith("targets"))


def test_micro_is_held_against_the_best_peer_the_floor_and_its_target(tmp_path, capsys):
    rows, targets = micro(tmp_path, capsys)
    assert rows[0].startswith("  multiprocessing-simplequeue (best peer)") and rows[0].split()[3] == "0.154"
    assert rows[1].split()[:2] == ["multiprocessing", "0.143"] and rows[1].endswith("<= 0.167 reached")
    assert rows[2].startswith("  floor: pickle") and " 2.000 " in rows[2]
    assert targets == "targets: 1 of 1 reached"


def test_a_target_that_is_missed_is_told_once_more_at_the_end(tmp_path, capsys):
    rows, targets = micro(tmp_path, capsys, snakefish=7)
    assert rows[1].endswith("<= 0.167 not reached")
    assert targets == "targets: 0 of 1 reached; the others:"


def test_a_target_without_its_peer_is_not_measured(tmp_path, capsys):
    rows, targets = micro(tmp_path, capsys, multiprocessing=0)
    assert "not measured" in rows[1] and targets.startswith("targets: 0 of 0 reached, 1 not measured")


def test_a_target_is_unsure_where_the_interval_holds_it():
    assert show_micro.state(Estimate(0.9, (0.8, 0.95), 8), 1) == "reached"
    assert show_micro.state(Estimate(0.9, (0.8, 1.01), 8), 1) == "reached (unsure)"
    assert show_micro.state(Estimate(1.1, (0.8, 1.2), 8), 1) == "not reached (unsure)"
    assert show_micro.state(Estimate(1.1, (1.05, 1.2), 8), 1) == "not reached"
    assert show_micro.state(Estimate(0.9, None, 3), 1) == "reached (unsure)"


@pytest.mark.parametrize("status", ("wrong", "crash", "timeout"))
def test_failed_samples_are_told(tmp_path, capsys, status):
    fill(tmp_path / "bench.db", 1, {})
    with Store(tmp_path / "bench.db") as store:
        store.session = 1
        store.add("runtime", name="sequential", status="present", doc="")
        store.add("cell", workload="injected", size=9, runtime="sequential", workers=1, series="strong", work=1)
        store.add("sample", block=0, position=0, workload="injected", size=9, runtime="sequential", workers=1,
                  status=status, error="on purpose")
    show(tmp_path / "bench.db")
    out = capsys.readouterr().out
    assert f"1 {status}: injected 9 sequential x1: on purpose" in out and "nothing to compare" in out


def test_a_sweep_is_crossed_where_the_times_are_equal():
    def times(cost_ns, task_ns):
        return {size: dict.fromkeys(range(6), cost_ns + task_ns * size) for size in (10, 100, 1000)}

    at, bounds = show_scaling.crossover(times(500, 10), times(0, 20))  # equal at 50
    assert 30 < int(at) < 70 and bounds == f"[{at}, {at}]"
    assert show_scaling.crossover(times(1e6, 10), times(0, 20))[0] == "> 1000"
    assert show_scaling.crossover(times(0, 10), times(0, 20))[0] == "< 10"
    assert show_scaling.crossover(times(0, 10), {}) is None


def test_weak_scaling_is_held_against_one_share(tmp_path, capsys):
    path = tmp_path / "bench.db"
    with Store(path) as store:
        store.start_session(command="test", seed=1, blocks=6, samples=18)
        for size in (10, 21):
            store.add("workload", name="w", size=size, kind="program", unit="u", operation="run", doc="")
        for runtime in ("sequential", "snakefish", "joblib"):
            store.add("runtime", name=runtime, status="present", doc="")
        cells = {("sequential", 10, 1): (100, "both", 1), ("snakefish", 10, 1): (105, "both", 1),
                 ("snakefish", 21, 2): (125, "weak", 2.1), ("joblib", 10, 1): (130, "strong", 1)}
        for (runtime, size, workers), (_, series, work) in cells.items():
            store.add("cell", workload="w", size=size, runtime=runtime, workers=workers, series=series, work=work)
        for block in range(6):
            for position, ((runtime, size, workers), (ns, _, _)) in enumerate(cells.items()):
                store.add("sample", block=block, position=position, workload="w", size=size, runtime=runtime,
                          workers=workers, status="ok", output_ok=1, operations=1, region_ns=ns)
    show(path)
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.split()[:4] == ["w", "snakefish", "2", "21"])
    assert row.split()[4:] == ["0.84", "[0.84,", "0.84]"]  # 100 / 125 for 2.1 / 2 times the share
    assert not [line for line in out.splitlines() if line.split()[:2] == ["w", "joblib"]]
    assert out.count("the parallel region") == 1  # the larger size is of the weak series only
