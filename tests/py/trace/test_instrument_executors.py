"""trace.instrument("concurrent.futures"): the tasks of executors in the trace database."""
import subprocess

import pytest
from conftest import PYPY
from databases import TRACER
from instrumented import check, needs_collector, traced  # noqa: F401

pytestmark = needs_collector

METHODS = ["fork", *([] if PYPY else ["spawn", "forkserver"])]  # PyPy's interpreters take seconds to start
PROCESSES = """
import concurrent.futures, multiprocessing, sys, time
def work(n, data=b""):
    if n < 0:
        raise ValueError(n)
    return bytes(n)
if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(sys.argv[1])) as executor:
        one = executor.submit(work, 70_000, bytes(50_000))
        print(len(one.result()), sum(map(len, executor.map(work, range(40), chunksize=4))))
        try:
            executor.submit(work, -1).result()
        except ValueError as error:
            print(repr(error))
        try:
            executor.submit(lambda: 1).result()
        except Exception as error:
            print(type(error).__name__)
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[1])) as second:
            print(second.submit(abs, -5).result())
"""


@pytest.mark.diagonal
@pytest.mark.parametrize("method", METHODS)
def test_each_task_of_processes_has_its_queueing_run_bytes_and_pickling(traced, method):  # noqa: F811
    out, db = traced(PROCESSES, method, instrument="concurrent.futures")
    plain, _ = traced(PROCESSES, method, instrument="")
    check(db)
    assert out == plain and len(out.splitlines()) == 4
    rows = db.rows("SELECT number, worker, queueing_ns, run_ns, calls, argument_bytes, result_bytes, pickling_ns FROM submission "
                   "WHERE owner = 1 ORDER BY submit_ns")
    assert len(rows) == len({number for number, *_ in rows}) == 1 + 10 + 1 + 1 + 1
    numbers = [number for number, *_ in rows]
    assert numbers[:-1] == list(range(numbers[0], numbers[0] + 13)) and numbers[-1] not in numbers[:-1]
    sent = [row for row in rows if row[0] != numbers[12]]  # a lambda cannot be pickled
    assert rows[12][1:] == (None,) * 7
    assert all(queueing > 0 and run > 0 and pickling > 0 for _, _, queueing, run, _, _, _, pickling in sent)
    assert [calls for *_, calls, _, _, _ in sent] == [1] + 10 * [4] + [1, 1]
    assert sent[0][5] > 50_000 and sent[0][6] > 70_000 and all(row[6] > 0 for row in sent)
    workers = dict(db.rows("SELECT id, name FROM process WHERE parent = 1 AND name LIKE '%Process-%'"))
    assert len(workers) == 3 and {row[1] for row in sent} <= set(workers)
    passages = db.rows("SELECT what, process = owner, count(*), count(DISTINCT number), min(duration_ns) > 0 FROM carriage "
                       "GROUP BY 1, 2 ORDER BY 1, 2")
    assert passages == [(what, here, 13, 13, 1) for what in ("arguments", "result") for here in (0, 1)]
    assert db.one("SELECT count(*) FROM carriage c JOIN submission s USING(owner, number) WHERE c.what = 'arguments' "
                  "AND c.start_ns + c.duration_ns > s.run_begin_ns") == 0


@pytest.mark.diagonal
@pytest.mark.parametrize("method", METHODS)
def test_a_worker_has_the_task_that_its_executor_has_forked_and_joined(traced, method):  # noqa: F811
    _, db = traced(PROCESSES, method, instrument="all")
    tasks = db.rows("SELECT t.id, t.name, p.name FROM task t JOIN process p ON p.task = t.id "
                    "WHERE t.kind = 'executor-worker' AND t.process = p.id AND t.creator = 1 AND p.parent = 1 ORDER BY t.id")
    assert len(tasks) == 3 and all(task == process for _, task, process in tasks)
    assert db.one("SELECT count(*) FROM task WHERE kind IN ('process', 'executor-worker')") == 3
    for kind, process in (("fork", 1), ("join", 1), ("run", None)):
        assert db.rows("SELECT object FROM span WHERE kind = ? AND (process = ?2 OR ?2 IS NULL AND process <> 1) ORDER BY object",
                       kind, process) == [(task,) for task, _, _ in tasks]


@pytest.mark.diagonal
@pytest.mark.parametrize("method", METHODS)
def test_the_path_leads_through_the_workers_of_every_start_method(traced, method):  # noqa: F811
    _, db = traced("""
import concurrent.futures, multiprocessing, sys, time
if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[1])) as executor:
        for task in [executor.submit(time.sleep, 0.2) for _ in range(3)]:
            task.result()
        time.sleep(0.2)
        executor.submit(time.sleep, 0.2).result()
""", method, instrument="all")
    path = db.connection.execute("PRAGMA database_list").fetchone()[2]
    told = subprocess.run([TRACER, "analyze", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "without a log" not in told
    [worker] = [p for p, in db.rows("SELECT id FROM process WHERE name LIKE '%Process-%'")]
    ran = db.one("SELECT sum(end_ns - start_ns) / 1e9 FROM critical_path WHERE process = ? AND activity = 'running'", worker)
    assert ran > 0.7
    ledger = dict(db.rows("SELECT category, ns / 1e9 FROM ledger WHERE process = ?", worker))
    assert ledger["running"] > 0.75 and ledger["waiting for work"] > 0.15 and ledger["late sender"] == 0, ledger
    assert ledger["starting"] > 0


THREADS = """
import concurrent.futures, threading
gate = threading.Event()
with concurrent.futures.ThreadPoolExecutor(1, "worker") as executor:
    first = executor.submit(gate.wait)
    while not first.running():
        pass
    rest = [executor.submit(abs, -n) for n in range(3)]
    rest[1].cancel()
    gate.set()
    print(first.result(), rest[0].result(), rest[1].cancelled(), rest[2].result(), list(executor.map(abs, [-1, 5])))
"""


def test_each_task_of_threads_has_its_queueing_and_run(traced):  # noqa: F811
    out, db = traced(THREADS, instrument="concurrent.futures")
    assert out == "True 0 True 2 [1, 5]\n"
    check(db)
    rows = db.rows("SELECT number, waiting, worker, queueing_ns, run_ns FROM submission ORDER BY submit_ns")
    assert [waiting for _, waiting, *_ in rows[:4]] == [0, 0, 1, 2] and len(rows) == 6
    assert [worker for _, _, worker, *_ in rows] == [1, 1, None, 1, 1, 1]
    assert all(queueing > 0 and run > 0 for *_, queueing, run in rows[:2] + rows[3:])
    assert db.rows("SELECT DISTINCT t.name FROM span s JOIN thread t ON t.process = s.process AND t.lane = s.lane "
                   "WHERE s.kind = 'chunk'") == [("worker_0",)]


def test_threads_alone_do_not_bring_multiprocessing(traced):  # noqa: F811
    out, db = traced("import concurrent.futures, sys\n"
                     "with concurrent.futures.ThreadPoolExecutor() as e: print(e.submit(abs, -1).result())\n"
                     "print('multiprocessing' in sys.modules)\n", instrument="all")
    assert out == "1\nFalse\n" and db.spans("chunk") == 1


@pytest.mark.diagonal
@pytest.mark.parametrize("method", METHODS)
def test_the_path_leads_through_the_workers_of_a_pool_of_every_start_method(traced, method):  # noqa: F811
    """Its threads send messages to each other while the program waits: these are not what it waits for."""
    _, db = traced("""
import multiprocessing, sys, time
if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        pool.map(time.sleep, [0.2] * 4, 1)
""", method, instrument="multiprocessing")
    path = db.connection.execute("PRAGMA database_list").fetchone()[2]
    subprocess.run([TRACER, "analyze", path], check=True, stdout=subprocess.DEVNULL)
    ran = db.one("SELECT sum(c.end_ns - c.start_ns) / 1e9 FROM critical_path c JOIN process p ON p.id = c.process "
                 "WHERE p.name LIKE '%PoolWorker-1' AND activity = 'running'")
    assert ran > 0.7
    waits = dict(db.rows("SELECT l.category, ns FROM ledger l JOIN process p ON p.id = l.process "
                         "WHERE p.name LIKE '%PoolWorker-1'"))
    assert waits["late sender"] == 0 and waits["waiting for work"] > 0, waits
