"""trace.instrument and snakefish.wait: a parent that sleeps until its children have something for it waits, it does not run."""
import subprocess

import pytest
from databases import TRACER
from instrumented import check, needs_collector, traced  # noqa: F401

pytestmark = needs_collector

START = """
import asyncio, concurrent.futures, multiprocessing, multiprocessing.connection, os, queue, threading, time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, as_completed, wait
from multiprocessing.pool import ThreadPool
fork = multiprocessing.get_context("fork")
def slow(n=0):
    time.sleep(0.2)
    return n
def executor():
    e = ProcessPoolExecutor(1, mp_context=fork)
    e.submit(abs, 1).result()
    return e
"""

MESSAGE, CHILD, THREAD = "late sender", "late child", "lock"
WAYS = {
    "Future.result": (MESSAGE, "with executor() as e: e.submit(slow).result(); e.submit(slow).result(10)"),
    "Future.exception": (MESSAGE, "with executor() as e: e.submit(slow).exception(); e.submit(slow).exception(10)"),
    "wait": (MESSAGE, "with executor() as e: wait([e.submit(slow)]); wait([e.submit(slow)], 10, FIRST_COMPLETED)"),
    "as_completed": (MESSAGE, "with executor() as e: list(as_completed([e.submit(slow), e.submit(slow)]))"),
    "Executor.map": (MESSAGE, "with executor() as e: list(e.map(slow, range(2)))"),
    "Executor.shutdown": (THREAD, "e = executor(); e.submit(slow); e.submit(slow); e.shutdown()"),
    "ThreadPoolExecutor": (MESSAGE, "with concurrent.futures.ThreadPoolExecutor(1) as e: list(e.map(slow, range(2)))"),
    "AsyncResult": (MESSAGE, "with fork.Pool(1) as p: p.apply_async(slow).get(); p.map_async(slow, [1]).wait(10)"),
    "Pool.map": (MESSAGE, "with fork.Pool(1) as p: p.map(slow, range(2), 1)"),
    "Pool.imap": (MESSAGE, "with fork.Pool(1) as p: list(p.imap(slow, [1])); p.imap_unordered(slow, [1]).next(10)"),
    "Pool.join": (THREAD, "p = fork.Pool(1); p.map_async(slow, range(2), 1); p.close(); p.join()"),
    "ThreadPool": (MESSAGE, "with ThreadPool(1) as p: p.map(slow, range(2), 1)"),
    "Process.join": (CHILD, "p = fork.Process(target=time.sleep, args=(0.4,)); p.start(); p.join(0.1); p.join()"),
    "sentinels": (CHILD, "p = fork.Process(target=time.sleep, args=(0.4,)); p.start(); "
                         "multiprocessing.connection.wait([p.sentinel]); p.join()"),
    "a process from before": (CHILD, "early.join()"),
    "connection.wait": (MESSAGE, "r, w = fork.Pipe(False); p = fork.Process(target=lambda: (slow(), slow(), w.send(1))); "
                                 "p.start(); multiprocessing.connection.wait([r]); p.join()"),
    "a pipe from before": (MESSAGE, "w2.send(1); r1.recv(); r1.recv(); early.join()"),
    "a socket": (MESSAGE, "l = multiprocessing.connection.Listener(); p = fork.Process(target=lambda: (slow(), slow(), "
                          "multiprocessing.connection.Client(l.address).send(1))); p.start(); l.accept().recv(); p.join()"),
    "a manager": (MESSAGE, "with fork.Manager() as m: v = m.Event(); v.wait(0.2); v.wait(0.2)"),
    "queue.Queue": (MESSAGE, "q = queue.Queue(); threading.Thread(target=lambda: (slow(), slow(), q.put(1))).start(); q.get()"),
    "threading.Event": (MESSAGE, "v = threading.Event(); threading.Timer(0.4, v.set).start(); v.wait(0.1); v.wait()"),
    "threading.Thread": (THREAD, "t = threading.Thread(target=time.sleep, args=(0.4,)); t.start(); t.join(0.1); t.join()"),
    "multiprocessing.Event": (MESSAGE, "v = fork.Event(); p = fork.Process(target=lambda: (slow(), slow(), v.set())); "
                                       "p.start(); v.wait(); p.join()"),
    "asyncio": (MESSAGE, "async def main():\n  with executor() as e:\n    for _ in range(2):\n"
                         "      await asyncio.get_running_loop().run_in_executor(e, slow)\nasyncio.run(main())"),
}


EARLY = """
(r1, w1), (r2, w2) = fork.Pipe(False), fork.Pipe(False)
def answer():
    if r2.poll(0.3):
        for _ in range(2): w1.send(slow())
    else:
        slow()
early = fork.Process(target=answer)
early.start()
"""


def seconds(db):
    return dict(db.rows("SELECT category, sum(ns) / 1e9 FROM ledger WHERE process = 1 GROUP BY 1"))


@pytest.mark.parametrize("way", WAYS)
def test_a_parent_that_sleeps_waits_and_does_not_run(traced, way):  # noqa: F811
    """All names were imported before trace.instrument, as in a program that calls it itself. The parent sleeps for 0.4 s."""
    category, code = WAYS[way]
    before = EARLY if "early" in code else ""
    _, db = traced(START + before + f"""
from snakefish import trace
trace.instrument("multiprocessing")
trace.mark("begin")
{code}
trace.mark("end")
""", instrument="")
    check(db)
    times = seconds(db)
    assert times[category] > 0.35, times
    [(lasted,)] = db.rows("SELECT (max(ns) - min(ns)) / 1e9 FROM event_time e JOIN event_kind k ON k.id = e.kind "
                          "WHERE k.name = 'mark'")
    waited = sum(times[category] for category in (MESSAGE, CHILD, THREAD))
    assert lasted - waited < 0.35, (lasted, times)
    assert db.one("SELECT count(*) FROM span a JOIN span b ON a.process = b.process AND a.lane = b.lane "
                  "AND a.start_ns < b.start_ns AND b.start_ns < a.end_ns WHERE a.kind = 'wait' AND b.kind = 'wait'"
                  ) == 0  # the outermost says it


def test_the_path_goes_over_to_the_worker_whose_result_ends_the_wait(traced):  # noqa: F811
    _, db = traced(START + "with executor() as e: list(e.map(slow, range(3)))\n")
    check(db)
    path = db.connection.execute("PRAGMA database_list").fetchone()[2]
    subprocess.run([TRACER, "analyze", path], check=True, stdout=subprocess.DEVNULL)
    [worker] = [p for p, in db.rows("SELECT id FROM process WHERE parent = 1")]
    ran = db.one("SELECT sum(end_ns - start_ns) / 1e9 FROM critical_path WHERE process = ? AND activity = 'running'", worker)
    assert ran > 0.55


def test_waits_of_no_time_are_none(traced):  # noqa: F811
    _, db = traced(START + """
v = threading.Event()
for _ in range(1000): v.wait(0)
t = threading.Thread(target=v.wait); t.start()
for _ in range(1000): t.join(0)
v.set(); t.join()
""")
    assert db.spans("wait") < 10


def test_a_parent_in_snakefish_wait_waits_for_a_child(traced):  # noqa: F811
    _, db = traced("""
import snakefish, time
with snakefish.Thread(time.sleep, args=(0.4,)) as t:
    t.start()
    snakefish.wait([t], 0.1)
    snakefish.wait([t])
""", instrument="")
    check(db)
    times = seconds(db)
    assert times["late child"] > 0.35 and times["running"] < 0.3, times


def test_a_read_from_a_closed_connection_is_no_wait(traced):
    _, db = traced("""
import multiprocessing
for duplex in (False, True):
    r, w = multiprocessing.Pipe(duplex)
    r.close()
    for read in (r.recv, r._recv_bytes):
        try:
            read()
        except (OSError, TypeError):
            pass
        else:
            raise AssertionError("it has read")
""")
    check(db)
    assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'wait'") == 0
