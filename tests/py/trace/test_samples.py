"""Samples of Python's stacks: where the CPU time went, by function, in every process and thread."""
import subprocess
import sys

import pytest
from conftest import BUILD, PYPY, environment
from databases import TRACER, Database

pytestmark = [pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer"),
              pytest.mark.skipif(PYPY, reason="PyPy does not show its stacks to C code")]

# ten, thirty and sixty use that many hundredths of the CPU time
WORK = """
import sys, time
def ten():
    for _ in range(2000): pass
def thirty():
    for _ in range(6000): pass
def sixty():
    for _ in range(12000): pass
def work(ms):
    end = time.thread_time() + ms / 1e3
    while time.thread_time() < end:
        for _ in range(20):
            ten(); thirty(); sixty()
import snakefish
from snakefish import trace
"""


def shares(db, process=None):
    """Hundredths of the sampled CPU time, by function."""
    where = "" if process is None else f"WHERE process = {process}"
    together = db.one(f"SELECT total(cpu_ns) FROM sample {where}")
    rows = db.rows(f"SELECT function, sum(self_ns) FROM function_time {where} GROUP BY function")
    return {name: 100 * ns / together for name, ns in rows}


def check_shares(db, process=None):
    """Some 150 samples have a standard deviation of 4 hundredths."""
    found = shares(db, process)
    assert abs(found["sixty"] - 60) < 18 and abs(found["thirty"] - 30) < 16 and abs(found["ten"] - 10) < 11, found


def cpu_seconds(db, process):
    return db.one("SELECT total(cpu_ns) / 1e9 FROM sample WHERE process = ?", process)


def test_each_function_has_its_share_and_all_samples_together_the_cpu_time(check_program, tmp_path):
    used = float(check_program(WORK + """
with trace.session(sys.argv[1], sample_hz=199):
    before = time.thread_time()
    work(800)
    print(time.thread_time() - before)
""", tmp_path / "run.db"))
    with Database(tmp_path / "run.db") as db:
        assert db.losses() == []
        check_shares(db)
        assert abs(cpu_seconds(db, 1) - used) < 0.02 + used / 20
        total = db.one("SELECT total_ns FROM function_time WHERE function = 'work'")
        assert total > 0.9e9 * used
        assert db.one("SELECT value FROM meta WHERE key = 'sample_hz'") == 199
        wrong_times = """SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'sample' AND
                         NOT e.b BETWEEN (SELECT value FROM meta WHERE key = 'session_start_tsc') AND e.tsc"""
        assert db.one("SELECT count(*) FROM sample") > 20 and db.one(wrong_times) == 0


PROCESSES = {
    "map": ("", "snakefish.map(work, [300] * 2, 2)"),
    "Thread": ("", """
ts = [snakefish.Thread(work, args=(300,)) for _ in range(2)]
[t.start() for t in ts]
[t.join() for t in ts]
"""),
    "os.fork": ("import os", """
pid = os.fork()
if not pid:
    work(300)
    os._exit(0)
os.waitpid(pid, 0)
"""),
    "multiprocessing": ("import multiprocessing", """
ps = [multiprocessing.get_context("fork").Process(target=work, args=(300,)) for _ in range(2)]
[p.start() for p in ps]
[p.join() for p in ps]
"""),
    "another program": ("import subprocess", """
subprocess.run([sys.executable, "-c", PROGRAM], check=True)
"""),
}


@pytest.mark.parametrize("how", PROCESSES)
def test_every_process_that_a_traced_program_starts_is_sampled(check_program, tmp_path, how):
    imports, start = PROCESSES[how]
    check_program(WORK + f"""
{imports}
PROGRAM = {WORK + "work(300)"!r}
trace.start(sys.argv[1], sample_hz=199)
{start}
trace.stop()
""", tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert db.losses() == []
        children = [row[0] for row in db.rows("SELECT DISTINCT process FROM sample WHERE process > 1")]
        busy = [process for process in children if cpu_seconds(db, process) > 0.2]
        assert len(busy) == (1 if how in ("os.fork", "another program") else 2)
        for process in busy:
            names = [row[0] for row in db.rows("SELECT function FROM function_time WHERE process = ?", process)]
            assert {"sixty", "thirty", "work"} <= set(names)


OUTERMOST = """WITH RECURSIVE up(process, stack) AS (
                 SELECT DISTINCT process, stack FROM sample WHERE stack NOT NULL
                 UNION SELECT u.process, s.parent FROM up u JOIN stack s ON s.id = u.stack WHERE s.parent NOT NULL)
               SELECT DISTINCT f.function FROM up u JOIN stack s ON s.id = u.stack JOIN frame f ON f.id = s.frame
               WHERE s.parent IS NULL AND u.process = ?"""
CHILDREN = {  # what starts one -> the outermost function of its samples
    "t = snakefish.Thread(task); t.start(); t.join()": "task",
    "snakefish.map(work, [400], 1)": "work",
    "g = snakefish.Generator(steps); g.start(); list(g)": "steps",
    "pid = os.fork(); work(400 if pid == 0 else 0); pid == 0 and os._exit(0); os.waitpid(pid, 0)": "<module>",
}


@pytest.mark.parametrize("start", CHILDREN)
def test_stacks_of_a_task_begin_with_its_function_and_those_of_a_fork_with_the_program(check_program, tmp_path, start):
    check_program(WORK + f"""
import os
def task():
    work(400)
def steps():
    yield work(400)
def outer():
    {start}
trace.start(sys.argv[1], sample_hz=199)
outer()
trace.stop()
""", tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert db.losses() == []
        child = db.one("SELECT process FROM sample WHERE process > 1 GROUP BY process ORDER BY count(*) DESC")
        found = {row[0] for row in db.rows(OUTERMOST, child)}
        assert CHILDREN[start] in found and ("<module>" in found) == (CHILDREN[start] == "<module>"), found


def test_record_and_the_environment_ask_for_samples_too(run_program, tmp_path):
    (tmp_path / "program.py").write_text(WORK + "work(200)")
    env = {**environment(), "PYTHONPATH": str(BUILD / "lib")}
    subprocess.run([str(TRACER), "record", "--sample", "199", "-q", "-o", str(tmp_path / "a.db"), "--", sys.executable,
                    str(tmp_path / "program.py")], check=True, env=env, timeout=60)
    more = {"SNAKEFISH_TRACE": str(tmp_path / "b.db"), "SNAKEFISH_TRACE_SAMPLE": "199"}
    subprocess.run([sys.executable, str(tmp_path / "program.py")], check=True, env={**env, **more}, timeout=60)
    for name in ("a.db", "b.db"):
        with Database(tmp_path / name) as db:
            assert "sixty" in shares(db)
    bad = run_program("import snakefish; print(1)", env={**more, "SNAKEFISH_TRACE_SAMPLE": "many"})
    assert bad.stdout == "1\n" and "SNAKEFISH_TRACE_SAMPLE must be a number from 0 to 1000, not many" in bad.stderr


def test_a_long_call_of_c_code_is_charged_to_the_line_that_made_it(check_program, tmp_path):
    check_program(WORK + """
import hashlib
data = bytes(60_000_000)
def short():
    pass
def long():
    short()
    hashlib.sha512(data).digest()
    short()
with trace.session(sys.argv[1], sample_hz=199):
    long()
""", tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        lines = dict(db.rows("""SELECT f.line, total(s.cpu_ns) FROM sample s JOIN stack t ON t.id = s.stack
                                JOIN frame f ON f.id = t.frame WHERE f.function = 'long' GROUP BY f.line"""))
        assert len(lines) == 1
        text = (WORK + "\n" * 6).count("\n")
        assert list(lines.values())[0] > 50e6 and abs(list(lines)[0] - text) < 3


def test_threads_are_sampled_each_in_its_lane_also_while_the_first_one_waits(check_program, tmp_path):
    check_program(WORK + """
import threading
def one():
    work(250)
def two():
    work(250)
with trace.session(sys.argv[1], sample_hz=199):
    threads = [threading.Thread(target=f, name=f.__name__) for f in (one, two)]
    [t.start() for t in threads]
    [t.join() for t in threads]
""", tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert db.losses() == []
        names = dict(db.rows("SELECT lane, name FROM thread WHERE process = 1"))
        found = db.rows("SELECT lane, total(cpu_ns), count(stack) FROM sample WHERE lane > 0 GROUP BY lane")
        assert sorted(names[lane] for lane, _, _ in found) == ["one", "two"]
        assert all(abs(ns - 250e6) < 40e6 and count > 5 for _, ns, count in found), found
        for lane, _, _ in found:  # the thread's own function is at the bottom of each of its stacks
            others = db.one("""
                WITH RECURSIVE up(leaf, stack) AS (
                  SELECT DISTINCT stack, stack FROM sample WHERE lane = ? AND stack NOT NULL
                  UNION ALL SELECT u.leaf, s.parent FROM up u JOIN stack s ON s.id = u.stack WHERE s.parent NOT NULL)
                SELECT count(*) FROM (SELECT leaf, max(f.function = ?) AS own FROM up u JOIN stack s ON s.id = u.stack
                                      JOIN frame f ON f.id = s.frame GROUP BY leaf) WHERE NOT own""", lane, names[lane])
            assert others == 0


def test_after_stop_nothing_is_replaced_and_no_signal_comes(check_program, tmp_path):
    assert check_program(WORK + """
import _thread, signal, threading
before = _thread.start_new_thread, threading._start_new_thread
for i in range(3):
    with trace.session(sys.argv[1], sample_hz=499):
        assert _thread.start_new_thread is not before[0]
        work(60)
    assert (_thread.start_new_thread, threading._start_new_thread) == before
waiting = signal.sigpending()
work(60)
print(waiting, signal.getsignal(signal.SIGPROF) == signal.SIG_DFL, signal.getitimer(signal.ITIMER_PROF))
""", tmp_path / "run.db") == "set() True (0.0, 0.0)\n"
    with Database(tmp_path / "run.db") as db:
        assert cpu_seconds(db, 1) > 0.03


def test_a_program_that_works_while_the_interpreter_ends_is_not_killed(run_program, tmp_path):
    ended = run_program(WORK + """
class AtEnd:
    def __del__(self, clock=time.thread_time):
        end = clock() + .1
        while clock() < end:
            pass
import builtins
builtins.at_end = AtEnd()
trace.start(sys.argv[1], sample_hz=999)
work(30)
""", tmp_path / "run.db")
    assert ended.status == 0, ended


def test_deep_stacks_keep_their_innermost_frames_and_names_that_are_no_text_can_be_read(check_program, tmp_path):
    check_program(WORK + """
def deep(n):
    return deep(n - 1) if n else work(100)
code = compile("def odd(f):\\n    f(400)", "no\\udcfftext.py", "exec")
names = {}
exec(code, names)
with trace.session(sys.argv[1], sample_hz=199):
    names["odd"](deep)
""", tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert db.losses() == []
        names = {row[0] for row in db.rows("SELECT function FROM frame")}
        assert {"deep", "work", "sixty", "(outer frames left out)"} <= names and "odd" not in names
        depth = db.one("""WITH RECURSIVE up(leaf, stack, depth) AS (
                            SELECT stack, stack, 1 FROM (SELECT DISTINCT stack FROM sample WHERE stack NOT NULL)
                            UNION ALL SELECT u.leaf, s.parent, depth + 1 FROM up u JOIN stack s ON s.id = u.stack
                                      WHERE s.parent NOT NULL)
                          SELECT max(depth) FROM up""")
        assert depth == 129
    check_program(WORK + """
code = compile("def odd(f):\\n    f(100)", "no\\udcfftext.py", "exec")
names = {}
exec(code, names)
with trace.session(sys.argv[1], sample_hz=199):
    names["odd"](work)
""", tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT file FROM frame WHERE function LIKE '%odd'") == "no\\udcfftext.py"


def test_a_program_that_makes_ever_new_code_keeps_none_of_it_alive_for_ever(check_program, tmp_path):
    assert int(check_program(WORK + """
import gc, types
def spin():
    for _ in range(3000): pass
codes = 0
with trace.session(sys.argv[1], sample_hz=999):
    end = time.thread_time() + .4
    while time.thread_time() < end:
        names = {"spin": spin}
        exec(compile("def fresh():\\n    spin()\\nfresh()", "fresh.py", "exec"), names)
        codes += 1
gc.collect()
print(codes)
""", tmp_path / "run.db")) > 100
    with Database(tmp_path / "run.db") as db:
        assert db.losses() == []
        lines = [row[0] for row in db.rows("SELECT line FROM frame WHERE function = 'fresh'")]
        assert lines and set(lines) <= {1, 2} and len(lines) == len(set(lines))  # each once, whatever code it came from


def test_wrong_rates_are_refused_and_without_one_nothing_is_sampled(check_program, tmp_path):
    assert check_program(WORK + """
for wrong in (-1, 1001, 1.5, "199"):
    try:
        trace.start(sys.argv[1], sample_hz=wrong)
    except (ValueError, TypeError) as error:
        print(type(error).__name__, error)
with trace.session(sys.argv[1]):
    work(30)
""", tmp_path / "run.db").splitlines() == [
        "ValueError sample_hz must be from 0 to 1000, not -1", "ValueError sample_hz must be from 0 to 1000, not 1001",
        "TypeError 'float' object cannot be interpreted as an integer",
        "TypeError 'str' object cannot be interpreted as an integer"]
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT count(*) FROM sample") == 0


def test_a_session_that_is_started_in_another_thread_says_that_there_are_no_samples(run_program, tmp_path):
    ended = run_program(WORK + """
import threading
def run():
    with trace.session(sys.argv[1], sample_hz=199):
        work(30)
t = threading.Thread(target=run)
t.start()
t.join()
""", tmp_path / "run.db")
    assert ended.status == 0 and "no samples in process" in ended.stderr and "main thread only" in ended.stderr


def test_handlers_of_the_program_and_waits_with_timeouts_are_as_without_samples(check_program, tmp_path):
    assert check_program(WORK + """
import select, signal, threading
heard = []
signal.signal(signal.SIGALRM, lambda number, frame: heard.append(frame.f_code.co_name))
def waits():
    work(40)
    before = time.monotonic()
    lock = threading.Lock()
    lock.acquire()
    assert not lock.acquire(timeout=.2)
    assert select.select([], [], [], .2) == ([], [], [])
    time.sleep(.2)
    return time.monotonic() - before >= .6
with trace.session(sys.argv[1], sample_hz=999):
    busy = threading.Thread(target=work, args=(1000,))
    busy.start()
    signal.setitimer(signal.ITIMER_REAL, .05)
    fine = waits()
    busy.join()
print(fine, len(heard))
""", tmp_path / "run.db") == "True 1\n"
