"""The trace of a map on a Dask cluster of two hosts whose clocks differ, over a network that takes its time: each remote event
is where the trace says it is, within the error that the trace states."""
import contextlib
import json
import os
import subprocess
import sys
import time

import hosts
import pytest
from conftest import environment, finish_program
from databases import TRACER, Database
from test_engines import needs

WHY_NOT = hosts.why_not()
pytestmark = [pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer"),
              pytest.mark.skipif(bool(WHY_NOT), reason=str(WHY_NOT)), needs("distributed", "cloudpickle")]

PROGRAM = """
import json, os, sys, time, snakefish
from distributed import Client

def work(x):
    before = snakefish.get_timestamp_serialized()
    snakefish.trace.mark(f"in {x}")
    after = snakefish.get_timestamp_serialized()
    time.sleep(0.01)
    return os.getpid(), before, after

if __name__ == "__main__":
    client = Client(scheduler_file=sys.argv[1], set_as_default=False)
    client.wait_for_workers(1, timeout=45)
    with snakefish.trace.session(sys.argv[2]):
        told = snakefish.map(work, range(40), executor=client.get_executor(), chunksize=1)
    print(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)
"""


@contextlib.contextmanager
def cluster(folder, near, far):
    """A scheduler on one host, a worker of two threads on the other. Yields the scheduler's file."""
    file, started = str(folder / "scheduler.json"), []
    options = {"env": environment(), "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def start(host, *words):
        started.append(subprocess.Popen(host.on([sys.executable, "-m", *words, "--no-dashboard", "--host", host.address,
                                                 "--scheduler-file", file]), **options))

    try:
        start(near, "distributed.cli.dask_scheduler", "--port", "0")
        start(far, "distributed.cli.dask_worker", "--nthreads", "2", "--no-nanny", "--local-directory", str(folder))
        while not os.path.exists(file):
            assert started[0].poll() is None, "the scheduler has ended"
            time.sleep(0.05)
        yield file
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


@pytest.mark.parametrize("delays_s", [(0.01, 0.01), (0.03, 0)], ids=["the same both ways", "slow there, fast back"])
def test_remote_events_are_where_the_trace_says_within_the_error_that_it_states(tmp_path, delays_s):
    path = tmp_path / "run.db"
    with hosts.two_hosts(tmp_path, delays_s, ahead_s=(0, 5000)) as (near, far), cluster(tmp_path, near, far) as file:
        program = subprocess.Popen(near.on([sys.executable, "-c", PROGRAM, file, str(path)]), env=environment(), cwd=tmp_path,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        ended = finish_program(program, limit_s=50)
    assert ended.status == 0, ended.stderr
    told = json.loads(ended.stdout)
    with Database(path) as db:
        assert db.state() == "complete" and db.losses() == []
        ns = 1e9 / db.one("SELECT value FROM meta WHERE key = 'tsc_hz'")
        (name, error_ns), = db.rows("SELECT p.name, s.value FROM stats s JOIN process p ON p.id = s.process "
                                    "WHERE s.name = 'remote_clock_error_ns'")
        assert {f"host-b:{pid}" for pid, _, _ in told} == {name}
        assert sum(delays_s) / 2 * 1e9 <= error_ns < 5e9  # no clock is told more exactly than by half of what the ways take
        marks = dict(db.rows("SELECT t.text, e.tsc FROM event e JOIN text t ON t.id = e.object "
                             "JOIN event_kind k ON k.id = e.kind WHERE k.name = 'mark'"))
        assert len(marks) == 40
        for x, (_, before, after) in enumerate(told):
            tsc = marks[f"in {x}"]
            assert max(before - tsc, tsc - after) * ns <= error_ns + 1000, (x, before - tsc, tsc - after, error_ns)
        # causality: no chunk before it was submitted, no result before its chunk has ended
        assert db.one("SELECT count(*) FROM span c JOIN event_time s ON s.a = c.a JOIN event_kind k ON k.id = s.kind "
                      "WHERE c.kind = 'chunk' AND k.name = 'submit'") == 40
        assert db.one("SELECT count(*) FROM span c JOIN event_time s ON s.a = c.a JOIN event_kind k ON k.id = s.kind "
                      "WHERE c.kind = 'chunk' AND k.name = 'submit' AND c.start_ns < s.ns") == 0
        assert db.one("SELECT max(c.end_ns) <= max(m.end_ns) FROM span c, span m WHERE c.kind = 'chunk' AND m.kind = 'map'")
