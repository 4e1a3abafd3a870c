"""The trace of an Executor: each task is submitted, waits, runs in a worker; the books are closed."""
import pytest
from databases import TRACER, Database

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")


def test_each_task_is_submitted_and_run_by_its_number(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program("""
        import os, sys
        import snakefish
        gate = snakefish.Channel(1 << 16)
        with snakefish.trace.session(sys.argv[1]), snakefish.Executor(1) as executor:
            tasks = [executor.submit(gate.receive_pyobj), *(executor.submit(abs, -n) for n in range(1, 6))]
            gate.send_pyobj(0)
            assert [task.result() for task in tasks] == list(range(6))
            assert list(executor.map(abs, range(20), chunksize=10)) == list(range(20))
            try:
                executor.submit(os._exit, 3).result()
            except snakefish.WorkerDied:
                pass
            assert executor.submit(abs, -1).result() == 1
    """, path)
    with Database(path) as db:
        assert db.state() == "complete"
        submitted = db.rows("SELECT a, b, ns FROM (SELECT e.a AS a, e.b AS b, e.tsc AS ns FROM event e "
                            "JOIN event_kind k ON k.id = e.kind WHERE k.name = 'submit') ORDER BY a")
        chunks = db.rows("SELECT e.a, min(e.tsc), count(*) FROM event e JOIN event_kind k ON k.id = e.kind "
                         "WHERE k.name = 'chunk' GROUP BY e.a ORDER BY e.a")
        assert len(submitted) == 6 + 2 + 2
        sizes = db.rows("SELECT e.b FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'chunk' AND e.phase = 1 "
                        "ORDER BY e.a")
        assert sizes == [(1,)] * 6 + [(10,)] * 2 + [(1,)] * 2
        begins = {number: begin for number, begin, _ in chunks}
        assert all(begins[number] > submit for number, _, submit in submitted)
        assert [waiting for _, waiting, _ in submitted[:6]] == [0, 1, 2, 3, 4, 5]
        assert [count for number, _, count in chunks if number == submitted[8][0]] == [1]  # the worker died in it
        assert db.one("SELECT count(*) FROM process") >= 3
        died = db.rows("SELECT number FROM submission WHERE run_ns IS NOT NULL AND worker IS NOT NULL ORDER BY number")
        assert died == [(number,) for number, _, _ in submitted]
        assert db.rows("SELECT name FROM stats WHERE severity <> 'info' AND value <> 0") == []


def test_queueing_and_running_of_each_task_and_who_waits_for_what_are_told(check_program, tmp_path):
    path = tmp_path / "run.db"
    check_program("""
        import sys, time
        import snakefish
        with snakefish.trace.session(sys.argv[1]), snakefish.Executor(1) as executor:
            tasks = [executor.submit(time.sleep, 0.1) for _ in range(3)]
            for task in tasks:
                task.result()
            time.sleep(0.3)
            executor.submit(abs, -1).result()
    """, path)
    with Database(path) as db:
        rows = db.rows("SELECT waiting, submit_ns, queueing_ns, run_ns FROM submission WHERE worker <> owner ORDER BY number")
        assert [waiting for waiting, *_ in rows] == [0, 1, 2, 0]
        for (_, submit, queueing, run), (_, next_submit, next_queueing, _) in zip(rows, rows[1:]):
            assert run >= 100_000_000 and next_submit + next_queueing >= submit + queueing + run, rows  # one after the other
        ledger = dict(db.rows("SELECT category, ns FROM ledger l JOIN process p ON p.id = l.process JOIN task t ON t.id = p.task "
                              "WHERE t.kind = 'executor-worker'"))
        assert ledger["running"] >= 300_000_000 and ledger["waiting for work"] >= 290_000_000
        assert ledger["late sender"] == 0
        waited = db.one("SELECT ns FROM ledger WHERE process = 1 AND category = 'late sender'")
        assert waited >= 290_000_000  # for the results
