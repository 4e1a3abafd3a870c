"""trace.instrument("loky") and ("joblib"): tasks, batches, pickling, arrays in files and workers in the trace database."""
import subprocess
import sys

import pytest
from databases import TRACER
from instrumented import check, needs_collector, traced  # noqa: F401

pytest.importorskip("joblib")
pytestmark = needs_collector

LOKY = """
from joblib.externals.loky import get_reusable_executor
if __name__ == "__main__":
    factor = 3
    executor = get_reusable_executor(max_workers=2)
    print(list(executor.map(lambda n: n * factor, range(12), chunksize=3)), executor.submit(len, bytes(60_000)).result())
    try:
        executor.submit(int, "x").result()
    except ValueError as error:
        print(error)
    executor.shutdown()
"""
LOKY_SAYS = "[0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33] 60000\ninvalid literal for int() with base 10: 'x'\n"


@pytest.mark.diagonal
@pytest.mark.parametrize("library", ["loky", "joblib"])
def test_each_task_of_loky_has_its_queueing_run_bytes_and_pickling(traced, library):  # noqa: F811
    out, db = traced(LOKY, instrument=library)
    assert out == LOKY_SAYS
    check(db)
    rows = db.rows("SELECT queueing_ns > 0, run_ns > 0, calls, argument_bytes > 0, result_bytes > 0, pickling_ns > 0 "
                   "FROM submission WHERE owner = 1 ORDER BY number")
    assert rows == [(1, 1, calls, 1, 1, 1) for calls in (3, 3, 3, 3, 1, 1)]
    assert db.rows("SELECT argument_bytes > 60000 FROM submission ORDER BY number") == [(0,)] * 4 + [(1,), (0,)]
    assert db.one("SELECT count(*) FROM carriage") == 6 * 4


def test_workers_of_loky_are_started_and_reaped_by_the_program_and_its_helper_is_no_process_that_works(traced):  # noqa: F811
    _, db = traced(LOKY, instrument="all")
    names = [name for name, in db.rows("SELECT name FROM process ORDER BY id")]
    assert names == ["program.py", "LokyProcess-1", "LokyProcess-2"]
    assert db.rows("SELECT t.kind, p.parent, p.exit_status FROM process p JOIN task t ON t.id = p.task AND t.process = p.id "
                   "WHERE p.id > 1") == [("executor-worker", 1, 0)] * 2
    assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'reap' AND e.b = 0") == 2
    path = db.connection.execute("PRAGMA database_list").fetchone()[2]
    subprocess.run([TRACER, "analyze", path], check=True, stdout=subprocess.DEVNULL)
    ledger = dict(db.rows("SELECT category, sum(ns) FROM ledger WHERE process > 1 GROUP BY 1"))
    assert ledger["starting"] > ledger["running"] > 0 and ledger["waiting for work"] > 0, ledger


JOBLIB = """
import sys
import numpy
from joblib import Parallel, delayed
def work(array, n):
    return float(array[n])
if __name__ == "__main__":
    large = numpy.arange(300_000.0)
    print(sum(Parallel(n_jobs=2, backend=sys.argv[1], batch_size=4)(delayed(work)(large, n) for n in range(20))))
"""


@pytest.mark.diagonal
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading", "sequential"])
def test_batches_and_the_arrays_that_go_through_files_are_recorded(traced, backend):  # noqa: F811
    pytest.importorskip("numpy")
    out, db = traced(JOBLIB, backend, instrument="joblib")
    assert out == "190.0\n"
    check(db)
    processes = backend in ("loky", "multiprocessing")
    chunks = db.rows("SELECT b, process = 1 FROM span WHERE kind = 'chunk'")
    assert sum(calls for calls, _ in chunks) == (0 if backend == "sequential" else 20)
    assert all(here != processes for _, here in chunks)
    submitted = db.rows("SELECT sum(calls), count(*) > 1, min(queueing_ns) > 0 FROM submission")
    assert submitted == [(20, 1, 1) if backend in ("loky", "threading") else (None, 0, None)]
    assert db.rows("SELECT count(*) FROM span s JOIN text t ON t.id = s.object WHERE s.kind = 'span' "
                   "AND t.text = 'joblib.Parallel'") == [(1,)]
    copied = db.rows("SELECT e.a FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'copied' AND e.process = 1 "
                     "AND e.a >= 2400000")
    assert copied == ([(2_400_000,)] if processes else [])  # once, for all tasks
    pickled = db.one("SELECT max(e.a) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'pickled'")
    assert not processes or pickled < 100_000


def test_a_recorded_program_prints_nothing_else(tmp_path):
    (tmp_path / "p.py").write_text(LOKY)
    done = subprocess.run([TRACER, "record", "-q", "--instrument", "all", "-o", tmp_path / "p.db", "--", sys.executable,
                           tmp_path / "p.py"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (done.returncode, done.stdout) == (0, LOKY_SAYS)
