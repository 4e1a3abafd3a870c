"""Every runtime runs the same workloads and comes to the same output."""
import pytest

from bench import plan, runner

RUNTIMES = ("sequential", "multiprocessing", "snakefish", "snakefish-traced")
SMALL = {"spectral-norm": 20, "mandelbrot": 40}


def sample(*arguments):
    ended, answer = runner.ask(arguments, limit_s=60)
    assert answer, ended.stderr
    return answer


@pytest.mark.parametrize("workload", SMALL)
@pytest.mark.parametrize("runtime", RUNTIMES[1:])
def test_output_is_that_of_the_sequential_program(workload, runtime):
    right = sample(workload, SMALL[workload], "sequential", 1)["output_sha256"]
    for workers in (1, 2, 3):
        assert sample(workload, SMALL[workload], runtime, workers)["output_sha256"] == right


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_runtime_is_present_and_says_what_it_is(runtime):
    found = runner.probe(runtime)
    assert found.reason is None
    assert found.doc and "pool" in found.offers


def test_the_three_times_contain_each_other():
    row = runner.measure(plan.Cell("mandelbrot", 40, "multiprocessing", 2), limit_s=60, lifeline=None)
    assert 0 < row["region_ns"] < row["run_ns"] < row["wall_ns"]
    assert 0 < row["import_ns"] < row["run_ns"]
    assert row["user_ns"] > 0 and row["minor_faults"] > 0


def test_traced_runtime_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    sample("mandelbrot", 16, "snakefish-traced", 2)
    assert not list(tmp_path.iterdir())
