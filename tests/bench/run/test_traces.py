"""`python3 -m bench trace`: a trace database of each program under each runtime."""
import sqlite3

from bench.run import traces


def test_a_program_is_traced_under_both_runtimes(bench, program, tmp_path):
    bench.add("workloads", "injected", program())
    bench("trace", "injected", "--workers", 2, "-o", tmp_path / "traces")
    for runtime in "snakefish", "multiprocessing":
        with sqlite3.connect(tmp_path / "traces" / f"injected-{runtime}.db") as db:
            assert db.execute("SELECT count(*) > 1 FROM process").fetchone() == (1,), runtime
            assert db.execute("SELECT value > 0 FROM efficiency WHERE name = 'useful_ns'").fetchone() == (1,)
            assert db.execute("SELECT count(*) > 1 FROM prediction").fetchone() == (1,)
    assert "no workload" in bench("trace", "nothing", code=2)[1]
    assert "not with names" in bench("trace", "--full", "injected", code=2)[1]


def test_without_names_the_programs_of_the_benchmarks_game_are_traced_or_all():
    names = [workload.name for workload in traces.programs(full=False)]
    assert len(names) == 7 and "mandelbrot" in names
    every = [workload.name for workload in traces.programs(full=True)]
    assert set(names) < set(every) and "word-count" in every and "spawn-join" not in every
