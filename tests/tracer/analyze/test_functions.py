"""CPU time by function, by samples of Python's stacks: hand-made traces with answers worked out by hand."""

import json
import sqlite3

import pytest

from handmade import MS, Trace
from tracing import query, trace


def sampled(path):
    """A parent and two threads. The second thread's samples lie in spans of different kinds, nested, overlapping, in two of
    its own threads."""
    t = Trace(path)
    t.process(0, 100)
    t.process(10, 90, parent=1, task=1)
    t.process(10, 90, parent=1, task=2)
    t.rows("text", (1, "outer"), (2, "inner"), (3, "of lane 1"))
    t.sample(1, 5, "main:1", "load:10")
    t.sample(2, 20, "run:1", "f:3")
    t.sample(2, 30, "run:1", "f:4", ms=10)
    t.sample(2, 40, "run:1", "f:4", "g:9")
    t.span(3, "run", 11, 89, 2)
    t.span(3, "span", 20, 60, 1)
    t.span(3, "span", 30, 50, 1)       # in itself
    t.span(3, "span", 40, 70, 2)       # ends after the one around it
    t.span(3, "span", 20, 80, 3, lane=1)
    t.sample(3, 15, "run:1")
    t.sample(3, 35, "run:2", "f:3", "f:5")
    t.sample(3, 45, "run:2", "g:9")
    t.sample(3, 65, "run:2", "g:8", ms=20)
    t.sample(3, 75, "run:2", "h:1")
    t.sample(3, 25, "h:1", lane=1)
    t.sample(3, 85, "h:1", lane=1)
    return t


def analyzed(made):
    path = made.close()
    done = trace("analyze", path)
    assert (done.returncode, done.stderr) == (0, ""), done
    return path, done.stdout


def times(path, view, *columns):
    """{the columns: (self, total)} in ms."""
    names = ", ".join(columns)
    return {tuple(row[:-2]) if len(columns) > 1 else row[0]: (row[-2] / MS, row[-1] / MS)
            for row in query(path, f"SELECT {names}, self_ns, total_ns FROM {view} ORDER BY {names}")}


def test_a_function_has_its_own_time_and_that_of_what_it_has_called_once_where_it_calls_itself(db):
    path, _ = analyzed(sampled(db))
    assert times(path, "function_time", "process", "function") == {
        (1, "load"): (5, 5), (1, "main"): (0, 5),
        (2, "f"): (15, 20), (2, "g"): (5, 5), (2, "run"): (0, 20),
        (3, "f"): (5, 5), (3, "g"): (25, 25), (3, "h"): (15, 15), (3, "run"): (5, 40)}


def test_a_sample_counts_for_each_span_that_was_open_in_its_thread_and_once_for_two_of_one_name(db):
    path, _ = analyzed(sampled(db))
    assert times(path, "span_function_time", "kind", "name", "function") == {
        ("run", "thread", "run"): (5, 40), ("run", "thread", "f"): (5, 5), ("run", "thread", "g"): (25, 25),
        ("run", "thread", "h"): (5, 5),
        ("span", "outer", "run"): (0, 10), ("span", "outer", "f"): (5, 5), ("span", "outer", "g"): (5, 5),
        ("span", "inner", "run"): (0, 25), ("span", "inner", "g"): (25, 25),
        ("span", "of lane 1", "h"): (5, 5)}


def test_a_span_that_ends_in_another_thread_is_open_in_the_one_it_began_in(db):
    t = Trace(db)
    t.process(0, 100)
    t.rows("text", (1, "moved"))
    t.span(1, "span", 10, 50, 1, lane=1)
    t.sample(1, 20, "f:1", lane=1)
    t.sample(1, 60, "f:1", lane=1)
    path, _ = analyzed(t)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE event SET lane = 2 WHERE phase = 2")
    connection.commit()
    connection.close()
    assert trace("analyze", path).returncode == 0
    assert times(path, "span_function_time", "name", "function") == {("moved", "f"): (5, 5)}


def test_a_function_of_a_kind_of_task_has_the_line_that_most_of_its_own_time_is_in(db):
    path, _ = analyzed(sampled(db))
    found = {(task, function): rest for task, function, *rest in query(
        path, "SELECT task, function, line, self_ns, total_ns, samples, self_share, total_share FROM task_function_time")}
    assert found["parent", "load"] == [10, 5 * MS, 5 * MS, 1, 1.0, 1.0]
    assert found["thread", "f"] == [4, 20 * MS, 25 * MS, 3, pytest.approx(20 / 70), pytest.approx(25 / 70)]
    assert found["thread", "g"][:4] == [8, 30 * MS, 30 * MS, 3]
    assert found["thread", "run"][:2] == [1, 5 * MS]


def test_stacks_that_no_collector_writes_end(db):
    """A stack that calls itself, one that is not there, one without a frame, a time below 0."""
    t = Trace(db)
    t.process(0, 100)
    t.sample(1, 10, "f:1", "g:2", ms=-5)
    t.rows("stack", (10, 11, 1), (11, 10, 2), (12, 12, 1), (13, 1, 99))
    for stack in 10, 11, 12, 13, 14:
        t.instant(1, "sample", 20, stack, 5 * MS)
    path, _ = analyzed(t)
    assert times(path, "function_time", "function") == {"f": (10, 15), "g": (5, 5)}


def test_analyze_shows_the_first_functions_of_each_kind_of_task_by_their_own_time(db):
    _, said = analyzed(sampled(db))
    table = said.split("functions by CPU time\n")[1].split("\n\n")[0].splitlines()
    assert [line.split() for line in table] == [
        ["task", "function", "line", "s", "self", "with", "callees", "samples"],
        ["thread", "g", "m.py:8", "0.030", "42.9", "%", "42.9", "%", "3"],
        ["thread", "f", "m.py:4", "0.020", "28.6", "%", "35.7", "%", "3"],
        ["thread", "h", "m.py:1", "0.015", "21.4", "%", "21.4", "%", "3"],
        ["thread", "run", "m.py:1", "0.005", "7.1", "%", "85.7", "%", "1"],
        ["parent", "load", "m.py:10", "0.005", "100.0", "%", "100.0", "%", "1"]]


def test_the_json_has_them_with_their_files_and_without_samples_there_are_none(db, tmp_path):
    path, _ = analyzed(sampled(db))
    functions = json.loads(trace("analyze", "--json", path).stdout)["functions"]
    assert functions[0] == {"task": "thread", "function": "g", "file": "m.py", "line": 8, "self_ns": 30 * MS,
                            "total_ns": 30 * MS, "samples": 3, "self_share": pytest.approx(3 / 7),
                            "total_share": pytest.approx(3 / 7)}
    bare = Trace(tmp_path / "bare.db")
    bare.process(0, 10)
    path, said = analyzed(bare)
    assert "functions" not in said
    assert json.loads(trace("analyze", "--json", path).stdout)["functions"] == []


def test_more_than_five_functions_of_a_kind_are_not_shown(db):
    t = Trace(db)
    t.process(0, 100)
    for i in range(8):
        t.sample(1, 5, f"f{i}:1", ms=i + 1)
    _, said = analyzed(t)
    assert [name in said for name in ("f7", "f3", "f2")] == [True, True, False]
