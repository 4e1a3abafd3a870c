"""Tracing: what is in the database, and that it is complete whichever process dies."""
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PYPY, environment, finish_program, settles, shared_memory, start_program
from databases import BUSY, TRACER, Database, check_counts
from matrix import first

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")


# ---- the three ways to turn it on ----


def test_start_and_stop_trace_every_send_and_receive_and_channels_that_existed_before(check_program, tmp_path):
    out = check_program(BUSY + """
trace.start(sys.argv[1])
assert trace.enabled()
work()
trace.stop()
assert not trace.enabled()
back.send_pyobj("untraced")
""", tmp_path / "run.db")
    check_counts(tmp_path / "run.db", out)
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT count(*) FROM channel WHERE capacity_bytes = 32768") == 2


def test_channels_have_their_names_also_those_that_existed_before(check_program, tmp_path):
    check_program("""
import sys, snakefish
from snakefish import Channel
channels = [Channel(1000, name="requests"), Channel(1001), Channel(1002, name="a\\0b" + "x" * 100_000)]
with snakefish.trace.session(sys.argv[1]):
    channels += [Channel(1003, name="replies"), Channel(1004, name="replies"), Channel(1005)]
    def make():
        with Channel(1006, name="of a child") as channel:
            channel.send_pyobj(1)
    with snakefish.Thread(make) as task:
        task.start()
with snakefish.trace.session(sys.argv[1] + ".second"):
    channels[0].send_pyobj(1)
""", tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        names = dict(db.rows("SELECT capacity_bytes, name FROM channel"))
        assert db.one("SELECT name FROM channel_use") == "of a child"
    cut = names.pop(1002)
    assert cut.startswith("a\u2400bxxx") and "cut" in cut and len(cut) < 5000
    assert names == {1000: "requests", 1001: None, 1003: "replies", 1004: "replies", 1005: None, 1006: "of a child"}
    with Database(str(tmp_path / "run.db") + ".second") as db:
        assert db.one("SELECT name FROM channel_use") == "requests"


def test_a_message_has_the_bytes_that_count_in_its_channel(check_program, tmp_path):
    """Those of its pickle, or of the bytes object."""
    check_program("""
import sys, snakefish
objects = [1, 300, "text", [1, 2.5, None], {"a": ("b", 2)}, {1, 2}, ["x"] * 5000, [i / 3 for i in range(30_000)],
           (b"x" * 300_000, 1)]
with snakefish.trace.session(sys.argv[1]), snakefish.Channel(12345678) as channel:
    for thing in objects:
        channel.send_pyobj(thing)
        assert channel.receive_pyobj() == thing
    channel.send_bytes(b"x" * 77)
    channel.receive_bytes()
""", tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT capacity_bytes FROM channel") == 12345678
        sizes = [size for size, in db.rows("SELECT bytes FROM message ORDER BY seq")]
    objects = [1, 300, "text", [1, 2.5, None], {"a": ("b", 2)}, {1, 2}, ["x"] * 5000, [i / 3 for i in range(30_000)],
               (b"x" * 300_000, 1)]
    assert sizes == [len(pickle.dumps(thing, 5)) for thing in objects] + [77]


def test_a_session_stops_also_when_its_block_raises(check_program, tmp_path):
    out = check_program(BUSY + """
try:
    with trace.session(sys.argv[1]):
        work()
        raise KeyError
except KeyError:
    print(trace.enabled())
""", tmp_path / "run.db")
    assert out.endswith("False\n")
    check_counts(tmp_path / "run.db", out)


def test_the_environment_traces_a_program_as_it_is(check_program, tmp_path):
    out = check_program(BUSY + "work()", env={"SNAKEFISH_TRACE": tmp_path / "run.db"})
    check_counts(tmp_path / "run.db", out)


def test_record_traces_a_program_and_gives_its_exit_status(tmp_path):
    got = subprocess.run([str(TRACER), "record", "-o", str(tmp_path / "run.db"), "--", sys.executable, "-c",
                          BUSY + "work(); sys.exit(5)"], env=environment(), capture_output=True, text=True, timeout=30)
    assert got.returncode == 5, got
    check_counts(tmp_path / "run.db", got.stdout)


def test_start_works_again_after_stop_and_replaces_an_older_trace(check_program, tmp_path):
    out = check_program(BUSY + """
for path in sys.argv[1:]:
    with trace.session(path):
        work()
""", tmp_path / "a.db", tmp_path / "b.db", tmp_path / "a.db")
    for name in "ab":
        check_counts(tmp_path / f"{name}.db", out)


# ---- what is in the database ----


def test_every_process_has_its_row_also_those_made_by_others(check_program, tmp_path):
    out = check_program("""
        import multiprocessing, os, subprocess, sys, snakefish
        pids = {}
        with snakefish.trace.session(sys.argv[1]):
            pids["main"] = os.getpid()
            with snakefish.Thread(os.getpid, name="a Thread") as t:
                t.start()
            pids["thread"] = t.get_result()
            pid = os.fork()
            if pid == 0:
                snakefish.trace.mark("in the fork")
                os._exit(3)
            os.waitpid(pid, 0)
            pids["fork"] = pid
            p = multiprocessing.get_context("fork").Process(target=snakefish.trace.mark, args=("in the process",))
            p.start()
            p.join()
            pids["multiprocessing"] = p.pid
            code = "import os, snakefish; snakefish.trace.mark('in the program'); print(os.getpid())"
            pids["exec"] = int(subprocess.run([sys.executable, "-c", code], capture_output=True).stdout)
        print(pids)
        """, tmp_path / "run.db")
    pids = eval(out)
    with Database(tmp_path / "run.db") as db:
        assert sorted(db.rows("SELECT pid FROM process")) == sorted((pid,) for pid in pids.values())
        main = db.one("SELECT id FROM process WHERE pid = ?", pids["main"])
        parents = dict(db.rows("SELECT pid, parent FROM process"))
        assert all(parents[pids[name]] == main for name in ("thread", "fork", "multiprocessing"))
        marks = db.rows("SELECT t.text, p.pid FROM event e JOIN event_kind k ON k.id = e.kind AND k.name = 'mark' "
                        "JOIN text t ON t.id = e.object JOIN process p ON p.id = e.process")
        assert sorted(marks) == sorted([("in the fork", pids["fork"]), ("in the process", pids["multiprocessing"]),
                                        ("in the program", pids["exec"])])
        assert db.one("SELECT name FROM process WHERE pid = ?", pids["thread"]) == "a Thread"
        assert db.losses() == []


def test_a_process_that_execs_a_traced_program_goes_on_in_its_row(check_program, tmp_path):
    out = check_program("""
        import os, sys, snakefish
        code = ("import os, snakefish; snakefish.trace.mark('after'); "
                "(n := os.fork()) or os._exit(4); os.waitpid(n, 0); snakefish.trace.mark('at the end'); os._exit(5)")
        with snakefish.trace.session(sys.argv[1]):
            for n in range(3):
                pid = os.fork()
                if pid == 0:
                    snakefish.trace.mark("before")
                    os.execv(sys.executable, [sys.executable, "-c", code])
                print(pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        for line in out.splitlines():
            pid, status = map(int, line.split())
            assert status == 5
            (row, name), = db.rows("SELECT id, name FROM process WHERE pid = ?", pid)
            assert name == "-c"
            marks = db.rows("SELECT t.text FROM event e JOIN text t ON t.id = e.object WHERE e.process = ? AND e.kind = 21 "
                            "ORDER BY e.seq", row)
            assert marks == [("before",), ("after",), ("at the end",)]
            assert db.rows("SELECT count(*), count(DISTINCT seq), max(seq) + 1 FROM event WHERE process = ?", row)[0][1:] == (
                db.one("SELECT value FROM stats WHERE name = 'emitted' AND process = ?", row),) * 2
            assert db.one("SELECT count(*) FROM process WHERE parent = ?", row) == 1
        assert db.one("SELECT count(*) FROM process") == 1 + 2 * 3
        assert db.losses() == []


def test_the_life_of_tasks_is_recorded_in_spans(check_program, tmp_path):
    check_program("""
        import sys, snakefish
        from snakefish import trace
        def g():
            yield 1
            yield 2
        with trace.session(sys.argv[1]):
            with snakefish.Thread(lambda: 1, lambda g: 1, lambda g, e: None) as t:
                t.start()
            with snakefish.Generator(g) as it:
                it.start()
                list(it)
            snakefish.map(abs, [-1, -2, -3], 2, 1)
            with trace.span("outer"):
                with trace.span("inner ü"):
                    trace.mark("mark")
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        counts = {kind: db.spans(kind) for kind in ("fork", "join", "extract", "merge", "run", "next", "item", "map", "chunk",
                                                    "span")}
        assert counts == {"fork": 4, "join": 2, "extract": 1, "merge": 1, "run": 4, "next": 3, "item": 3, "map": 1,
                          "chunk": 3, "span": 2}
        assert sorted(db.rows("SELECT kind, count(*) FROM task GROUP BY kind")) == [
            ("generator", 1), ("map", 1), ("map-worker", 2), ("thread", 1)]
        texts = dict(db.rows("SELECT t.text, s.duration_ns FROM span s JOIN text t ON t.id = s.object WHERE s.kind = 'span'"))
        assert set(texts) == {"outer", "inner ü"} and texts["outer"] >= texts["inner ü"] >= 0
        assert db.rows("SELECT kind FROM span WHERE closed = 0") == []
        for process, start, end in db.rows("SELECT id, start_ns, end_ns FROM process"):
            assert db.one("SELECT sum(ns) FROM ledger WHERE process = ?", process) == end - start
        assert db.losses() == []


def test_what_imap_itself_does_is_not_the_programs_work(check_program, tmp_path):
    """Each next() is a span of the iterator's own task; what the program does with a result is outside of it."""
    path = tmp_path / "run.db"
    check_program("""
        import sys, time
        import snakefish
        with snakefish.trace.session(sys.argv[1]):
            for _ in snakefish.imap(abs, range(3), 2):
                time.sleep(0.1)
            list(snakefish.imap(abs, range(2), 1))
    """, path)
    with Database(path) as db:
        assert db.rows("SELECT t.kind, t.name, count(*) FROM span s JOIN task t ON t.id = s.object WHERE s.kind = 'next' "
                       "AND s.process = 1 AND s.closed GROUP BY t.id ORDER BY t.id") == [("map", "imap", 4), ("map", "imap", 3)]
        inside = db.one("SELECT sum(duration_ns) FROM span WHERE kind = 'next'")
        ledger = dict(db.rows("SELECT category, ns FROM ledger WHERE process = 1"))
        life = db.one("SELECT end_ns - start_ns FROM process WHERE id = 1")
        assert ledger["other"] > 0 and 300_000_000 <= ledger["running"] <= life - inside


def test_the_workers_of_imap_are_told_as_those_of_map_are(check_program, tmp_path):
    check_program("""
        import sys, snakefish
        from snakefish import trace
        def work(x):
            return x
        with trace.session(sys.argv[1]):
            list(snakefish.imap(work, (i for i in range(10)), 2, 3))
            list(snakefish.imap_unordered(work, range(3), 1))
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert sorted(db.rows("SELECT kind, name FROM task")) == [
            ("map", "imap"), ("map", "imap"), ("map-worker", "imap worker 1 (work)"), ("map-worker", "imap worker 1 (work)"),
            ("map-worker", "imap worker 2 (work)")]
        assert sorted(db.rows("SELECT a, b FROM span WHERE kind = 'chunk'")) == [(0, 1), (0, 3), (1, 1), (1, 3), (2, 1), (2, 3),
                                                                               (3, 1)]
        assert db.one("SELECT count(*) FROM message") == 0
        assert db.rows("SELECT kind FROM span WHERE closed = 0") == []
        assert db.losses() == []


def test_a_span_is_written_whichever_way_its_block_is_entered_and_left(check_program, tmp_path):
    check_program("""
        import contextlib, sys
        from snakefish import trace
        def block():
            with trace.span("returned"):
                return
        with trace.session(sys.argv[1]):
            block()
            with contextlib.suppress(KeyError), trace.span("raised"):
                raise KeyError
            with contextlib.ExitStack() as stack:
                assert stack.enter_context(trace.span("stacked"))
                stack.enter_context(trace.span("stacked, too"))
            again = trace.span(name="again")
            with again as one, again as other:
                assert one is other is again
            by_hand = trace.span("by hand")
            assert type(by_hand).__enter__(by_hand) is by_hand
            assert type(by_hand).__exit__(by_hand, None, None, None) is False
            assert by_hand.__enter__() is by_hand
            assert by_hand.__exit__(None, None, None) is False
            open_one = trace.span("by hand").__enter__()
            for wrong in (lambda: trace.span.__enter__(), lambda: trace.span.__exit__(1, None, None, None),
                          lambda: open_one.__exit__(None), lambda: open_one.__exit__(None, None, None, None),
                          lambda: open_one(1), lambda: open_one(None, None), lambda: type(open_one).__exit__(open_one, None),
                          lambda: open_one.__exit__(None, None, traceback=None), lambda: open_one(type=None)):
                try:
                    wrong()
                except TypeError:
                    pass
                else:
                    raise AssertionError("no TypeError")
            assert open_one.__exit__(None, None, None) is False
            bare = trace.span.__new__(trace.span)
            try:
                with bare:
                    pass
            except RuntimeError as e:
                assert "__init__" in str(e)
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        texts = dict(db.rows("SELECT t.text, count(*) FROM span s JOIN text t ON t.id = s.object WHERE closed = 1 GROUP BY 1"))
        assert texts == {"returned": 1, "raised": 1, "stacked": 1, "stacked, too": 1, "again": 2, "by hand": 3}
        assert db.rows("SELECT kind FROM span WHERE closed = 0") == []


def test_marks_of_many_processes_and_sessions_keep_their_texts(check_program, tmp_path):
    check_program("""
        import sys, snakefish
        from snakefish import trace
        def f(n):
            for i in range(3):
                trace.mark("mark %d" % i)
        for path in sys.argv[1:]:
            with trace.session(path):
                f(0)
                snakefish.map(f, range(4), 2, 1)
        """, tmp_path / "a.db", tmp_path / "b.db")
    for name in "ab":
        with Database(tmp_path / f"{name}.db") as db:
            marks = db.rows("SELECT t.text, count(*) FROM event e JOIN event_kind k ON k.id = e.kind AND k.name = 'mark' "
                            "JOIN text t ON t.id = e.object GROUP BY 1 ORDER BY 1")
            assert marks == [(f"mark {i}", 5) for i in range(3)]


def test_a_name_that_marks_at_its_end_does_not_garble_the_next_ones(check_program, tmp_path):
    """The names used last are kept by their address. This name is freed when another one takes its place, and its
    __del__ then marks a name that needs the same place."""
    out = check_program("""
        import sys
        from snakefish import trace
        def place(text):
            return (id(text) >> 4) % 16
        marks = []
        def mark(name):
            marks.append(str(name))
            trace.mark(name)
        class Name(str):
            def __del__(self):
                mark(self.heir)
        texts = [f"text {i} " + "x" * (i % 100) for i in range(2000)]  # of many sizes, so that they use all places
        with trace.session(sys.argv[1]):
            for text in texts:
                mark(text)
            for _ in range(20):
                name = Name(texts[0])
                name.heir, other = [text for text in texts if place(text) == place(name)][:2]
                heir = name.heir
                mark(name)
                del name
                mark(other)
                mark(heir)
                mark(other)
        print(*sorted(marks), sep=",")
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        marks = db.rows("SELECT t.text FROM event e JOIN text t ON t.id = e.object WHERE e.kind = 21 ORDER BY 1")
    assert [text for text, in marks] == out.strip().split(",")


def test_every_name_is_kept_apart_whatever_is_in_it(check_program, tmp_path):
    check_program("""
        import sys, snakefish
        from snakefish import trace
        with trace.session(sys.argv[1]):
            for name in "head\\0tail", "tail", "x" * 5000, "x" * 5001, "x" * 4095, "\\0":
                trace.mark(name)
            with snakefish.Thread(abs, args=(1,), name="a\\0thread") as t:
                t.start()
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        marks = [text for text, in db.rows("SELECT t.text FROM event e JOIN text t ON t.id = e.object "
                                           "WHERE e.kind = 21 ORDER BY e.rowid")]
        assert ("a\u2400thread",) in db.rows("SELECT name FROM task")
    head, tail, long, longer, whole, nul = marks
    assert (head, tail, whole, nul) == ("head\u2400tail", "tail", "x" * 4095, "\u2400")
    assert long != longer and "(cut: 5000 bytes" in long and "(cut: 5001 bytes" in longer


def test_ever_new_names_take_a_bounded_amount_of_memory(check_program, tmp_path):
    out = check_program("""
        import resource, sys
        from snakefish import trace
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with trace.session(sys.argv[1]):
            for i in range(20000):
                trace.mark(f"name {i}")
            before = peak()
            for i in range(20000, 150000):
                trace.mark(f"name {i}")
            print(peak() - before)
        """, tmp_path / "run.db")
    assert int(out) < 8 << 10  # KiB; the texts alone are 3 MiB, and Python's objects for them more than 20 MiB


def test_an_inherited_environment_does_not_replace_the_database(check_program, tmp_path):
    """Programs that a traced program starts join its trace; those started after the session's end do not."""
    out = check_program(BUSY + """
import subprocess
code = "import snakefish; snakefish.trace.mark('inner'); print('inner', snakefish.trace.enabled())"
def run():
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    print(done.stdout + done.stderr, end="", flush=True)
work()
run()
with Thread(run) as t:
    t.start()
trace.stop()
run()
""", env={"SNAKEFISH_TRACE": tmp_path / "run.db"})
    assert out.splitlines()[1:] == ["inner True", "inner True", "inner False"]
    check_counts(tmp_path / "run.db", out)
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'mark'") == 2


# ---- deaths ----


def wait_for_state(path, limit_s=15):
    def look():
        try:
            with Database(path) as db:
                state = db.state()
        except sqlite3.OperationalError as error:
            return str(error)
        return state if state == "running" else None
    return settles(look, limit_s)


@pytest.mark.parametrize("seed", first(4, range(10)))
def test_a_program_killed_at_any_moment_leaves_a_complete_readable_database(tmp_path, seed):
    before = shared_memory()
    chance = random.Random(seed)
    program = start_program(BUSY + """
trace.start(sys.argv[1])
print("started", flush=True)
while True:
    work()
""", tmp_path / "run.db")
    assert program.stdout.readline() == "started\n"
    time.sleep(chance.uniform(0, 0.3))
    program.kill()
    finish_program(program, 20)
    assert wait_for_state(tmp_path / "run.db") is None
    with Database(tmp_path / "run.db") as db:
        assert db.one("PRAGMA integrity_check") == "ok" and db.state() == "complete"
        assert [s for s in db.losses() if s[1] == "error"] == []
        assert db.one("SELECT count(*) FROM message WHERE receive_ns < send_ns") == 0
        assert db.one("SELECT exit_status FROM process WHERE pid = ?", program.pid) in (-9, None)
        emitted, together = db.rows("""
            SELECT (SELECT sum(value) FROM stats WHERE name = 'emitted'),
                   (SELECT sum(value) FROM stats WHERE name IN ('collected', 'lost', 'torn'))""")[0]
        assert emitted == together
    assert settles(lambda: shared_memory() - before, 10) == set()


def test_a_program_that_leaves_by_os_exit_leaves_a_complete_database(run_program, tmp_path):
    ended = run_program(BUSY + "work(); os._exit(4)", env={"SNAKEFISH_TRACE": tmp_path / "run.db"})
    assert ended.status == 4 and wait_for_state(tmp_path / "run.db") is None
    check_counts(tmp_path / "run.db", ended.stdout)


def test_stop_tells_how_to_recover_when_the_collector_was_killed_and_that_works(run_program, tmp_path):
    ended = run_program(BUSY + """
import os, signal
trace.start(sys.argv[1])
work()
directory = os.environ["SNAKEFISH_TRACE_SESSION"]
collector = int(os.path.basename(directory).split("-")[1])
os.kill(collector, signal.SIGKILL)
time.sleep(0.1)
work()
try:
    trace.stop()
except RuntimeError as error:
    print(error)
print(directory, trace.enabled())
""", tmp_path / "run.db")
    assert ended.status == 0, ended
    lines = ended.stdout.splitlines()
    directory, enabled = lines[-1].split()
    words = lines[-2]
    assert enabled == "False" and "recover" in words and directory in words
    command = words[words.index("snakefish-trace collect"):].split()
    done = subprocess.run([str(TRACER), *command[1:]], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done
    with Database(tmp_path / "run.db") as db:
        assert db.state() == "recovered"
        assert db.one("SELECT count(*) FROM message") == 2 * 902
        assert db.losses() == []
    assert not Path(directory).exists()


def test_nothing_of_the_collector_is_a_child_of_the_program(check_program, tmp_path):
    assert check_program("""
        import os, sys, snakefish
        with snakefish.trace.session(sys.argv[1]):
            try:
                print(os.waitpid(-1, os.WNOHANG))
            except ChildProcessError:
                print("no child")
        """, tmp_path / "run.db") == "no child\n"


def test_sessions_one_after_the_other_leave_no_descriptor(check_program, tmp_path):
    assert check_program("""
        import os, sys, snakefish
        def count():
            return len(os.listdir("/proc/self/fd")), open("/proc/self/maps").read().count("log.")
        before = count()
        for _ in range(5):
            with snakefish.trace.session(sys.argv[1]):
                with snakefish.Thread(lambda: 1) as t:
                    t.start()
        import gc
        gc.collect()  # closes the pipe of a dropped Popen on PyPy, which counts no references
        print(count()[0] - before[0], count()[1] - before[1])
        """, tmp_path / "run.db") == "0 0\n"


def test_a_signal_during_a_traced_program_does_not_harm_the_trace(tmp_path):
    program = start_program(BUSY + """
import signal
runs = []
signal.signal(signal.SIGALRM, lambda *_: runs.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
trace.start(sys.argv[1])
work()
trace.stop()
signal.setitimer(signal.ITIMER_REAL, 0)
assert runs
""", tmp_path / "run.db")
    ended = finish_program(program)
    assert ended.status == 0, ended
    check_counts(tmp_path / "run.db", ended.stdout)


def test_ctrl_c_reaches_the_program_and_not_the_collector(tmp_path):
    program = start_program(BUSY + "work()\nprint('ready', flush=True)\ntime.sleep(60)",
                            env={"SNAKEFISH_TRACE": tmp_path / "run.db"})
    out = program.stdout.readline()
    assert program.stdout.readline() == "ready\n"
    os.killpg(program.pid, signal.SIGINT)
    ended = finish_program(program, 15)
    assert ended.stderr.count("Traceback") == 1
    check_counts(tmp_path / "run.db", out)


def test_a_child_that_outlives_a_session_can_start_its_own(check_program, tmp_path):
    out = check_program(BUSY + """
go = Channel(4096)
def later():
    go.receive_pyobj(timeout=20)
    try:
        with trace.session(sys.argv[2]):
            work()
    except RuntimeError as error:
        print(error)
    trace.start(sys.argv[3])
    try:
        trace.start(sys.argv[3])
    except RuntimeError as error:
        print(error, file=sys.stdout)
    trace.stop()
with trace.session(sys.argv[1]):
    child = Thread(later)
    child.start()
go.send_pyobj(1)
child.join()
child.get_result()
""", *(tmp_path / f"{name}.db" for name in "abc"))
    assert out.splitlines()[1:] == ["tracing is on already: call trace.stop() first"]
    check_counts(tmp_path / "b.db", out)


# ---- what the time inside a span went into ----


def test_pickling_and_copying_are_recorded_with_bytes_and_beginning(check_program, tmp_path):
    check_program("""
        import pickle, sys, snakefish
        from snakefish import trace
        words, blob = {"a": 1, "b": [2]}, bytes(100_000)
        c = snakefish.Channel()
        with trace.session(sys.argv[1]):
            c.send_pyobj(words)
            c.send_pyobj(blob)
            c.receive_pyobj()
            c.receive_pyobj()
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        recorded = db.rows("""SELECT k.name, e.a, e.b < e.tsc, e.b >= (SELECT max(tsc) FROM event WHERE rowid < e.rowid
                          AND phase <> 0) FROM event e JOIN event_kind k ON k.id = e.kind
                          WHERE k.name IN ('pickled', 'copied') ORDER BY e.rowid""")
    size = len(pickle.dumps({"a": 1, "b": [2]}, pickle.HIGHEST_PROTOCOL))
    assert recorded == [("pickled", size, 1, 1), ("pickled", size, 1, 1), ("copied", 100_000, 1, 1)]


@pytest.mark.skipif(PYPY, reason="its arrays cannot own a mapping")
def test_an_array_that_is_mapped_is_copied_by_the_worker_and_taken_by_the_parent(check_program, tmp_path):
    pytest.importorskip("numpy")
    check_program("""
        import numpy, sys, snakefish
        from snakefish import trace
        with trace.session(sys.argv[1]):
            first, second = snakefish.map(lambda n: numpy.full(1 << 19, n), range(2), 1)
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        copied = db.rows("""SELECT e.process, count(*), min(e.a), max(e.a), min(e.b < e.tsc) FROM event e
                            JOIN event_kind k ON k.id = e.kind WHERE k.name = 'copied' AND e.a > 100000 GROUP BY 1 ORDER BY 1""")
    assert copied == [(1, 2, 4 << 20, 4 << 20, 1), (2, 2, 4 << 20, 4 << 20, 1)]


def test_a_message_that_was_given_back_is_one_row_of_message(check_program, tmp_path):
    check_program("""
        import sys
        from snakefish import Channel, trace
        interrupts = 2
        def rebuild():
            global interrupts
            interrupts -= 1
            if interrupts >= 0:
                raise KeyboardInterrupt
            return "there"
        class Thing:
            def __reduce__(self):
                return rebuild, ()
        with trace.session(sys.argv[1]), Channel(1024) as channel:
            channel.send_pyobj(Thing())
            channel.send_pyobj("next")
            for _ in range(2):
                try:
                    channel.receive_pyobj()
                except KeyboardInterrupt:
                    pass
            assert [channel.receive_pyobj(), channel.receive_pyobj()] == ["there", "next"]
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert db.rows("SELECT seq, receiver IS NOT NULL FROM message ORDER BY seq") == [(1, 1), (2, 1)]
        assert db.one("SELECT min(messages) FROM channel_depth") == 0
