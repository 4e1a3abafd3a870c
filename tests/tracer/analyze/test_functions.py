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


def map_of(path, workers, argument_ms, f_ms, samples, usage_ms=0):
    """A map of 10 arguments on so many workers; each argument takes so long, and f has so much CPU time of it."""
    t = Trace(path)
    t.process(0, 2000)
    t.span(1, "join", 0, 1995, 1)
    t.wait(1, "child", 0, 1990, for_=1)
    each = 10 // workers
    for worker in range(1, workers + 1):
        t.process(0, 1990, parent=1, task=worker)
        t.span(worker + 1, "run", 1, 1989, worker)
        t.span(worker + 1, "chunk", 1, 1 + each * argument_ms, worker, b=each)
        t.instant(worker + 1, "usage", 1989, a=usage_ms * MS // workers)
        for i in range(samples // workers):
            t.sample(worker + 1, 2 + i, "run:1", "f:3", ms=10 * f_ms / samples)
            t.sample(worker + 1, 2 + i, "run:1", "g:7", ms=1)
    return t.close()


def against(path, other, *options):
    done = trace("analyze", path, "--against", other, *options)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_the_differential_names_the_function_that_needs_more_time_per_argument_in_company(tmp_path):
    one, five = map_of(tmp_path / "one.db", 1, 100, 20, 400), map_of(tmp_path / "five.db", 5, 150, 30, 400)
    said = against(five, one)
    assert "f (m.py:3) needs 1.50x the CPU time: 30 ms per argument against 20 ms" in said.splitlines()
    table = said.split("functions, their own CPU time per argument\n")[1].splitlines()
    assert table[1].split() == ["f", "(m.py:3)", "30.000", "20.000", "+10.000", "1.50x", "400", "400"]
    assert table[2].split() == ["g", "(m.py:7)", "40.000", "40.000", "+0.000", "1.00x", "400", "400", "within", "the", "samples'",
                                "chance"]
    assert "f (m.py:3) needs 0.67x the CPU time: 20 ms per argument against 30 ms" in against(one, five).splitlines()
    first = json.loads(against(five, one, "--json"))["functions"][0]
    assert first == {"per": "argument", "function": "f", "file": "m.py", "line": 3, "ns": 30 * MS, "against_ns": 20 * MS,
                     "more_ns": 10 * MS, "total_ns": 30 * MS, "against_total_ns": 20 * MS, "samples": 400,
                     "against_samples": 400, "differs": 1}


def test_what_differs_within_the_chance_of_the_samples_gets_no_sentence(tmp_path):
    one, five = map_of(tmp_path / "one.db", 1, 100, 20, 10), map_of(tmp_path / "five.db", 5, 150, 30, 10)
    said = against(five, one)
    assert "needs" not in said and "functions, their own CPU time per argument" in said


def test_the_advice_on_shared_memory_names_the_function_that_has_most_of_the_difference(tmp_path):
    runs = [map_of(tmp_path / f"{n}.db", n, 100, f_ms, 400, usage_ms=10 * f_ms) for n, f_ms in ((1, 20), (2, 30))]
    for one, other in (runs, runs[::-1]):
        assert against(one, other).startswith("the same 10 arguments need 1.5 times as much CPU time with 2 at once as with 1, "
                                              "most of the difference in f (m.py:3): the workers share")


def test_without_arguments_the_differential_is_per_task_or_per_run_and_without_samples_there_is_none(tmp_path):
    def run(name, threads, ms, samples=50):
        t = Trace(tmp_path / name)
        t.process(0, 500)
        for task in range(1, threads + 1):
            t.process(1, 400, parent=1, task=task)
        for i in range(samples):
            t.sample(2 if threads else 1, 5, "f:1", ms=ms)
        return t.close()
    two, one, none, bare = run("two.db", 2, 8), run("one.db", 1, 2), run("none.db", 0, 4), run("bare.db", 1, 1, 0)
    assert "f (m.py:1) needs 2.00x the CPU time: 200 ms per task against 100 ms" in against(two, one)
    assert "f (m.py:1) needs 2.00x the CPU time: 400 ms per run against 200 ms" in against(two, none)
    assert "functions" not in against(two, bare) and "functions" not in against(bare, two)
    assert json.loads(against(two, bare, "--json"))["functions"] == []


def advice(made):
    path, _ = analyzed(made)
    return query(path, "SELECT sentence FROM advice ORDER BY rank")[0][0]


def test_the_advice_names_the_function_that_most_of_the_work_is_in_and_its_part(tmp_path):
    """A program that works alone before its first fork, and one whose second thread works three times as long. What the
    first one does after its forks, and the other one in other threads, does not count."""
    serial = Trace(tmp_path / "serial.db")
    serial.rows("meta", ("cpus", 2))
    serial.process(0, 1000)
    for task in 1, 2:
        serial.process(800, 990, parent=1, task=task)
        serial.span(1, "fork", 790 + task, 791 + task, task)
        serial.span(task + 1, "run", 801, 989, task)
    for i in range(100):
        serial.sample(1, i * 7, "main:1", "parse:12" if i < 75 else "read:5", ms=7)
        serial.sample(1, 900, "main:1", "after:1", ms=7)
    assert " before its first fork, 75 % of it in parse (m.py:12): do that" in advice(serial)

    uneven = Trace(tmp_path / "uneven.db")
    uneven.rows("meta", ("cpus", 2))
    uneven.process(0, 1000)
    for task, end in (1, 300), (2, 990):
        uneven.process(10, end, parent=1, task=task)
        uneven.span(1, "fork", 8 + task, 9 + task, task)
        uneven.instant(task + 1, "start", 10, task)
        uneven.span(task + 1, "run", 11, end - 1, task)
    uneven.span(1, "join", 12, 995, 2)
    uneven.wait(1, "child", 12, 992, for_=2)
    for i in range(100):
        uneven.sample(2, 20, "short:1")
        uneven.sample(3, 20, "long:8" if i % 4 else "other:1")
    assert " runs for 0.98 s, 75 % of it in long (m.py:8), the mean is " in advice(uneven)


def test_few_samples_name_no_function(tmp_path):
    t = Trace(tmp_path / "few.db")
    t.process(0, 100)
    for i in range(19):
        t.sample(1, 5, "f:1")
    assert "m.py" not in advice(t)


def test_of_a_healthy_program_the_advice_names_the_function_too(db):
    t = Trace(db)
    t.process(0, 100)
    for i in range(25):
        t.sample(1, 4 * i, "f:1", ms=4)
    assert advice(t) == ("nothing stands out: the program's own work is 100 % of what 1 CPU can do in this time, 100 % of it in "
                         "f (m.py:1)")
