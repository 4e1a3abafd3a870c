"""Intervals, verdicts, and the table made of them."""
import pytest

from bench import interval, show_micro
from bench.interval import Estimate, verdict
from bench.show import show
from bench.store import Store


def test_verdicts():
    def of(low, high):
        return verdict(Estimate(1.0, (low, high), 8))

    assert of(0.80, 0.95) == "faster"
    assert of(1.05, 1.10) == "slower"
    assert of(0.985, 0.995) == "no practical difference"
    assert of(0.99, 1.01) == "no practical difference"
    assert of(0.95, 1.01) == "inconclusive"
    assert of(0.97, 0.99) == "faster"
    assert verdict(Estimate(0.5, None, 5)).startswith("inconclusive")


def test_no_interval_below_six_blocks():
    assert interval.cost(dict.fromkeys(range(5), 1.0)).interval is None
    assert interval.cost(dict.fromkeys(range(6), 1.0)).interval == (1.0, 1.0)


def test_ratio_is_paired_by_block():
    """What slows down a whole block is in both sides, and drops out."""
    noise = [1, 2, 4, 8, 16, 32, 64, 128]
    above = {block: 3.0 * n for block, n in enumerate(noise)}
    below = {block: 1.0 * n for block, n in enumerate(noise)}
    ratio = interval.ratio(above, below)
    assert (ratio.value, ratio.interval) == (3.0, (3.0, 3.0))
    del below[7]
    assert interval.ratio(above, below).blocks == 7
    assert interval.ratio(above, {99: 1.0}) is None


def test_ratio_is_one_of_medians_and_not_a_mean_of_ratios():
    ratio = interval.ratio({0: 1.0, 1: 10.0}, {0: 10.0, 1: 1.0})
    assert ratio.value == 1.0


def fill(path, blocks, cells, workload="injected", kind="program"):
    with Store(path) as store:
        store.start_session(command="test", seed=1, blocks=blocks, samples=blocks * len(cells))
        store.add_machine({"cpu_model": "Test CPU", "cpus": 2, "effective_cpus": 2, "load1": 0.1, "dirty": 0})
        store.add("workload", name=workload, size=9, kind=kind, unit="tasks", operation="run", doc="")
        for runtime in dict.fromkeys(r for r, _ in cells):
            store.add("runtime", name=runtime, status="present", doc="")
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
    assert "not measured" in rows[1] and targets.startswith("targets: 0 of 1 reached")


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
        store.add("sample", block=0, position=0, workload="injected", size=9, runtime="sequential", workers=1,
                  status=status, error="on purpose")
    show(tmp_path / "bench.db")
    out = capsys.readouterr().out
    assert f"1 {status}: injected 9 sequential x1: on purpose" in out and "nothing to compare" in out
