"""Two sessions held against each other, and the samples as CSV."""
import csv
import io
import random

import pytest

from bench.results.compare import compare
from bench.run.store import Store, StoreError

RUNTIMES = {("sequential", 1): 1000, ("multiprocessing", 2): 600, ("snakefish", 2): 500, ("snakefish-again", 2): 500}


def fill(path, factor=None, seed=1, blocks=8, noise=0.005, name="injected"):
    """A session in which some runtimes take so many times as long."""
    draw = random.Random(seed)
    with Store(path) as store:
        store.start_session(command="test", seed=1, blocks=blocks, samples=blocks * len(RUNTIMES))
        store.add_machine({"cpu_model": "Test CPU", "commit": f"c{seed}"})
        store.add("workload", name=name, size=9, kind="program", unit="tasks", operation="run", doc="")
        for runtime, workers in RUNTIMES:
            store.add("runtime", name=runtime, status="present", doc="")
            store.add("cell", workload=name, size=9, runtime=runtime, workers=workers, series="strong", work=1)
        for block in range(blocks):
            for position, ((runtime, workers), ms) in enumerate(RUNTIMES.items()):
                ns = ms * 1e6 * (factor or {}).get(runtime, 1) * draw.gauss(1, noise)
                store.add("sample", block=block, position=position, workload=name, size=9, runtime=runtime,
                          workers=workers, status="ok", output_ok=1, operations=1, region_ns=int(ns))
    return path


def compared(capsys, *paths):
    assert compare(list(map(str, paths))) == 0
    return capsys.readouterr().out


def test_the_same_machine_twice_agrees(tmp_path, capsys):
    out = compared(capsys, fill(tmp_path / "a.db", seed=1), fill(tmp_path / "b.db", seed=2))
    assert "4 no practical difference" in out and "agree in 1 of 1 (100%)" in out
    assert "commit: c1 | c2" in out and "cpu_model" not in out


def test_a_slower_build_is_seen_and_so_is_the_ratio(tmp_path, capsys):
    slower = {"snakefish": 1.2, "snakefish-again": 1.2}
    out = compared(capsys, fill(tmp_path / "a.db"), fill(tmp_path / "b.db", factor=slower, seed=2))
    row = next(line for line in out.splitlines() if "snakefish x2" in line)
    assert row.endswith("slower") and 1 / 1.22 < float(row.split()[4]) < 1 / 1.18
    assert "agree in 0 of 1 (0%)" in out and "apart: injected 9 x2, snakefish, times as fast as multiprocessing" in out


def test_few_blocks_have_no_verdict(tmp_path, capsys):
    out = compared(capsys, fill(tmp_path / "a.db", blocks=3), fill(tmp_path / "b.db", seed=2))
    assert "too few blocks" in out and "agree" not in out


def test_nothing_in_common_is_told(tmp_path):
    with pytest.raises(StoreError, match="in common"):
        compare([str(fill(tmp_path / "a.db")), str(fill(tmp_path / "b.db", name="other"))])


def test_csv_has_a_row_for_each_sample(bench, program):
    bench.add("workloads", "injected", program())
    bench.run("--quick", "--filter", "injected", "--runtimes", "sequential", "--blocks", 3)
    out, _ = bench("export", "--csv", bench.db)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(r["block"], r["runtime"], r["status"], r["series"]) for r in rows] == [
        (str(n), "sequential", "ok", "strong") for n in range(3)]
    assert all(int(r["region_ns"]) > 0 for r in rows)
    assert "no bench database" in bench("export", "--csv", bench.db.parent / "none.db", code=2)[1]
    assert "no bench database" in bench("compare", bench.db, bench.db.parent / "none.db", code=2)[1]
