"""The runner of the suites: what it counts, and which suites it runs side by side."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import run as runner
import second_try

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
    assert [counts["failed"] for counts, *_ in found] == [0, 0, 0]
    assert [counts["passed"] for counts, *_ in found] == [1, 1, 2] and found[2][1][-1].startswith("truth ")


def test_a_suite_that_was_not_built_is_a_failure(tmp_path):
    counts, lines, _ = runner.run_suite("core", [], str(tmp_path), str(tmp_path))
    assert counts["failed"] == 1 and lines == ["core: no tests: was it built?"]


def test_the_cpu_time_of_a_suite_is_shown_with_that_of_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "TOP", str(tmp_path))
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    once = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print('1 passed')"]
    counts, lines, _ = runner.run_suite("py", [once, once], str(tmp_path), str(tmp_path))
    assert counts["passed"] == 2 and float(re.search(r"([\d.]+) s of CPU$", lines[-1])[1]) >= 1


def test_a_suite_that_does_not_end_is_killed_with_its_children_and_has_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "TOP", str(tmp_path))
    monkeypatch.setattr(runner, "LIMIT_SECONDS", 1)
    hangs = ["sh", "-c", "echo 7 passed; sleep 1000 & wait"]
    output, status, *_ = runner.run(hangs, dict(os.environ))
    assert status == 1 and output == "7 passed\n\nstill running after 1 s\n"


def test_ctrl_c_ends_the_runner_and_the_suite_that_runs(tmp_path):
    """Without waiting for the suite's limit of time."""
    pid = tmp_path / "pid"
    program = (f"import sys; sys.path.insert(0, {os.path.dirname(runner.__file__)!r}); import os, run\n"
               f"run.run(['sh', '-c', 'echo $$ > {pid}; exec sleep 1000'], dict(os.environ))")
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) as process:
        while not pid.exists() or not pid.read_text().strip():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    with pytest.raises(ProcessLookupError):
        for _ in range(3000):  # until its new parent has reaped it
            os.kill(int(pid.read_text()), 0)
            time.sleep(0.01)


PROGRAMS = {  # a test that never passes, one that passes the second time, one that always does
    "test_never.py": "def test_never():\n    assert False, 'never'\n",
    "test_seldom.py": "import os, pytest\n@pytest.mark.parametrize('what', ['a - b'])\ndef test_seldom(what):\n"
                      "    seen = os.path.exists('seen')\n    open('seen', 'w').close()\n    assert seen, 'not seen'\n",
    "test_always.py": "def test_always():\n    open('always', 'a').write('x')\n",
}


def run_twice(tmp_path, monkeypatch, capsys, names, *options):
    """(exit status, stdout) of a run of one suite with the tests of these files."""
    monkeypatch.setattr(runner, "TOP", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["run.py", "--build", str(tmp_path / "build"), *options])
    monkeypatch.setattr(runner, "suites", lambda build: {"py": runner.pytest("py")})
    (tmp_path / "tests" / "py").mkdir(parents=True)
    for name in names:
        (tmp_path / "tests" / "py" / name).write_text(PROGRAMS[name])
    return runner.main(), capsys.readouterr().out


def test_what_fails_once_is_shown_and_counted_as_passed_if_it_passes_alone(tmp_path, monkeypatch, capsys):
    status, out = run_twice(tmp_path, monkeypatch, capsys, ["test_seldom.py", "test_always.py"])
    assert status == 0 and out.endswith("\n2 passed, 0 failed, 0 skipped\n"), out
    assert "assert seen, 'not seen'" in out
    assert "py: passed alone, having failed beside others: tests/py/test_seldom.py::test_seldom[a - b]" in out
    assert (tmp_path / "always").read_text() == "x", "what has passed is not run again"


def test_what_fails_twice_has_failed(tmp_path, monkeypatch, capsys):
    status, out = run_twice(tmp_path, monkeypatch, capsys, PROGRAMS)
    assert status == 1 and "py: failed again, alone" in out and out.endswith("\n1 passed, 2 failed, 0 skipped\n"), out


def test_with_one_try_what_fails_once_has_failed(tmp_path, monkeypatch, capsys):
    status, out = run_twice(tmp_path, monkeypatch, capsys, ["test_seldom.py", "test_always.py"], "--tries", "1")
    assert status == 1 and out.endswith("\n1 passed, 1 failed, 0 skipped\n"), out


def test_where_many_tests_have_failed_none_is_tried_again():
    names = "\n".join(f"FAILED tests/py/test_a.py::test_{n} - AssertionError: {n}" for n in range(second_try.MOST + 1))
    assert second_try.command_of(runner.pytest("py")[0], "= short test summary info =\n" + names) is None


def test_a_long_test_is_left_to_the_run_of_long_ones_and_runs_there_alone(tmp_path, monkeypatch):
    """Of each kind one: a suite without a long test passes too."""
    for folder, mark in (("bench", "@pytest.mark.long"), ("house", "")):
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / "test_one.py").write_text(
            f"import pytest\n\n\n{mark}\ndef test_one():\n    pass\n\n\ndef test_other():\n    assert {not mark}\n")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nmarkers = ['long']\n")
    monkeypatch.setattr(runner, "TOP", str(tmp_path))
    build = str(tmp_path)

    def counts(suites, name):
        return tuple(runner.run_suite(name, suites(build)[name], build, build)[0].values())

    assert counts(runner.long_suites, "bench") == (1, 0, 0) and counts(runner.suites, "bench") == (0, 1, 0)
    assert counts(runner.long_suites, "house") == (0, 0, 0) and counts(runner.suites, "house") == (2, 0, 0)
    assert not {"core", "fuzz", "py-pypy"} & set(runner.long_suites(build))


def test_every_suite_that_is_named_exists(tmp_path):
    assert {*runner.ALONE, *runner.LONGEST, *runner.WITH_ASSERTS} <= set(runner.suites(str(tmp_path)))


def test_every_part_of_make_stress_that_is_named_exists(tmp_path):
    assert {*soak.ALONE, *soak.LONGEST, *soak.FIGURES} <= set(soak.parts(str(tmp_path), 1))


def test_figures_are_the_last_parts_of_make_stress_and_can_be_had_alone(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(soak, "run_part", lambda name, commands: ran.append(name) or [1, 0, 0])
    for more, count in ([], None), (["--figures"], len(soak.FIGURES)):
        ran.clear()
        monkeypatch.setattr(sys, "argv", ["soak.py", "--jobs", "3", *more])
        assert soak.main() == 0
        assert set(ran[-len(soak.FIGURES):]) == set(soak.FIGURES) and len(ran) == (count or len(soak.parts("build", 1)))


def test_parts_of_make_stress_run_side_by_side_and_those_that_measure_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(soak, "TOP", str(tmp_path))
    chosen = {name: [(["sh", "-c", script], {})] for name, script in {
        "flood": IS_ALONE.replace("echo 2 passed", "echo 2 passed, 0 failed, 0 skipped"),
        "many": (MEETS + LEAVES).format(me="core", other="fuzz"),
        "ring": (MEETS + LEAVES).format(me="fuzz", other="core")}.items()}
    assert list(soak.run_parts(chosen, 2)) == [[1, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert capsys.readouterr().out.splitlines()[-1].startswith("flood ")
