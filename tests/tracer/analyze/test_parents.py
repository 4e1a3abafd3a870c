"""Whose child each process is, and that the critical path goes from the first start to the last end, in real programs whose
processes outlive their parents, or start one after the other. A process is known by the name of the mark that it writes."""

import os
import subprocess
import sys

import pytest

from tracing import BUILD, TRACE, query

pytestmark = pytest.mark.skipif(not list((BUILD / "lib").glob("snakefish/_snakefish*.so")), reason="the extension is not built")

START = "import os, signal, sys, time, snakefish\nfrom snakefish import trace\ntrace.mark('root')\n"


@pytest.fixture
def run(db):
    """Records a command, analyses the trace, and returns {mark: the mark of the parent, None if it has none}."""
    def recorded(*command):
        env = dict(os.environ, PYTHONPATH=str(BUILD / "lib"))
        for done in (subprocess.run([TRACE, "record", "-q", "-o", db, "--", *command], env=env, capture_output=True, text=True,
                                    timeout=60), subprocess.run([TRACE, "analyze", db], capture_output=True, text=True)):
            assert (done.returncode, done.stderr) == (0, ""), done
        return dict(query(db, """
            WITH mark AS (SELECT e.process, t.text FROM event e JOIN event_kind k ON k.id = e.kind JOIN text t ON t.id = e.object
                          WHERE k.name = 'mark')
            SELECT m.text, q.text FROM mark m JOIN process p ON p.id = m.process LEFT JOIN mark q ON q.process = p.parent"""))
    return recorded


def notes(db):
    done = subprocess.run([TRACE, "analyze", db], capture_output=True, text=True)
    return done.stdout.split("\nefficiency\n")[0].splitlines()


BURN = "def burn(s):\n  e = time.process_time() + s\n  while time.process_time() < e: pass\n"


def test_a_shell_between_two_traced_programs_is_no_gap_in_the_tree(run, db):
    parents = run(*program("""
import subprocess
os.environ.update(PYTHON=sys.executable, CODE="import snakefish, time; snakefish.trace.mark('child'); time.sleep(0.3)")
subprocess.run("sh -c '\\"$PYTHON\\" -c \\"$CODE\\"; :'; :", shell=True)
"""))
    assert parents == {"root": None, "child": "root"}
    assert "outside" not in path_is_whole(db)


def test_what_a_spawned_worker_has_started_is_told_as_that_of_a_forked_one(run, db):
    for method in ("fork", "spawn"):
        source = db.parent / "program.py"
        source.write_text("""
import multiprocessing, subprocess, sys
def work():
    subprocess.run([sys.executable, "-S", "-c", "import time\\nwhile time.process_time() < 0.3: pass"], env={})
if __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    process.start()
    process.join()
""")
        run("env", "SNAKEFISH_TRACE_INSTRUMENT=all", sys.executable, str(source), method)
        assert [note for note in notes(db) if "without a log used 0.3" in note], method


def test_children_without_a_log_are_told(run, db):
    run(*program(BURN + """
import subprocess
with snakefish.Thread(burn, args=(0.1,)) as t: t.start()
subprocess.run([sys.executable, "-S", "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
"""))
    [note] = [note for note in notes(db) if "without a log" in note]
    used = float(note.split(" used ")[1].split()[0])
    assert 0.25 < used < 0.6


def test_children_that_spawn_starts_without_a_log_are_told(run, db, tmp_path):
    (tmp_path / "prog.py").write_text("import multiprocessing, time\n" + BURN + """
if __name__ == "__main__":
    import snakefish
    snakefish.trace.instrument("multiprocessing")
    children = [multiprocessing.get_context("spawn").Process(target=burn, args=(0.2,)) for _ in range(2)]
    for child in children: child.start()
    for child in children: child.join()
""")
    run(sys.executable, tmp_path / "prog.py")
    if query(db, "SELECT count(*) FROM process") == [(1,)]:
        assert notes(db)[0].startswith("2 children had no log")
    else:
        assert not any("log" in note for note in notes(db))


def test_a_program_whose_children_all_have_logs_is_warned_of_nothing(run, db):
    """Of Threads, of a plain fork that ends by exit or by _exit, of a program that it starts itself."""
    run(*program(BURN + """
import subprocess
snakefish.map(burn, [0.1] * 4, 2)
for leave in sys.exit, os._exit:
    if os.fork() == 0:
        burn(0.1)
        leave(0)
    os.wait()
subprocess.run([sys.executable, "-c", "import snakefish, time\\nwhile time.process_time() < 0.2: pass"])
"""))
    assert [note for note in notes(db) if "log" in note] == []


def test_a_parent_that_sleeps_where_no_event_says_so_is_told(run, db):
    run(*program("import subprocess; subprocess.run(['sleep', '0.4']); time.sleep(0.3)"))
    [note] = [note for note in notes(db) if "of the running time" in note]
    assert 0.6 < float(note.split("running time ")[1].split()[0]) < 0.9


def program(code):
    return sys.executable, "-W", "ignore", "-c", START + code


def path_is_whole(db):
    """The critical path has no gap, from the first start to the last end; returns its activities with their seconds."""
    assert query(db, """SELECT min(start_ns), max(end_ns), sum(end_ns - start_ns) = max(end_ns) - min(start_ns)
                        FROM critical_path""") == query(db, "SELECT min(start_ns), max(end_ns), 1 FROM process")
    assert query(db, """SELECT count(*) FROM (SELECT start_ns, lag(end_ns, 1, start_ns) OVER (ORDER BY step) AS before
                        FROM critical_path) WHERE start_ns <> before""") == [(0,)]
    [(lasted, by_replay)] = query(db, """SELECT value, (SELECT duration_ns + saved_ns FROM what_if WHERE what = 'fork')
                                         FROM efficiency WHERE name = 'duration_ns'""")
    assert abs(lasted - by_replay) <= 1
    return dict(query(db, "SELECT activity, ns / 1e9 FROM path_activity"))


def test_a_daemon_by_a_double_fork_is_the_child_of_the_one_that_forked_it(run, db):
    parents = run(*program("""
time.sleep(0.3)
r, w = os.pipe()
if os.fork() == 0:
    trace.mark("middle")
    middle = os.getpid()
    if os.fork() == 0:
        while os.getppid() == middle: time.sleep(0.001)
        trace.mark("daemon")
        time.sleep(0.3)
        os.write(w, b"x")
        os._exit(0)
    os._exit(0)
os.wait(); os.read(r, 1)
"""))
    assert parents == {"root": None, "middle": "root", "daemon": "middle"}
    times = path_is_whole(db)
    assert sum(times.values()) > 0.6 and "outside" not in times


def test_a_child_that_begins_after_its_parents_end_has_that_parent(run, db):
    """Children are forked and abandoned as fast as it goes: some begin when their parent has ended already."""
    parents = run(*program("""
for i in range(40):
    if os.fork() == 0:
        trace.mark(f"middle {i}")
        if os.fork() == 0:
            trace.mark(f"last {i}")
        os._exit(0)
while True:
    try: os.wait()
    except ChildProcessError: break
time.sleep(0.1)
"""))
    assert parents == {"root": None, **{f"middle {i}": "root" for i in range(40)},
                       **{f"last {i}": f"middle {i}" for i in range(40)}}
    path_is_whole(db)
    assert query(db, "SELECT 1 FROM process c JOIN process p ON p.id = c.parent WHERE c.start_ns < p.start_ns") == []


def test_the_children_of_a_killed_process_keep_their_parent_and_so_do_theirs(run, db):
    parents = run(*program("""
r, w = os.pipe()
if os.fork() == 0:
    trace.mark("killed")
    killed = os.getpid()
    if os.fork() == 0:
        while os.getppid() == killed: time.sleep(0.001)
        trace.mark("child")
        if os.fork() == 0:
            trace.mark("grandchild"); time.sleep(0.1); os.write(w, b"x"); os._exit(0)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
os.wait(); os.read(r, 1)
"""))
    assert parents == {"root": None, "killed": "root", "child": "killed", "grandchild": "child"}
    path_is_whole(db)


def test_a_child_of_a_hook_is_the_child_of_its_process_and_has_no_task(run, db):
    """The hook forks before a Thread is forked. Its child is none of the Thread's."""
    parents = run(*program("""
def hook():
    global hook_runs
    if hook_runs: return
    hook_runs = True
    pid = os.fork()
    if pid == 0: trace.mark("hook's child"); os._exit(0)
    os.waitpid(pid, 0)
hook_runs = False
os.register_at_fork(before=hook)
with snakefish.Thread(lambda: trace.mark("thread")) as t: t.start()
"""))
    assert parents == {"root": None, "hook's child": "root", "thread": "root"}
    assert query(db, "SELECT count(*), count(task) FROM process") == [(3, 1)]
    [(task,)] = query(db, """SELECT p.task FROM process p JOIN event e ON e.process = p.id JOIN text t ON t.id = e.object
                             WHERE t.text = 'thread' AND e.kind = (SELECT id FROM event_kind WHERE name = 'mark')""")
    assert task == 1
    path_is_whole(db)


def test_a_child_of_a_hook_in_a_child_has_that_child_as_its_parent(run, db):
    parents = run(*program("""
runs = []
def hook():
    if runs: return
    runs.append(1)
    trace.mark("child")
    if os.fork() == 0: trace.mark("hook's child")
    os._exit(0)
os.register_at_fork(after_in_child=hook)
if os.fork() == 0: pass
os.wait(); time.sleep(0.05)
"""))
    assert parents == {"root": None, "child": "root", "hook's child": "child"}


def test_programs_one_after_the_other_are_all_on_the_path_and_what_was_between_is_outside(run, db):
    one = "\"$0\" -c 'import snakefish, time; snakefish.trace.mark(\"%s\"); time.sleep(0.2)'"
    parents = run("sh", "-c", f"{one % 'a'}; sleep 0.3; {one % 'b'}; {one % 'c'}; :", sys.executable)
    assert parents == {"a": None, "b": None, "c": None}
    times = path_is_whole(db)
    assert times["outside"] > 0.3
    assert query(db, "SELECT count(DISTINCT process) FROM critical_path WHERE activity <> 'outside'") == [(3,)]
    [(useful,)] = query(db, "SELECT value / 1e9 FROM efficiency WHERE name = 'useful_ns'")
    ends = query(db, "SELECT start_ns / 1e9, end_ns / 1e9 FROM process ORDER BY start_ns")
    assert useful <= sum(end - start for start, end in ends) < sum(times.values()) - 0.3
    for (_, before), (after, _) in zip(ends, ends[1:]):  # between the programs there is nothing but "outside"
        assert query(db, f"""SELECT DISTINCT activity FROM critical_path
                             WHERE start_ns < {after * 1e9 - 1000} AND end_ns > {before * 1e9 + 1000}""") == [("outside",)]


def test_programs_at_the_same_time_have_a_path_from_the_first_start(run, db):
    one = "\"$0\" -c 'import snakefish, time; time.sleep(%s)'"
    run("sh", "-c", f"{one % 0.3} & sleep 0.1; {one % 0.6}; wait", sys.executable)
    times = path_is_whole(db)
    (first,), (second,) = query(db, "SELECT start_ns / 1e9 FROM process ORDER BY start_ns")
    assert times["outside"] == pytest.approx(second - first) and second - first > 0.05 and times["running"] > 0.6
