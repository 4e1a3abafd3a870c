"""A program that starts a trace of its own, while record or the environment traces it: it joins that trace."""
import os
import subprocess
import sys

import pytest
from conftest import environment
from databases import TRACER, Database
from instrumented import needs_collector

pytestmark = needs_collector

OUTER = ["record", "environment"]


def run(directory, outer, source, *arguments):
    """(exit status, stdout, lines of stderr) of a program that is traced into outer.db."""
    (directory / "program.py").write_text("import os, sys, snakefish\nfrom snakefish import trace\n" + source)
    command = [sys.executable, "program.py", *arguments]
    more = {"SNAKEFISH_TRACE": "outer.db"} if outer == "environment" else {}
    if outer == "record":
        command = [str(TRACER), "record", "-q", "-o", "outer.db", "--", *command]
    done = subprocess.run(command, cwd=directory, env=environment(**more), capture_output=True, text=True, timeout=50)
    return done.returncode, done.stdout, done.stderr.splitlines()


def marks(path):
    with Database(path) as db:
        assert db.state() == "complete"
        return [name for name, in db.rows("SELECT t.text FROM event e JOIN event_kind k ON k.id = e.kind "
                                          "JOIN text t ON t.id = e.object WHERE k.name = 'mark' ORDER BY e.tsc")]


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("how", ["session", "start"])
def test_it_joins_and_its_stop_does_not_end_the_outer_trace(tmp_path, how, outer):
    block = "with trace.session('inner.db'):\n    trace.mark('inside')\n"
    if how == "start":
        block = "trace.start('inner.db')\ntrace.mark('inside')\ntrace.stop()\n"
    status, out, err = run(tmp_path, outer, f"trace.mark('before')\n{block}trace.mark('after')\nprint(trace.enabled())\n")
    assert (status, out) == (0, "True\n")
    assert len(err) == 1 and str(tmp_path / "inner.db") in err[0] and str(tmp_path / "outer.db") in err[0]
    assert marks(tmp_path / "outer.db") == ["before", "inside", "after"]
    assert not os.path.exists(tmp_path / "inner.db")


@pytest.mark.parametrize("outer", OUTER)
def test_it_may_start_and_stop_as_often_as_without_and_is_refused_where_it_would_be(tmp_path, outer):
    status, out, err = run(tmp_path, outer, """
def tell(call, *arguments):
    try:
        call(*arguments)
    except RuntimeError as error:
        print(error, flush=True)
for name in "aab":
    trace.start(name)
    tell(trace.start, name)
    trace.stop()
    if os.environ.get("SNAKEFISH_TRACE") is None:
        tell(trace.stop)  # else it ends the trace that this process has started for the environment
class Mine(Exception):
    pass
try:
    with trace.session("a"):
        raise Mine
except Mine:
    print("raised")
trace.mark("end")
""")
    lines = ["tracing is on already: call trace.stop() first",
             "this process has not started tracing: call trace.start(path) first"]
    assert (status, out.splitlines()) == (0, (lines if outer == "record" else lines[:1]) * 3 + ["raised"])
    assert [line.split("wants in ")[1].split(" ")[0] for line in err] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert marks(tmp_path / "outer.db") == ["end"]


@pytest.mark.parametrize("outer", OUTER)
def test_children_join_too_also_inside_a_session_of_their_parents(tmp_path, outer):
    status, out, err = run(tmp_path, outer, """
def child(n):
    with trace.session(f"inner{n}.db"):
        trace.mark(f"child {n}")
        return trace.enabled()
print(snakefish.map(child, [1], 1))
with trace.session("parent.db"):
    print(snakefish.map(child, [2], 1))
    t = snakefish.Thread(trace.stop)
    t.start()
    t.join()
    try:
        t.get_result()
    except RuntimeError as error:
        print(error)
trace.mark("end")
""")
    assert (status, out) == (0, "[True]\n[True]\nthis process has not started tracing: call trace.start(path) first\n")
    assert len(err) == 3 and marks(tmp_path / "outer.db") == ["child 1", "child 2", "end"]


@pytest.mark.parametrize("outer", OUTER)
def test_the_program_may_leave_it_open(tmp_path, outer):
    assert run(tmp_path, outer, "trace.start('inner.db')\ntrace.mark('last')\n")[0] == 0
    assert marks(tmp_path / "outer.db") == ["last"]


def test_once_the_outer_trace_has_ended_it_starts_its_own(tmp_path):
    status, out, err = run(tmp_path, "environment", """
trace.mark("outer")
trace.stop()
with trace.session("inner.db"):
    trace.mark("inner")
""")
    assert (status, out, err) == (0, "", [])
    assert marks(tmp_path / "outer.db") == ["outer"] and marks(tmp_path / "inner.db") == ["inner"]


@pytest.mark.parametrize("outer", OUTER)
def test_it_says_that_the_kernels_view_which_it_wants_is_not_recorded(tmp_path, outer):
    status, out, err = run(tmp_path, outer, """
for wants in (False, True, True):
    with trace.session("inner.db", kernel=wants):
        pass
""")
    assert (status, out) == (0, "") and len(err) == 2
    first, second = (line.replace(str(tmp_path), "") for line in err)
    assert "kernel" not in first and "kernel=True has no effect" in second and "record --kernel" in second
