"""`python3 -m bench report`: the page, and what is said where there is none."""
import shutil
import sqlite3

import pytest

from bench.run import report, traces
from bench.run.choice import Usage


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no Rscript")
def test_the_page_is_written(bench, program, tmp_path):
    bench.add("workloads", "injected", program())
    bench.run("--quick", "--filter", "injected", "--runtimes", "sequential,multiprocessing", "--blocks", 2, "--workers", 2)
    out, _ = bench("report", bench.db, "-o", tmp_path / "page")
    assert out.splitlines()[-1] == str(tmp_path / "page" / "index.html")
    assert (tmp_path / "page" / "speedup.pdf").exists()
    assert "does not exist" in bench("report", tmp_path / "none.db", "-o", tmp_path / "page", code=1)[1]


def test_without_r_a_sentence_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Usage, match="no Rscript"):
        report.report(["bench.db"], [], [], "page")


def test_a_program_is_traced_under_both_runtimes(bench, program, tmp_path):
    bench.add("workloads", "injected", program())
    bench("trace", "injected", "--workers", 2, "-o", tmp_path / "traces")
    for runtime in "snakefish", "multiprocessing":
        with sqlite3.connect(tmp_path / "traces" / f"injected-{runtime}.db") as db:
            assert db.execute("SELECT count(*) > 1 FROM process").fetchone() == (1,), runtime
            assert db.execute("SELECT value > 0 FROM efficiency WHERE name = 'useful_ns'").fetchone() == (1,)
    assert "no workload" in bench("trace", "nothing", code=2)[1]
    assert "not with names" in bench("trace", "--full", "injected", code=2)[1]


def test_without_names_the_programs_of_the_benchmarks_game_are_traced_or_all():
    names = [workload.name for workload in traces.programs(full=False)]
    assert len(names) == 7 and "mandelbrot" in names
    every = [workload.name for workload in traces.programs(full=True)]
    assert set(names) < set(every) and "word-count" in every and "spawn-join" not in every
