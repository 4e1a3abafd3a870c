"""coverage.py in programs that use snakefish: lines that a child has run are counted."""
import sys

import pytest

from conftest import environment

pytest.importorskip("coverage")

PROGRAM = """\
import snakefish


def in_thread():
    a = 1
    return a


def in_worker(x):
    b = x
    return b


def in_generator():
    c = 2
    yield c


def never():
    return 3


def raising():
    d = 4
    raise ValueError(d)


def nested():
    with snakefish.Thread(deep) as t:
        t.start()


def deep():
    e = 5
    return e


for f in (in_thread, raising, nested):
    with snakefish.Thread(f) as t:
        t.start()
    try:
        t.get_result()
    except ValueError:
        pass
snakefish.map(in_worker, [1, 2, 3], 2)
with snakefish.Generator(in_generator) as g:
    g.start()
    list(g)
"""
MISSED = [20]  # the body of never()


def missed_lines(tmp_path, configuration, combine):
    import json
    import subprocess
    program, rc = tmp_path / "program.py", tmp_path / "rc"
    program.write_text(PROGRAM)
    rc.write_text(configuration)

    def coverage(*arguments):
        return subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=tmp_path, timeout=50,
                              env=environment(COVERAGE_RCFILE=rc, PYTHONDONTWRITEBYTECODE=1), capture_output=True, text=True)

    ended = coverage("run", str(program))
    assert ended.returncode == 0 and ended.stderr == "", ended.stderr
    if combine:
        assert coverage("combine").returncode == 0
    reported = coverage("json", "-o", "reported.json", "--include=program.py")
    assert reported.returncode == 0, reported.stdout + reported.stderr
    return json.loads((tmp_path / "reported.json").read_text())["files"]["program.py"]["missing_lines"]


def test_without_parallel_the_one_data_file_is_the_programs_and_no_other_is_made(tmp_path):
    assert set(missed_lines(tmp_path, "", combine=False)) > set(MISSED)
    assert [path.name for path in tmp_path.glob(".coverage*")] == [".coverage"]


def test_with_parallel_each_process_leaves_a_file_to_combine(tmp_path):
    assert missed_lines(tmp_path, "[run]\nparallel = True\n", combine=True) == MISSED


def test_it_works_with_multiprocessings_own_support_and_with_branches(tmp_path):
    rc = "[run]\nparallel = True\nbranch = True\nconcurrency = multiprocessing\n"
    assert missed_lines(tmp_path, rc, combine=True) == MISSED
