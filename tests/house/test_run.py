"""The runner of the suites: what it counts, and which suites it runs side by side."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import run as runner

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "stress"))
import soak

# Passes only if the other one runs at the same time.
MEETS = "touch {me}; for i in $(seq 300); do test -e {other} && break; sleep 0.1; done; test -e {other} && echo 1 passed"
LEAVES = "; status=$?; sleep 0.5; touch {me}-left; exit $status"
# Passes only if both of them have ended.
IS_ALONE = "test -e core-left && test -e fuzz-left && echo 2 passed"


@pytest.mark.parametrize("output, status, counts", [
    ("ok one\n3 passed, 0 failed, 2 skipped\n", 0, (3, 0, 2)),
    ("3 passed, 1 failed, 0 skipped\n", 1, (3, 1, 0)),
    ("5 failed, 7 passed, 1 skipped, 2 errors in 3.21s\n", 1, (7, 7, 1)),
    ("9 passed in 0.1s\nthen it crashed\n", -11, (9, 1, 0)),
    ("", 1, (0, 1, 0)),
    ("", 0, (1, 0, 0)),
])
def test_counts_are_those_of_the_last_line_and_a_bad_status_is_a_failure(output, status, counts):
    assert tuple(runner.count(output, status).values()) == counts


def test_suites_run_side_by_side_and_those_that_measure_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "TOP", str(tmp_path))
    chosen = {name: [["sh", "-c", script]] for name, script in {
        "truth": IS_ALONE,
        "core": (MEETS + LEAVES).format(me="core", other="fuzz"),
        "fuzz": (MEETS + LEAVES).format(me="fuzz", other="core")}.items()}
    found = list(runner.results(chosen, lambda name: str(tmp_path), str(tmp_path), 2))
    assert [counts["failed"] for counts, _ in found] == [0, 0, 0]
    assert [counts["passed"] for counts, _ in found] == [1, 1, 2] and found[2][1][-1].startswith("truth ")


def test_a_suite_that_was_not_built_is_a_failure(tmp_path):
    counts, lines = runner.run_suite("core", [], str(tmp_path), str(tmp_path))
    assert counts["failed"] == 1 and lines == ["core: no tests: was it built?"]


def test_every_suite_that_is_named_exists(tmp_path):
    assert {*runner.ALONE, *runner.LONGEST, *runner.WITH_ASSERTS} <= set(runner.suites(str(tmp_path)))


def test_every_part_of_make_stress_that_is_named_exists(tmp_path):
    assert {*soak.ALONE, *soak.LONGEST} <= set(soak.parts(str(tmp_path), 1))


def test_parts_of_make_stress_run_side_by_side_and_those_that_measure_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(soak, "TOP", str(tmp_path))
    chosen = {name: [(["sh", "-c", script], {})] for name, script in {
        "flood": IS_ALONE.replace("echo 2 passed", "echo 2 passed, 0 failed, 0 skipped"),
        "many": (MEETS + LEAVES).format(me="core", other="fuzz"),
        "ring": (MEETS + LEAVES).format(me="fuzz", other="core")}.items()}
    assert list(soak.run_parts(chosen, 2)) == [[1, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert capsys.readouterr().out.splitlines()[-1].startswith("flood ")
