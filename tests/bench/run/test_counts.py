"""Counting instructions, with the real valgrind at the smallest sizes: what is counted, and what is said where it cannot be."""
import os
import shutil

import pytest

from bench.run import counting


def why_not():
    try:
        counting.tool()
    except counting.CannotCount as error:
        return str(error)
    return None


needs_valgrind = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def counts(bench, *arguments):
    out, err = bench("counts", "-o", bench.db, "--fresh", *arguments, limit_s=300)
    return bench.rows("SELECT * FROM instruction_count ORDER BY run"), out, err


@needs_valgrind
def test_all_processes_of_the_region_are_counted_and_the_database_has_them(bench, program):
    bench.add("workloads", "injected", program())
    rows, out, err = counts(bench, "--filter", "injected", "--runtimes", "snakefish", "--runs", 2)
    assert [(r["workload"], r["size"], r["runtime"], r["workers"], r["run"]) for r in rows] == [
        ("injected", 2, "snakefish", 2, number) for number in (0, 1)]
    assert {r["processes"] for r in rows} == {3} and all(r["tool"].startswith("callgrind 3") for r in rows)
    assert all(0 < r["own_instructions"] < r["instructions"] / 2 for r in rows)
    low, high = sorted(r["instructions"] for r in rows)
    assert high < 1.5 * low < 15_000_000  # not the 200 million of an interpreter's start with its imports
    assert f"{low:,}" in out and "injected 2 snakefish x2" in out
    assert bench.rows("SELECT status, samples FROM session") == [{"status": "complete", "samples": 0}]
    assert "+0.00%" in bench("compare", bench.db, bench.db, "--most", "1%")[0]


@needs_valgrind
def test_a_forked_process_does_not_have_its_parents_count(bench):
    totals = [counts(bench, "--filter", "micro/spawn-join", "--runtimes", "snakefish", "--size", size, "--runs", 1)[0][0]
              for size in (1, 4)]
    assert [row["processes"] for row in totals] == [3, 9]  # each operation, and each of its floor, is a process
    # 3.97 times as many; with its parent's, 10.2 times
    assert totals[1]["own_instructions"] < 5 * totals[0]["own_instructions"]


@needs_valgrind
def test_what_fails_has_no_count_and_is_told(bench, program):
    bench.add("workloads", "injected", program("return 7"))
    _, err = bench("counts", "-o", bench.db, "--filter", "injected", "--runtimes", "snakefish", "--runs", 1, code=1)
    assert "wrong: the output is not the right one: line 1: expected '[0, 1]', got '[7, 7]'" in err
    assert bench.rows("SELECT * FROM instruction_count") == []


@needs_valgrind
def test_a_session_of_samples_stays_the_one_that_is_shown_and_resumed(bench, program):
    bench.add("workloads", "injected", program())
    bench.run("--quick", "--filter", "injected", "--runtimes", "sequential,snakefish", "--workers", 2)
    shown, _ = bench("show", bench.db)
    bench("counts", "-o", bench.db, "--filter", "injected", "--runtimes", "snakefish", "--runs", 1)
    assert bench("show", bench.db)[0] == shown
    assert "its last session is complete" in bench.run("--resume", code=2)[1]


def test_without_valgrind_one_sentence_says_what_is_missing(bench, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert shutil.which("valgrind") is None
    _, err = bench("counts", "-o", bench.db, code=2)
    assert "cannot be counted: valgrind is not installed: apt-get install valgrind" in err and "perf" in err
    assert not os.path.exists(bench.db)


CALLGRIND = """\
version: 1
events: Ir

ob=(1) /usr/bin/python3.11
fn=(1) main
0 100
cob=(2) /build/_snakefish.cpython-311-x86_64-linux-gnu.so
cfn=(2) sf_send
calls=3 0
0 5000
0 20

ob=(2)
fn=(2)
0 30
+3 7
cob=(1)
cfn=(1)
calls=1 0
* 900

totals: 157
"""


def test_what_a_called_function_takes_is_counted_once_and_where_it_is(tmp_path):
    for name in ("11", "12"):
        (tmp_path / name).write_text(CALLGRIND)
    (tmp_path / "log.11").write_text("")
    assert counting.by_object(tmp_path / "11") == {"python3.11": 120, "_snakefish.cpython-311-x86_64-linux-gnu.so": 37}
    assert counting.read(tmp_path) == counting.Counted(processes=2, instructions=314, own_instructions=74)
