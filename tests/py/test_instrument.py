"""trace.instrument: programs with multiprocessing, as they are, in the trace database."""
import os
import sys

import pytest
from conftest import PYPY
from databases import TRACER, Database

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")

QUIET = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"


@pytest.fixture
def traced(check_program, tmp_path):
    """Runs an unchanged program; what it printed, and its database."""
    databases = []

    def run(source, *arguments, instrument="multiprocessing"):
        program, path = tmp_path / "program.py", tmp_path / f"run{len(databases)}.db"
        program.write_text(QUIET + source)
        code = "import runpy, sys; sys.argv = ['-m', *sys.argv[1:]]; runpy.run_module('snakefish', run_name='__main__')"
        out = check_program(code, program, *arguments, env={"SNAKEFISH_TRACE": path, "SNAKEFISH_TRACE_INSTRUMENT": instrument})
        databases.append(Database(path))
        return out, databases[-1]

    yield run
    for db in databases:
        db.connection.close()


def check(db):
    """What holds for every trace."""
    assert db.state() == "complete" and db.losses() == []
    assert db.one("SELECT count(*) FROM message WHERE receive_ns < send_ns") == 0
    assert db.one("SELECT count(*) FROM (SELECT 1 FROM message GROUP BY channel, seq HAVING count(*) > 1)") == 0
    assert db.one("SELECT count(*) FROM process c JOIN process p ON p.id = c.parent WHERE c.start_ns < p.start_ns") == 0
    for process, lives in db.rows("SELECT id, end_ns - start_ns FROM process"):
        assert db.one("SELECT sum(ns) FROM ledger WHERE process = ?", process) == lives


def received(db):
    """[(channel, messages sent, of them received, bytes)]"""
    return db.rows("SELECT channel, count(*), count(receiver), sum(bytes) FROM message GROUP BY 1 ORDER BY 1")


def unnumbered(db):
    return db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name IN ('send', 'receive') "
                  "AND e.phase = 2 AND e.a = 0")


# ---- messages ----

ECHO = """
import multiprocessing
def echo(connection, times):
    for _ in range(times):
        connection.send_bytes(connection.recv_bytes())
ours, theirs = multiprocessing.Pipe()
process = multiprocessing.Process(target=echo, args=(theirs, 50), name="echo")
process.start()
for i in range(50):
    ours.send_bytes(b"x" * (i * 1000))
    assert ours.recv_bytes() == b"x" * (i * 1000)
process.join()
"""


def test_every_message_of_a_pipe_has_its_sender_receiver_and_bytes(traced):
    _, db = traced(ECHO)
    check(db)
    total = sum(i * 1000 for i in range(50))
    assert received(db) == [(1, 50, 50, total), (2, 50, 50, total)]
    main, child = (db.one("SELECT id FROM process WHERE name = ?", name) for name in ("program.py", "echo"))
    assert db.rows("SELECT DISTINCT sender, receiver FROM message ORDER BY channel") == [(main, child), (child, main)]
    assert db.rows("SELECT seq, bytes FROM message WHERE channel = 1 ORDER BY seq") == [(i + 1, i * 1000) for i in range(50)]
    assert db.one("SELECT count(*) FROM channel WHERE capacity_bytes > 0") == 2 and unnumbered(db) == 0


def test_sends_and_receives_have_spans_and_waits_inside(traced):
    _, db = traced(ECHO)
    assert [db.spans(kind) for kind in ("send", "write", "receive")] == [100, 100, 100]
    assert 0 < db.spans("wait") <= 101
    assert db.one("SELECT count(*) FROM span WHERE closed = 0") == 0
    assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'wait' AND e.phase = 2 "
                  "AND e.b IS NULL") == 0


def test_a_slow_reader_and_a_slow_writer_are_found_by_the_ledger(traced):
    """The program's own process waits for each of them, who sleep first."""
    _, db = traced("""
import multiprocessing, time
def slow_reader(reader):
    time.sleep(0.3)
    for _ in range(100):
        reader.recv_bytes()
def slow_writer(writer):
    time.sleep(0.3)
    writer.send_bytes(b"x")
reader, writer = multiprocessing.Pipe(False)
p = multiprocessing.Process(target=slow_reader, args=(reader,))
p.start()
for _ in range(100):
    writer.send_bytes(b"x" * 4000)
p.join()
p = multiprocessing.Process(target=slow_writer, args=(writer,))
p.start()
reader.recv_bytes()
p.join()
""")
    check(db)
    main = db.one("SELECT id FROM process WHERE parent IS NULL")
    waited = dict(db.rows("SELECT category, ns FROM ledger WHERE process = ? AND category LIKE 'late%'", main))
    assert min(waited["late receiver"], waited["late sender"], waited["late child"]) > 0


def test_what_is_pickled_is_counted_in_the_bytes_that_are_sent(traced):
    out, db = traced("""
import multiprocessing
from multiprocessing.reduction import ForkingPickler
objects = [1, "two", [3] * 1000, {"four": b"5" * 20000}]
ours, theirs = multiprocessing.Pipe(False)
for o in objects:
    theirs.send(o)
    assert ours.recv() == o
into = bytearray(10)
theirs.send_bytes(b"0123456789", 2, 5)
print(ours.recv_bytes_into(into), *[len(ForkingPickler.dumps(o)) for o in objects])
""")
    check(db)
    sizes = list(map(int, out.split()))
    assert [size for size, in db.rows("SELECT bytes FROM message ORDER BY seq")] == sizes[1:] + sizes[:1]
    told = db.rows("SELECT k.name, e.a, count(*) FROM event e JOIN event_kind k ON k.id = e.kind "
                   "WHERE k.name IN ('pickled', 'copied') AND e.b < e.tsc GROUP BY 1, 2 ORDER BY 1, 2")
    # the program has pickled each once more
    assert told == [("copied", sizes[4], 1), *sorted(("pickled", size, 3) for size in sizes[1:])]


def test_many_writers_of_one_pipe_that_do_not_lock_are_paired(traced):
    """Each message says who sent it: the trace says the same."""
    out, db = traced("""
import multiprocessing, os
ours, theirs = multiprocessing.Pipe(False)
def send():
    for _ in range(300):
        theirs.send(os.getpid())
processes = [multiprocessing.Process(target=send) for _ in range(4)]
for p in processes:
    p.start()
print(*[ours.recv() for _ in range(1200)])
for p in processes:
    p.join()
""")
    check(db)
    pids = [pid for pid, in db.rows("SELECT p.pid FROM message m JOIN process p ON p.id = m.sender ORDER BY m.seq")]
    assert pids == list(map(int, out.split())) and unnumbered(db) == 0


@pytest.mark.parametrize("made", ["Queue()", "SimpleQueue()", "JoinableQueue()", "Queue(3)"])
def test_messages_of_queues_with_many_users_are_paired(traced, made):
    """Each consumer says what it got: the trace says the same of every message."""
    out, db = traced(f"""
import multiprocessing, os
queue, told = multiprocessing.{made}, multiprocessing.SimpleQueue()
def produce():
    for i in range(100):
        queue.put(os.getpid())
def consume():
    got = [queue.get() for _ in range(150)]
    told.put((os.getpid(), got))
processes = [multiprocessing.Process(target=f) for f in (consume, consume, produce, produce, produce)]
for p in processes:
    p.start()
pairs = []
for _ in range(2):
    receiver, senders = told.get()
    pairs += [(sender, receiver) for sender in senders]
for p in processes:
    p.join()
print(sorted(pairs))
""")
    check(db)
    pairs = db.rows("SELECT s.pid, r.pid FROM message m JOIN process s ON s.id = m.sender JOIN process r ON r.id = m.receiver "
                    "WHERE m.channel = 1")
    assert sorted(pairs) == eval(out) and len(pairs) == 300 and unnumbered(db) == 0
    assert received(db)[1][:3] == (2, 2, 2)


def test_a_get_that_times_out_is_a_receive_without_a_message(traced):
    out, db = traced("""
import multiprocessing, queue
q = multiprocessing.Queue()
for arguments in ((False,), (True, 0.01)):
    try:
        q.get(*arguments)
    except queue.Empty:
        print("empty")
q.put(1)
print(q.get())
ours, theirs = multiprocessing.Pipe(False)
print(ours.poll(0.01))
theirs.close()
try:
    ours.recv()
except EOFError:
    print("end")
""")
    assert out.split() == ["empty", "empty", "1", "False", "end"]
    check(db)
    assert received(db)[0][:3] == (1, 1, 1) and len(received(db)) == 1
    assert db.rows("SELECT a FROM span WHERE kind = 'receive' ORDER BY start_ns") == [(0,), (0,), (1,), (0,)]


def test_a_connection_that_was_sent_through_another_keeps_its_channel(traced):
    _, db = traced("""
import multiprocessing
ours, theirs = multiprocessing.Pipe()
reader, writer = multiprocessing.Pipe(False)
def child():
    connection = theirs.recv()
    for i in range(10):
        connection.send(i)
p = multiprocessing.Process(target=child)
p.start()
ours.send(writer)
print(*[reader.recv() for _ in range(10)])
p.join()
""")
    check(db)
    assert (3, 10, 10) in [row[:3] for row in received(db)]


def test_pipes_that_were_there_before_are_told_without_numbers(check_program, tmp_path):
    check_program("""
        import multiprocessing, sys
        from snakefish import trace
        ours, theirs = multiprocessing.Pipe(False)
        theirs.send("in flight")
        with trace.session(sys.argv[1]):
            trace.instrument("multiprocessing")
            theirs.send("sent")
            assert [ours.recv(), ours.recv()] == ["in flight", "sent"]
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        check(db)
        assert db.one("SELECT count(*) FROM message") == 0
        assert [db.spans(kind) for kind in ("send", "receive")] == [1, 2] and unnumbered(db) == 3
        assert db.one("SELECT sum(b) FROM span WHERE kind = 'receive'") > 0


def test_a_reader_killed_in_its_wait_does_no_harm(traced):
    _, db = traced("""
import multiprocessing, time
ours, theirs = multiprocessing.Pipe(False)
started = multiprocessing.SimpleQueue()
def read():
    started.put(1)
    ours.recv()
p = multiprocessing.Process(target=read)
p.start()
started.get()
time.sleep(0.1)
p.kill()
p.join()
theirs.send("for the next one")
print(ours.recv())
""")
    check(db)
    assert received(db)[0][:3] == (1, 1, 1)
    assert db.rows("SELECT p.exit_status FROM span s JOIN process p ON p.id = s.process WHERE s.kind = 'wait' AND NOT closed"
                   ) == [(-9,)]


@pytest.mark.parametrize("seed", range(3))
def test_writers_killed_at_random_moments_never_make_a_wrong_pair(traced, seed):
    """Each message says who sent it. Whom the trace names, where it names one, is he; and much is paired."""
    out, db = traced("""
import multiprocessing, os, random, sys, time
chance = random.Random(int(sys.argv[1]))
for _ in range(8):
    ours, theirs = multiprocessing.Pipe(False)
    def send():
        for i in range(10 ** 9):
            theirs.send(os.getpid())
    writers = [multiprocessing.Process(target=send) for _ in range(3)]
    for p in writers:
        p.start()
    got = []
    for p in writers:
        end = time.monotonic() + chance.uniform(0, 0.01)
        while time.monotonic() < end:
            got.append(ours.recv())
        p.kill()
    while ours.poll(0.05):
        got.append(ours.recv())
    for p in writers:
        p.join()
    print(*got)
""", seed)
    assert [loss for loss in db.losses() if loss[0] != "torn"] == []
    main = db.one("SELECT id FROM process WHERE parent IS NULL")
    channels = [c for c, in db.rows("SELECT DISTINCT object FROM span WHERE kind = 'receive' ORDER BY 1")]
    assert len(channels) == 8
    paired = 0
    for channel, line in zip(channels, out.splitlines()):
        seqs = [seq for seq, in db.rows("SELECT a FROM event WHERE kind = 15 AND phase = 2 AND process = ? AND object = ? "
                                        "ORDER BY event.seq", main, channel)]
        senders = dict(db.rows("SELECT m.seq, p.pid FROM message m JOIN process p ON p.id = m.sender WHERE channel = ?", channel))
        pids = list(map(int, line.split()))
        assert len(seqs) == len(pids)
        assert all(senders[seq] == pid for seq, pid in zip(seqs, pids) if seq)
        paired += sum(map(bool, seqs))
    assert paired > 100
    assert db.one("SELECT count(*) FROM message WHERE receive_ns < send_ns") == 0


# ---- processes ----


def test_processes_are_told_from_fork_to_reap(traced):
    _, db = traced("""
import multiprocessing, os, sys, time
def fail():
    raise KeyError("not told on purpose")
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
told = []
def starter(n):
    for i in range(10):
        p = multiprocessing.Process(target=os.getpid, name=f"{n}.{i}")
        p.start()
        p.join()
        told.append((p.name, p.pid))
threads = [threading.Thread(target=starter, args=(n,)) for n in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sorted(told))
""")
    check(db)
    told = db.rows("SELECT t.name, p.pid FROM process p JOIN task t ON t.id = p.task WHERE p.name = t.name")
    assert sorted(told) == eval(out) and len(told) == 40


def test_a_fork_that_fails_is_told_with_its_errno(traced):
    out, db = traced("""
import multiprocessing, os
def fork():
    raise BlockingIOError(11, "no processes left")
before, os.fork = os.fork, fork
try:
    multiprocessing.Process().start()
except BlockingIOError:
    print("told")
os.fork = before
p = multiprocessing.Process()
p.start()
p.join()
""")
    check(db)
    assert out == "told\n"
    assert [bool(pid) for pid, in db.rows("SELECT a FROM span WHERE kind = 'fork' ORDER BY start_ns")] == [False, True]
    assert db.rows("SELECT b FROM span WHERE kind = 'fork' ORDER BY start_ns") == [(11,), (0,)]


# ---- Pool ----

POOL = """
import multiprocessing
def square(n):
    return n * n
def fail(n):
    raise ValueError(n)
with multiprocessing.Pool(2) as pool:
    print(pool.map(square, range(100), 10), pool.starmap(pow, [(2, 3)] * 5), pool.apply(square, (7,)))
    print(list(pool.imap(square, range(5))), sorted(pool.imap_unordered(square, range(20), 4)))
    print(pool.map_async(square, range(3), 1).get(20), pool.map(square, []))
    try:
        pool.map(fail, [1], 1)
    except ValueError as error:
        print(error)
    try:
        pool.apply(lambda: 1)
    except Exception as error:
        print(type(error).__name__)
    pool.close()
    pool.join()
"""


def test_a_pool_does_the_same_with_and_without(traced):
    with_it, _ = traced(POOL)
    without, db = traced(POOL, instrument="")
    assert with_it == without and len(with_it.splitlines()) == 5
    assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name IN ('send', 'fork')") == 0


def test_the_work_of_a_pool_is_told_in_maps_chunks_and_results(traced):
    _, db = traced(POOL)
    check(db)
    assert db.rows("SELECT t.name, s.a, s.b FROM span s JOIN task t ON t.id = s.object WHERE s.kind = 'map' ORDER BY start_ns"
                   ) == [("map", 10, 2), ("starmap", 5, 2), ("map", 0, 2), ("map", 1, 2)]
    chunks = db.rows("SELECT b, count(*) FROM span WHERE kind = 'chunk' GROUP BY 1 ORDER BY 1")
    # apply, imap, map_async, the failing map; imap_unordered; map. starmap: five of one
    assert chunks == [(1, 5 + 1 + 5 + 3 + 1), (4, 5), (10, 10)]
    assert db.spans("result") == db.spans("chunk") == 30
    assert db.one("SELECT count(*) FROM span WHERE kind = 'result' AND a = 0") == 0
    assert db.spans("run") == db.spans("fork") == 2
    assert db.rows("SELECT count(*) FROM process p JOIN task t ON t.id = p.task WHERE t.kind = 'process'") == [(2,)]
    # what a worker sends in its results is what the pool's own process receives
    sent = db.one("SELECT sum(a) FROM span WHERE kind = 'result'")
    main = db.one("SELECT id FROM process WHERE parent IS NULL")
    assert db.one("SELECT sum(bytes) FROM message WHERE receiver = ? AND sender <> ?", main, main) == sent
    assert unnumbered(db) == 1  # the call of what does not pickle
    tasks = db.one("SELECT count(*) FROM message WHERE sender = ? AND receiver <> ?", main, main)
    assert tasks == 30 + 2  # and one that ends each worker


@pytest.mark.skipif(PYPY, reason="PyPy forks while another thread imports, also where nothing is traced: a Pool that "
                    "replaces workers hangs now and then")
def test_workers_that_are_replaced_and_a_pool_that_is_terminated_leave_whole_books(traced):
    out, db = traced("""
import multiprocessing, time
def work(n):
    return n
with multiprocessing.Pool(2, maxtasksperchild=3) as pool:
    print(sum(pool.map(work, range(30), 1)))
    pool.map_async(time.sleep, [30] * 4, 1)
""")
    check(db)
    assert out == "435\n"
    assert db.one("SELECT count(*) FROM process") > 10
    assert db.one("SELECT count(*) FROM span WHERE kind = 'chunk' AND closed") == 30


def test_a_pool_whose_first_chunk_fails_at_once_raises_that(check_program):
    assert check_program(QUIET + """
from multiprocessing import pool
from snakefish import trace
original = pool.Pool._map_async
def failed_already(*args):
    result = original(*args)
    result.wait()
    return result
pool.Pool._map_async = failed_already
trace.instrument("multiprocessing")
with pool.Pool(1) as workers:
    try:
        workers.map(int, iter(["1", "x"]))
    except ValueError as error:
        print(error)
    workers.close()
    workers.join()
try:
    workers.map(int, numbers := iter(["1"]))
except ValueError as error:
    print(error, next(numbers))
""") == "invalid literal for int() with base 10: 'x'\nPool not running 1\n"


def test_a_function_that_has_a_name_of_the_pools_own_is_one_task(traced):
    out, db = traced("""
import multiprocessing
def mapstar(n):
    return -n
with multiprocessing.Pool(1) as pool:
    print(pool.apply(mapstar, (5,)))
    pool.close()
    pool.join()
""")
    check(db)
    assert out == "-5\n"


def test_a_thread_pool_is_left_alone(traced):
    out, db = traced("""
from multiprocessing.pool import ThreadPool
with ThreadPool(2) as pool:
    print(pool.map(abs, [-1, -2]), pool.apply(abs, (-3,)), list(pool.imap(abs, [-4])))
""")
    check(db)
    assert out == "[1, 2] 3 [4]\n" and db.spans("map") == db.spans("chunk") == 0


@pytest.mark.skipif(PYPY, reason="some 10 s there, most of it for processes that start")
def test_a_process_pool_executor_is_told_by_its_processes_and_messages(traced):
    out, db = traced("""
import concurrent.futures, multiprocessing
def square(n):
    return n * n
with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as executor:
    print(sum(executor.map(square, range(40))))
""")
    check(db)
    assert out == "20540\n"
    assert db.spans("run") == db.spans("fork") == db.spans("join") == 2
    main = db.one("SELECT id FROM process WHERE parent IS NULL")
    there = db.one("SELECT count(*) FROM message WHERE sender = ? AND receiver <> ?", main, main)
    back = db.one("SELECT count(*) FROM message WHERE sender <> ? AND receiver = ?", main, main)
    assert there == 40 + 2 and 40 <= back <= 40 + 2 and unnumbered(db) == 0  # and one for each worker's end


# ---- where it does not reach ----


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_with_other_start_methods_nothing_is_told_that_is_not_so(traced, method):
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


# ---- on and off ----


def test_uninstrument_puts_back_every_attribute(check_program):
    assert check_program("""
        import multiprocessing, multiprocessing.pool, multiprocessing.popen_forkserver, multiprocessing.popen_spawn_posix, sys
        from snakefish import trace
        def look():
            found = {}
            for name, module in sorted(sys.modules.items()):
                if name.startswith("multiprocessing"):
                    for key, value in list(vars(module).items()):
                        found[name, key] = value
                        if isinstance(value, type):
                            found.update({(name, key, inner): v for inner, v in list(vars(value).items())})
            return found
        import snakefish._instrument
        snakefish._instrument._multiprocessing()  # so that what it imports is there
        before = look()
        for _ in range(3):
            trace.instrument("multiprocessing")
            trace.instrument("multiprocessing")
            during = look()
            trace.uninstrument("multiprocessing")
            trace.uninstrument("multiprocessing")
        after = look()
        print(before.keys() == after.keys(), all(before[k] is after[k] for k in before),
              sum(before[k] is not during[k] for k in before) > 25)
        """) == "True True True\n"


def test_nothing_of_multiprocessing_is_touched_or_imported_until_asked(check_program):
    assert check_program("""
        import sys, snakefish
        print(any(name.startswith("multiprocessing") for name in sys.modules))
        """) == "False\n"


def test_what_was_made_while_it_was_on_works_on_when_it_is_off(check_program, tmp_path):
    assert check_program(QUIET + """
import multiprocessing, sys
from snakefish import trace
trace.instrument("multiprocessing")
queue, (ours, theirs), pool = multiprocessing.Queue(), multiprocessing.Pipe(), multiprocessing.Pool(1)
trace.uninstrument("multiprocessing")
with trace.session(sys.argv[1]):
    queue.put(1)
    theirs.send(2)
    print(queue.get(), ours.recv(), pool.apply(abs, (-3,)))
pool.close()
pool.join()
""", tmp_path / "run.db") == "1 2 3\n"
    with Database(tmp_path / "run.db") as db:
        main = db.one("SELECT id FROM process WHERE parent IS NULL")
        assert db.one("SELECT count(*) FROM message") == 0
        assert db.one("SELECT count(*) FROM event WHERE process = ? AND kind BETWEEN 14 AND 16", main) == 0


def test_a_wrapper_that_somebody_kept_says_nothing_once_it_is_off(check_program, tmp_path):
    assert check_program(QUIET + """
import multiprocessing, multiprocessing.pool, sys
from multiprocessing.process import BaseProcess
from snakefish import trace
trace.instrument("multiprocessing")
kept = [(c, name, vars(c)[name]) for c, name in ((BaseProcess, "start"), (BaseProcess, "_bootstrap"), (BaseProcess, "join"),
                                                 (multiprocessing.pool.Pool, "map"), (multiprocessing.pool, "worker"))]
trace.uninstrument("multiprocessing")
for owner, name, wrapper in kept:
    setattr(owner, name, wrapper)
with trace.session(sys.argv[1]):
    process = multiprocessing.Process(target=print, args=("child",))
    process.start()
    process.join()
    with multiprocessing.Pool(1) as pool:
        print(pool.map(abs, [-1]))
        pool.close()
        pool.join()
""", tmp_path / "run.db") == "child\n[1]\n"
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT count(*) FROM process") == 3
        assert db.rows("SELECT DISTINCT k.name FROM event e JOIN event_kind k ON k.id = e.kind") == [("start",)]


@pytest.mark.parametrize("kind", ["classmethod(lambda cls, obj, protocol=None: dumps(obj, protocol))",
                                  "staticmethod(dumps)", "dumps"])
def test_picklers_that_others_replaced_are_called_as_they_were(traced, kind):
    out, db = traced(f"""
import io, multiprocessing
from multiprocessing.reduction import ForkingPickler
from snakefish import trace
trace.uninstrument("multiprocessing")
def dumps(obj, protocol=None):
    print("dumps")
    file = io.BytesIO()
    ForkingPickler(file, protocol).dump(obj)
    return file.getbuffer()
ForkingPickler.dumps = {kind}
ForkingPickler.loads = staticmethod(ForkingPickler.loads)
trace.instrument("multiprocessing")
reader, writer = multiprocessing.Pipe(False)
writer.send([1])
print(reader.recv())
""")
    check(db)
    assert out == "dumps\n[1]\n" and received(db)[0][:3] == (1, 1, 1)


def test_wrong_libraries_are_told(check_program, run_program):
    assert check_program("""
        from snakefish import trace
        for call in (trace.instrument, trace.uninstrument):
            for library in ("joblib", 5):
                try:
                    call(library)
                except (ValueError, TypeError) as error:
                    print(type(error).__name__, error)
        """) == 2 * ("ValueError library must be one of multiprocessing, not 'joblib'\n"
                     "TypeError library must be a str, not int\n")
    ended = run_program("import snakefish; print('goes on')", env={"SNAKEFISH_TRACE_INSTRUMENT": "joblib"})
    assert ended.status == 0 and ended.stdout == "goes on\n" and "SNAKEFISH_TRACE_INSTRUMENT" in ended.stderr


def test_a_version_without_what_is_wrapped_is_refused_and_left_as_it_was(check_program):
    assert check_program("""
        from multiprocessing import connection, pool
        from snakefish import trace
        del pool.Pool._map_async
        send = vars(connection.Connection.__mro__[1])["send"]
        try:
            trace.instrument("multiprocessing")
        except RuntimeError as error:
            print(error)
        print(send is vars(connection.Connection.__mro__[1])["send"])
        """) == "this version of multiprocessing cannot be instrumented: Pool has no _map_async\nTrue\n"


def test_a_signal_handler_that_sends_during_a_receive_nests(traced):
    out, db = traced("""
import multiprocessing, signal
ours, theirs = multiprocessing.Pipe(False)
signal.signal(signal.SIGALRM, lambda *_: theirs.send("from the handler"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
print(ours.recv())
""")
    check(db)
    assert out == "from the handler\n" and received(db)[0][:3] == (1, 1, 1)


def test_an_exception_at_any_moment_of_a_send_leaves_the_pipe_to_others(check_program):
    assert check_program(QUIET + """
import multiprocessing, sys, threading
from snakefish import trace
trace.instrument("multiprocessing")
class Interrupt(Exception):
    pass
def at(moment):
    def profile(*_):
        nonlocal moment
        moment -= 1
        if moment == 0:
            raise Interrupt
    return profile
for moment in range(1, 1000):
    reader, writer = multiprocessing.Pipe(False)
    try:
        sys.setprofile(at(moment))
        writer.send(1)
        sys.setprofile(None)
        break
    except Interrupt:
        sys.setprofile(None)
    other = threading.Thread(target=writer.send, args=(2,), daemon=True)
    other.start()
    other.join(10)
    if other.is_alive():
        print("hangs after moment", moment)
        break
print(moment > 10)
""") == "True\n"


def test_a_program_is_run_as_it_is_by_the_module(check_program, run_program, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import sys, helper\nprint(__name__, sys.argv, __file__, helper.x)\nsys.exit(3)\n")
    (tmp_path / "helper.py").write_text("x = 5\n")
    import subprocess

    from conftest import environment
    done = subprocess.run([sys.executable, "-m", "snakefish", str(program), "a", "-b"], env=environment(),
                          capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == f"__main__ {[str(program), 'a', '-b']} {program} 5\n"
    for wrong in ([], ["-x"], [os.path.join(str(tmp_path), "absent.py")]):
        done = subprocess.run([sys.executable, "-m", "snakefish", *wrong], env=environment(), capture_output=True,
                              text=True, timeout=30)
        assert done.returncode == 1 and ("PROGRAM" in done.stderr or "cannot open" in done.stderr)
