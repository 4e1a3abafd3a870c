"""trace.instrument: processes in the trace database, and start methods other than fork."""
import pytest
from instrumented import INTERRUPT_AT, check, needs_collector, traced  # noqa: F401

pytestmark = needs_collector


def test_processes_are_recorded_from_fork_to_reap(traced):
    _, db = traced("""
import multiprocessing, os, sys, time
def fail():
    raise KeyError("on purpose")
def leave(status):
    sys.exit(status)
class Own(multiprocessing.Process):
    def run(self):
        pass
there, here = os.pipe()
def sleep():
    os.write(here, b"started")
    time.sleep(60)
sys.stderr = open(os.devnull, "w")
processes = [multiprocessing.Process(target=fail, name="raises"), Own(name="returns"),
             multiprocessing.Process(target=leave, args=(3,), name="exits"),
             multiprocessing.Process(target=sleep, name="is killed")]
for p in processes:
    p.start()
os.read(there, 7)
processes[3].kill()
for p in processes:
    p.join()
""")
    check(db)
    rows = db.rows("SELECT p.name, t.kind, t.name, p.exit_status FROM process p JOIN task t ON t.id = p.task")
    assert sorted(rows) == [("exits", "process", "exits", 3), ("is killed", "process", "is killed", -9),
                            ("raises", "process", "raises", 1), ("returns", "process", "returns", 0)]
    task_of = dict(db.rows("SELECT name, task FROM process WHERE task IS NOT NULL"))
    tasks = [task_of[name] for name in ("raises", "returns", "exits", "is killed")]
    for kind in ("fork", "join"):
        assert sorted(db.rows("SELECT object FROM span WHERE kind = ? AND closed", kind)) == sorted((t,) for t in tasks)
    outcomes = dict(db.rows("SELECT object, a FROM span WHERE kind = 'run' AND closed"))
    assert [outcomes.get(task) for task in tasks[:3]] == [2, 1, 3]
    for kind in ("start", "reap"):
        assert db.one("SELECT count(DISTINCT e.object) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = ?", kind
                      ) == 4
    assert dict(db.rows("SELECT object, a FROM span WHERE kind = 'join'")) == dict(zip(tasks, (1, 0, 3, -9)))


def test_processes_started_by_threads_at_once_keep_their_names(traced):
    out, db = traced("""
import multiprocessing, os, threading
named = []
def starter(n):
    for i in range(10):
        p = multiprocessing.Process(target=os.getpid, name=f"{n}.{i}")
        p.start()
        p.join()
        named.append((p.name, p.pid))
threads = [threading.Thread(target=starter, args=(n,)) for n in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sorted(named))
""")
    check(db)
    recorded = db.rows("SELECT t.name, p.pid FROM process p JOIN task t ON t.id = p.task WHERE p.name = t.name")
    assert sorted(recorded) == eval(out) and len(recorded) == 40


def test_a_process_may_have_any_name(traced):
    out, db = traced("""
import multiprocessing
for name in ("in\\udc80valid", 7, "n\\0l"):
    p = multiprocessing.Process(name=name)
    p.start()
    p.join()
    print(p.exitcode)
""")
    check(db)
    assert out == "0\n" * 3
    names = db.rows("SELECT p.name, t.name FROM process p JOIN task t ON t.id = p.task ORDER BY p.start_ns")
    assert names[:2] == [("in?valid",) * 2, ("7",) * 2] and len(names) == 3


def test_a_fork_that_fails_is_recorded_with_its_errno(traced):
    out, db = traced("""
import multiprocessing, os
def fork():
    raise BlockingIOError(11, "no processes left")
before, os.fork = os.fork, fork
try:
    multiprocessing.Process().start()
except BlockingIOError:
    print("refused")
os.fork = before
p = multiprocessing.Process()
p.start()
p.join()
""")
    check(db)
    assert out == "refused\n"
    assert [bool(pid) for pid, in db.rows("SELECT a FROM span WHERE kind = 'fork' ORDER BY start_ns")] == [False, True]
    assert db.rows("SELECT b FROM span WHERE kind = 'fork' ORDER BY start_ns") == [(11,), (0,)]


def test_an_exception_at_any_moment_of_a_join_leaves_no_span_open(traced):
    out, db = traced(INTERRUPT_AT + """
import multiprocessing, sys
for moment in range(1, 1000):
    process = multiprocessing.Process()
    process.start()
    try:
        sys.setprofile(at(moment))
        process.join()
        sys.setprofile(None)
        break
    except Interrupt:
        sys.setprofile(None)
    process.join()
print(moment)
""")
    check(db)
    assert int(out) > 10 and db.spans("join") >= int(out)
    assert db.one("SELECT count(*) FROM span WHERE NOT closed") == 0


# ---- where it does not reach ----


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_with_other_start_methods_nothing_false_is_recorded(traced, method):
    out, db = traced(f"""
import multiprocessing
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with context.Pool(2) as pool:
        print(pool.map(abs, range(-10, 0), 1))
    queue = context.SimpleQueue()
    p = context.Process(target=queue.put, args=(5,))
    p.start()
    queue.put(6)
    print(queue.get() + queue.get())
    p.join()
""")
    check(db)
    assert out == "[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]\n11\n"
    assert db.one("SELECT count(*) FROM span WHERE kind = 'fork' AND closed AND a > 0") == 3
    assert db.one("SELECT count(*) FROM message m WHERE receiver IS NOT NULL AND sender <> receiver") == 0


def test_a_manager_and_its_sockets_work(traced):
    out, db = traced("""
import multiprocessing
with multiprocessing.Manager() as manager:
    shared = manager.list()
    def add(n):
        shared.append(n)
    processes = [multiprocessing.Process(target=add, args=(n,)) for n in range(3)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
    print(sorted(shared))
""")
    check(db)
    assert out == "[0, 1, 2]\n" and db.spans("fork") == 4
