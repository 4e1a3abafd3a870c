"""The trace of maps on executors whose workers are other programs: what they have recorded comes with their results. That of
workers on other hosts is in test_remote_clocks.py."""
import json
import os
import re
import subprocess

import pytest
from databases import TRACER, Database

pytestmark = [pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer"),
              pytest.mark.filterwarnings("ignore:this process has other threads:DeprecationWarning")]

# The workers are forked before the trace begins: so they are not in the session, as those of another host.
PROGRAM = """
import os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
import snakefish
from snakefish import trace

total = 0

def work(x):
    with trace.span("inside"):
        time.sleep(0.01)
    return os.getpid()

def flood(x):
    for i in range(10_000):
        trace.mark("flood")
    return x

def kill_itself_at_2(x):
    time.sleep(0.05)
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x

def count(x):
    global total
    total += x

def merge(g, extracted):
    g["total"] += extracted

def left():
    return [name for name in os.listdir("/dev/shm") if name.startswith("snakefish-remote-")]

def workers(count):
    executor = ProcessPoolExecutor(count)
    list(executor.map(time.sleep, [0.1] * count))
    return executor
"""
NAME = f"{os.uname().nodename}:"[:40]


def remote_processes(db):
    """Those with chunks: PyPy starts others where it looks for libraries."""
    return db.rows("SELECT id, pid, parent, name FROM process WHERE name LIKE ? || '%' AND id IN (SELECT e.process FROM event e "
                   "JOIN event_kind k ON k.id = e.kind WHERE k.name = 'chunk') ORDER BY id", NAME)


def stats_of(db, process):
    return dict(db.rows("SELECT name, value FROM stats WHERE process = ?", process))


def books_are_closed(db):
    return db.state() == "complete" and db.one("SELECT value FROM stats WHERE name = 'books'") == "closed"


def test_each_remote_worker_has_a_lane_by_host_and_pid_and_each_chunk_lies_between_submit_and_result(check_program, tmp_path):
    path = tmp_path / "run.db"
    out = check_program(PROGRAM + """
with workers(2) as executor, trace.session(sys.argv[1]):
    print(*snakefish.map(work, range(12), executor=executor, chunksize=2))
print(left())
""", path)
    pids = {int(pid) for pid in out.splitlines()[0].split()}
    assert out.splitlines()[1] == "[]"
    with Database(path) as db:
        assert books_are_closed(db) and db.losses() == []
        lanes = remote_processes(db)
        assert {(pid, parent, name) for _, pid, parent, name in lanes} == {(pid, 1, f"{NAME}{pid}") for pid in pids}
        chunks = db.rows("SELECT process, a, b, start_ns, end_ns FROM span WHERE kind = 'chunk' AND closed ORDER BY a")
        assert [b for _, _, b, _, _ in chunks] == [2] * 6 and {chunk[0] for chunk in chunks} == {lane[0] for lane in lanes}
        submits = dict(db.rows("SELECT a, ns FROM event_time WHERE kind = (SELECT id FROM event_kind WHERE name = 'submit')"))
        (begin, end, parts), = db.rows("SELECT start_ns, end_ns, a FROM span WHERE kind = 'map'")
        assert sorted(submits) == [chunk[1] for chunk in chunks] and parts == 6
        assert all(begin < submits[a] < start < stop < end for _, a, _, start, stop in chunks)
        assert db.one("SELECT count(*) FROM span s JOIN span c ON c.process = s.process AND c.kind = 'chunk' "
                      "AND c.start_ns <= s.start_ns AND s.end_ns <= c.end_ns WHERE s.kind = 'span'") == 12
        # between two chunks it has waited for the next one
        assert db.one("SELECT count(*) FROM span WHERE kind = 'wait' AND a = 4") == 6 - len(lanes)
        for process, *_ in lanes:
            stats = stats_of(db, process)
            parts = db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'remote' "
                           "AND e.process = ?", process)
            assert stats["remote_clock_error_ns"] == 0 and stats["remote_records"] + parts == stats["collected"]


def test_the_processes_of_local_are_recorded_too_below_their_worker(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
with workers(1) as executor, trace.session(sys.argv[1]):
    for _ in range(2):
        assert len(set(snakefish.map(work, range(8), executor=executor, chunksize=8, local=2))) == 2
assert left() == []
""", path)
    with Database(path) as db:
        assert books_are_closed(db) and db.losses() == []
        (worker, pid, parent, name), *forked = remote_processes(db)
        assert parent == 1 and name == f"{NAME}{pid}" and len(forked) == 4
        assert all(f[2] == worker and re.fullmatch(rf"{re.escape(NAME)}\d+ map worker.*", f[3]) for f in forked)
        assert db.rows("SELECT kind, process, count(*) FROM task WHERE kind = 'map-worker' GROUP BY process") == [
            ("map-worker", f[0], 1) for f in forked]
        assert db.one("SELECT count(*) FROM span WHERE kind = 'span'") == 16
        assert db.one("SELECT count(*) FROM process WHERE exit_status = 0 AND task IS NOT NULL AND parent = ?", worker) == 4


def test_what_is_above_64_kib_for_a_chunk_is_lost_and_counted_but_not_the_end_of_the_chunk(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
with workers(1) as executor, trace.session(sys.argv[1]):
    assert snakefish.map(flood, range(3), executor=executor, chunksize=1) == [0, 1, 2]
""", path)
    with Database(path) as db:
        assert books_are_closed(db)
        (process, *_), = remote_processes(db)
        stats = stats_of(db, process)
        assert stats["lost"] > 3 * 7500 and stats["emitted"] == stats["collected"] + stats["lost"]
        assert 3 * 2000 < stats["remote_records"] <= 3 * (2048 + 8)
        kinds = dict(db.rows("SELECT k.name || e.phase, count(*) FROM event e JOIN event_kind k ON k.id = e.kind "
                             "WHERE e.process = ? GROUP BY 1", process))
        assert kinds["chunk1"] == kinds["chunk2"] == kinds["lost0"] == 3


def test_without_a_trace_nothing_travels_and_nothing_is_loaded_there(check_program):
    check_program(PROGRAM + """
class Keeping(ProcessPoolExecutor):
    def submit(self, *task):
        self.task = task
        return super().submit(*task)

with Keeping(1) as executor:
    assert snakefish.map(abs, [-1], executor=executor) == [1]
    assert len(executor.task) == 1 + 4, executor.task
    assert not executor.submit(eval, "'snakefish._submitted_trace' in __import__('sys').modules").result()
""")


def test_workers_that_are_in_the_session_write_into_their_own_logs(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
with trace.session(sys.argv[1]), ProcessPoolExecutor(2) as executor:
    assert sorted(snakefish.map(abs, range(12), executor=executor, chunksize=2)) == list(range(12))
""", path)
    with Database(path) as db:
        assert books_are_closed(db) and db.losses() == [] and remote_processes(db) == []
        assert db.rows("SELECT DISTINCT p.parent FROM span s JOIN process p ON p.id = s.process WHERE s.kind = 'chunk'") == [(1,)]
        assert db.spans("chunk") == 6 and db.rows("SELECT name FROM stats WHERE name LIKE 'remote%'") == []


def test_a_worker_that_is_killed_loses_what_it_had_and_the_next_removes_what_it_left(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
with workers(1) as executor, trace.session(sys.argv[1]):
    try:
        snakefish.map(kill_itself_at_2, range(6), executor=executor, chunksize=1)
    except snakefish.ChildDied:
        print(len(left()), end="")
    else:
        assert False
    executor.shutdown()
print(len(left()))
with workers(1) as executor, trace.session(sys.argv[2]):
    snakefish.map(work, range(2), executor=executor)
assert left() == []
""", path, tmp_path / "next.db")
    with Database(path) as db:
        assert books_are_closed(db) and db.losses() == []
        assert db.one("SELECT count(*) FROM span WHERE kind = 'chunk' AND closed") == 2
    with Database(tmp_path / "next.db") as db:
        assert books_are_closed(db) and db.spans("span") == 2


def test_sessions_one_after_the_other_have_the_same_workers(check_program, tmp_path):
    paths = [tmp_path / f"{n}.db" for n in range(3)]
    check_program(PROGRAM + """
with workers(2) as executor:
    for path in sys.argv[1:]:
        with trace.session(path):
            snakefish.map(work, range(6), executor=executor, chunksize=1)
        snakefish.map(work, range(6), executor=executor, chunksize=1)
""", *paths)
    for path in paths:
        with Database(path) as db:
            assert books_are_closed(db) and db.losses() == []
            assert db.spans("chunk") == db.spans("span") == 6


def test_what_has_come_is_in_the_trace_when_it_ends_before_its_imap(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
with workers(1) as executor:
    with trace.session(sys.argv[1]):
        results = snakefish.imap(work, range(20), executor=executor)
        for _ in range(5):
            next(results)
    assert len(list(results)) == 15
""", path)
    with Database(path) as db:
        assert books_are_closed(db) and db.losses() == []
        assert db.spans("span") >= 5


def test_extract_and_merge_are_recorded_where_they_run(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
def extract(g):
    return g["total"]

with workers(2) as executor, trace.session(sys.argv[1]):
    snakefish.map(count, range(10), extract, merge, executor=executor, chunksize=5)
assert total == 45
""", path)
    with Database(path) as db:
        assert books_are_closed(db) and db.losses() == []
        remote = [process for process, *_ in remote_processes(db)]
        assert {process for process, in db.rows("SELECT process FROM span WHERE kind = 'extract'")} <= set(remote)
        assert db.rows("SELECT process, count(*) FROM span WHERE kind = 'merge' AND process = 1 GROUP BY 1") == [(1, 2)]


def test_a_worker_that_traces_itself_keeps_its_own_trace(check_program, tmp_path):
    path, own = tmp_path / "run.db", tmp_path / "own.db"
    check_program(PROGRAM + """
executor = ProcessPoolExecutor(1)
executor.submit(trace.start, sys.argv[2]).result()
with executor:
    with trace.session(sys.argv[1]):
        snakefish.map(work, range(4), executor=executor, chunksize=2)
    executor.submit(trace.stop).result()
""", path, own)
    with Database(path) as db:
        assert books_are_closed(db) and db.losses() == [] and remote_processes(db) == [] and db.spans("chunk") == 0
    with Database(own) as db:
        assert db.spans("span") == 4 and db.losses() == []


def test_the_critical_path_goes_through_the_remote_chunk_and_its_way(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program(PROGRAM + """
def long(x):
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass

with workers(1) as executor, trace.session(sys.argv[1]):
    snakefish.map(long, range(2), executor=executor, chunksize=1)
""", path)
    exported = tmp_path / "run.json"
    subprocess.run([TRACER, "export", path, "-o", exported], check=True)
    arrows = [event for event in json.loads(exported.read_text())["traceEvents"] if event["ph"] in "sf"]
    assert [(event["ph"], event["name"]) for event in arrows] == [("s", "submit"), ("f", "submit")] * 2
    assert all(sent["ts"] < come["ts"] for sent, come in zip(arrows[::2], arrows[1::2]))
    subprocess.run([TRACER, "analyze", path], check=True, stdout=subprocess.DEVNULL)
    with Database(path) as db:
        (worker, *_), = remote_processes(db)
        assert db.one("SELECT sum(end_ns - start_ns) FROM critical_path WHERE process = ? AND activity = 'running'",
                      worker) > 0.55e9
