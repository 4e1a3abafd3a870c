"""What of the caller's environment reaches a sample, and what is said of the rest."""
import re
import subprocess
import sys
import textwrap

import pytest

from bench.run import surroundings
from bench.support.paths import TOP


@pytest.fixture
def cleared(monkeypatch):
    for name in surroundings.left_out():
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("name", [
    "PYTHONTRACEMALLOC", "PYTHONMALLOC", "PYTHONDEVMODE", "PYTHONOPTIMIZE", "PYTHONSAFEPATH", "LD_PRELOAD", "LD_BIND_NOW",
    "MALLOC_PERTURB_", "GLIBC_TUNABLES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SNAKEFISH_TRACE", "SNAKEFISH_DEBUG"])
def test_what_changes_results_is_left_out_and_said(cleared, name):
    cleared.setenv(name, "1")
    assert name not in surroundings.environment()
    assert surroundings.left_out() == [name]
    assert name in surroundings.note()


def test_without_such_variables_nothing_is_said(cleared):
    assert surroundings.left_out() == [] and surroundings.note() is None


def test_what_a_program_needs_is_passed_on(cleared):
    cleared.setenv("PYTHONPATH", "/of/the/caller")
    cleared.setenv("LD_LIBRARY_PATH", "/of/a/library")
    cleared.setenv("LANG", "C.UTF-8")
    cleared.setenv("NOBODY_KNOWS", "x")
    env = surroundings.environment()
    assert env["PYTHONPATH"].endswith(":/of/the/caller")
    assert (env["LD_LIBRARY_PATH"], env["NOBODY_KNOWS"]) == ("/of/a/library", "x")
    assert surroundings.note() is None  # PYTHONPATH is not lost
    passed_on = surroundings.passed_on()
    assert passed_on["LANG"] == "C.UTF-8" and passed_on["LD_LIBRARY_PATH"] == "(a path)"  # no path is stored


def test_a_session_stores_and_shows_it(bench, monkeypatch):
    monkeypatch.setenv("PYTHONTRACEMALLOC", "1")
    monkeypatch.setenv("SNAKEFISH_LOOKS", "good")
    bench.add("workloads", "traced", textwrap.dedent('''\
        """traced: is memory traced?"""
        import tracemalloc
        size = check_size = 4
        unit, seconds, check_output = "tasks", 0.01, b"False"
        def tasks(size, workers): return list(range(size))
        def work(n): return n
        def combine(size, results): return str(tracemalloc.is_tracing()).encode()
        '''))
    _, said = bench.run("--filter", "traced", "--runtimes", "snakefish", "--workers", "1", "--blocks", "1", "--no-memory")
    assert re.search("samples run without .*PYTHONTRACEMALLOC", said)
    assert re.search("samples ran without .*PYTHONTRACEMALLOC", bench("show", "--all", bench.db)[0])
    facts = {row["key"]: row["value"] for row in bench.rows("SELECT key, value FROM machine")}
    assert facts["environment_left_out"].split().count("PYTHONTRACEMALLOC") == 1
    assert "SNAKEFISH_LOOKS=good" in facts["environment_passed_on"]


def test_lines_of_json_that_a_program_prints_are_its_own(bench):
    bench.add("workloads", "chatty", textwrap.dedent('''\
        """chatty: prints JSON when it ends"""
        import atexit
        size = check_size = 4
        unit, seconds, check_output = "tasks", 0.01, b"6"
        def tasks(size, workers): return list(range(size))
        def work(n): return n
        def combine(size, results):
            atexit.register(print, \'{"output_sha256": 1}\')
            return str(sum(results)).encode()
        '''))
    bench.run("--filter", "chatty", "--runtimes", "snakefish", "--workers", "1", "--blocks", "1", "--no-memory")
    assert bench.rows("SELECT status FROM sample") == [{"status": "ok"}]


def test_the_bench_works_without_docstrings_and_with_an_empty_environment():
    for flags, env, command, said in ((["-OO"], None, ["list"], "workloads"),
                                      ([], {}, ["run", "--dry-run", "--quick", "--runtimes", "sequential"], "fannkuch-redux")):
        done = subprocess.run([sys.executable, *flags, "-m", "bench", *command], env=env, capture_output=True, text=True,
                              cwd=TOP, timeout=60)
        assert done.returncode == 0 and said in done.stdout, done
