"""The trace of maps on Dask, MPI and loky, started here on loopback: each worker has a lane, each chunk its events."""
import os

import pytest
from conftest import finish_program, start_program
from databases import TRACER, Database
from test_engines import dask_cluster, mpi, needs, needs_mpi

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")
HOST = os.uname().nodename

PROGRAM = """
import os, sys, time, snakefish

def work(x):
    with snakefish.trace.span("inside"):
        time.sleep(0.02)
    return os.getpid()

def check(executor, path):
    with snakefish.trace.session(path):
        pids = set(snakefish.map(work, range(30), executor=executor, chunksize=1))
        forked = set(snakefish.map(work, range(8), executor=executor, chunksize=4, local=2))
        assert not pids & forked, (pids, forked)
    print(*sorted(pids))
"""


def check(path, out, remote):
    """What is the same for every engine. remote: whether its workers are not in the session."""
    pids = [int(pid) for pid in out.split()]
    with Database(path) as db:
        assert db.state() == "complete" and db.losses() == []
        assert db.one("SELECT value FROM stats WHERE name = 'books'") == "closed"
        lanes = db.rows("SELECT DISTINCT p.pid, p.name FROM span s JOIN process p ON p.id = s.process "
                        "WHERE s.kind = 'chunk' AND p.task IS NULL ORDER BY 1")
        assert {pid for pid, _ in lanes} >= set(pids)
        assert not remote or lanes == [(pid, f"{HOST[:40]}:{pid}") for pid, _ in lanes]
        assert db.one("SELECT count(*) FROM span s JOIN process p ON p.id = s.process WHERE s.kind = 'chunk' AND s.closed "
                      "AND p.task IS NULL") == 32
        assert db.spans("span") == 38 and db.spans("map") >= 2
        assert (db.one("SELECT count(*) FROM stats WHERE name = 'remote_clock_error_ns' AND value = 0") >= len(pids)) == remote
        assert db.one("SELECT count(*) FROM span c JOIN event_time s ON s.a = c.a JOIN event_kind k ON k.id = s.kind "
                      "JOIN process p ON p.id = c.process WHERE c.kind = 'chunk' AND p.task IS NULL AND k.name = 'submit' "
                      "AND c.start_ns < s.ns") == 0


@needs("distributed", "cloudpickle")
def test_dask(tmp_path):
    path = tmp_path / "run.db"
    with dask_cluster(tmp_path, 2) as (file, workers):
        ended = finish_program(start_program(PROGRAM + """
if __name__ == "__main__":
    from distributed import Client
    client = Client(scheduler_file=sys.argv[2], set_as_default=False)
    client.wait_for_workers(2, timeout=60)
    check(client.get_executor(), sys.argv[1])
    sys.stdout.flush()
    os._exit(0)
""", path, file), limit_s=50)
        assert ended.status == 0, ended.stderr
        assert ended.stdout.split() == sorted((str(worker.pid) for worker in workers), key=int)
    check(path, ended.stdout, remote=True)


@needs("mpi4py", "cloudpickle")
@needs_mpi
def test_mpi(tmp_path):
    path = tmp_path / "run.db"
    ended = mpi(3, PROGRAM + f"""
from mpi4py.futures import MPIPoolExecutor
if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        list(executor.map(abs, range(2)))
        check(executor, {str(path)!r})
""", tmp_path)
    assert ended.status == 0, ended.stderr
    check(path, ended.stdout, remote=True)


@needs("joblib", "cloudpickle")
def test_loky_whose_workers_join_the_session(tmp_path):
    path = tmp_path / "run.db"
    ended = finish_program(start_program(PROGRAM + """
from joblib.externals import loky
check(loky.ProcessPoolExecutor(2), sys.argv[1])
""", path), limit_s=50)
    assert ended.status == 0, ended.stderr
    check(path, ended.stdout, remote=False)
