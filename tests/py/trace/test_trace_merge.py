"""What sharing variables costs is in the trace: bytes, times and conflicts of each variable, in the spans of each task."""
import subprocess
import sys

import pytest
from conftest import TOP, environment
from databases import TRACER, Database

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")

# Each task changes the counter, some keys of the table, and its own half of a large array of bytes.
PROGRAM = """
import sys, snakefish
from snakefish import Thread, merge, trace
counter, table, blob, unchanged, title = 0, {n: [] for n in range(100)}, {}, {1, 2, 3}, "nobody's"
other_name = table
def work(task):
    global counter, title
    counter += 1
    for n in range(task * 10, task * 10 + 10):
        table[n].append(task)
    blob[task] = bytes(100_000)
    title = f"task {task}'s"
def run(on_conflict):
    share = {**dict.fromkeys(["counter", "table", "other_name", "blob", "unchanged"]), "title": "either"}
    threads = [Thread(work, share=share, on_conflict=on_conflict, args=(task,), name=f"task {task}") for task in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
"""

# Events of a kind with their variable, and the span that they lie in: its task, and how long it took.
INSIDE = """
    SELECT x.text, e.a, e.b, s.task, s.process, s.duration_ns FROM event_time e
    JOIN event_kind k ON k.id = e.kind LEFT JOIN text x ON x.id = e.object
    LEFT JOIN (SELECT s.*, t.name AS task FROM span s JOIN task t ON t.id = s.object) s
      ON s.process = e.process AND s.lane = e.lane AND e.ns BETWEEN s.start_ns AND s.end_ns AND s.kind = ?
    WHERE k.name = ? ORDER BY e.ns"""


def costs(db):
    return {row[0]: row[1:] for row in db.rows("SELECT variable, tasks, bytes, conflicts FROM merge_cost")}


def test_each_task_says_what_each_variable_has_cost(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
with trace.session(sys.argv[1]):
    run("parent")
assert counter == 3 and len(blob) == 3 and sum(map(len, table.values())) == 30 and title == "task 0's"
""", path)
    with Database(path) as db:
        assert db.state() == "complete" and db.losses() == []
        extracted, merged = db.rows(INSIDE, "extract", "extracted"), db.rows(INSIDE, "merge", "merged")
        tasks = {f"task {n}" for n in range(3)}
        for rows, changed in ((extracted, {"counter", "table", "blob", "unchanged", "title", None}),
                              (merged, {"counter", "table", "other_name", "blob", "title", None})):
            assert {(row[0], row[3]) for row in rows} == {(name, task) for name in changed for task in tasks}
            assert len(rows) == len(changed) * 3
            for task in tasks:  # the parts are of the whole, and most of it
                whole = next(row[5] for row in rows if row[3] == task)
                assert 0 < sum(row[2] for row in rows if row[3] == task) <= whole
        assert len({row[4] for row in extracted}) == 3 and {row[4] for row in merged} == {1}
        found = costs(db)
        assert {name: (count, conflicts) for name, (count, _, conflicts) in found.items()} == {
            "counter": (3, 0), "table": (3, 0), "other_name": (0, 0), "blob": (3, 0), "unchanged": (0, 0), "title": (3, 2),
            None: (3, 0)}
        assert 300_000 < found["blob"][1] < 300_500 and found["unchanged"][1] == 0
        assert 0 < found["counter"][1] < found["title"][1] < found["table"][1] < 5000


def test_a_conflict_that_ends_a_join_is_counted(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
with trace.session(sys.argv[1]):
    try:
        run("raise")
    except merge.Conflict:
        pass
    else:
        raise AssertionError("no conflict")
""", path)
    with Database(path) as db:
        assert db.state() == "complete"
        assert costs(db)["title"][2] == 1 and {conflicts for _, _, conflicts in costs(db).values()} == {0, 1}


def test_a_map_and_a_readonly_variable(check_program, tmp_path):
    path = tmp_path / "run.db"
    out = check_program("""
        import sys, snakefish
        hits, fixed = 0, [1]
        def f(n):
            global hits
            hits += 1
            fixed[0] = n
        with snakefish.trace.session(sys.argv[1]):
            share = {"hits": "sum", "fixed": "readonly"}
            snakefish.map(f, range(6), *snakefish.merge.three_way(share, on_conflict="child"), 2, 2)
            snakefish.map(f, range(6), 2, 2, share=share, on_conflict="child")
        print(hits, fixed)
    """, path)
    assert out == "12 [-5]\n"  # a list's numbers add their changes: 1 + 0 + 2 + 4, then 7 - 6 - 4 - 2
    with Database(path) as db:
        found = costs(db)
        assert found["hits"][::2] == (6, 0) and found["fixed"][::2] == (5, 5)  # the first 1 was there


def test_a_function_that_merges_all_has_no_single_variable_to_tell(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program("""
        import sys, snakefish
        hits, log = 0, []
        def f(n):
            global hits
            hits += 1
            log.append(n)
        with snakefish.trace.session(sys.argv[1]):
            snakefish.map(f, range(2), 2, 1, share=["hits", "log"], merge=lambda base, current, child: child)
        assert hits == 1 and log == [1]
    """, path)
    with Database(path) as db:
        assert {name: row[::2] for name, row in costs(db).items()} == {"hits": (2, 0), "log": (2, 0), None: (2, 0)}
        assert db.rows("SELECT variable FROM merge_cost WHERE merge_ns > 0") == [(None,)]


def test_without_a_trace_nothing_is_written_and_hand_written_merges_have_no_variables(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
run("parent")
with trace.session(sys.argv[1]):
    with Thread(work, lambda g: g["counter"], lambda g, n: None, args=(0,)) as t:
        t.start()
""", path)
    with Database(path) as db:
        assert db.spans("merge") == db.spans("extract") == 1 and costs(db) == {}


def test_a_name_that_no_trace_can_hold_ends_nothing(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(r"""
        import sys, snakefish
        namespace = {"\ud800": 0, "x" * 5000: 0}
        def f():
            for name in namespace:
                namespace[name] += 1
        with snakefish.trace.session(sys.argv[1]):
            with snakefish.Thread(f, *snakefish.merge.three_way(list(namespace), globals=namespace)) as t:
                t.start()
        assert list(namespace.values()) == [1, 1]
    """, path)
    with Database(path) as db:
        assert db.state() == "complete" and db.losses() == []
        assert [name and name[:4] for name in sorted(costs(db), key=str)] == [None, "xxxx"]


def test_merges_are_what_they_are_untraced(tmp_path):
    """Traced, what a child has changed is pickled variable by variable. The tests of aliases and types run that way."""
    tests = [TOP / "tests/py/merge" / f"test_merge_{what}.py" for what in ("aliases", "types")]
    env = environment(SNAKEFISH_TRACE=tmp_path / "run.db")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, tests)], env=env, cwd=TOP,
                          capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    with Database(tmp_path / "run.db") as db:
        assert db.state() == "complete" and db.one("SELECT count(*) FROM merge_cost WHERE bytes > 0") > 5
