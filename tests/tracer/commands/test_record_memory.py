"""snakefish-trace record where a control group limits the memory: no process is killed for the trace's sake."""

import os
import pathlib
import sys
import time

import pytest

from tracing import BUILD, WRITERS, counts_balance, meta, query, trace

MIB = 1 << 20
TOP = pathlib.Path("/sys/fs/cgroup/memory")
DEFAULT_RECORDS = 1 << 17


@pytest.fixture
def group():
    """A memory control group of version 1, and a function that limits it."""
    path = TOP / f"snakefish-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError:
        pytest.skip("needs root and the memory control group of version 1")
    yield path
    for _ in range(100):  # until its last process has left
        try:
            path.rmdir()
            return
        except OSError:
            time.sleep(0.05)


def limit(group, mib):
    (group / "memory.limit_in_bytes").write_text(str(mib * MIB))


def enter(group):
    return lambda: (group / "cgroup.procs").write_text(str(os.getpid()))


def all_events_are_accounted_for(db, expected):
    counts_balance(db)
    counts = dict(query(db, "SELECT name, sum(value) FROM stats WHERE process IS NOT NULL GROUP BY name"))
    assert counts["collected"] + counts["lost"] >= expected
    assert query(db, "SELECT value FROM stats WHERE name = 'lost_logs'") == [(0,)]


@pytest.mark.parametrize("mib", [24, 64, 120])
def test_many_events_of_one_process(db, group, mib):
    limit(group, mib)
    done = trace("record", "-q", "-o", db, "--", WRITERS, 1, 3000000, 0, preexec_fn=enter(group))
    assert (done.returncode, done.stderr) == (0, "")
    all_events_are_accounted_for(db, 3000000)
    assert meta(db, "log_records") < DEFAULT_RECORDS
    assert int((group / "memory.max_usage_in_bytes").read_text()) < mib * MIB


MANY = """
import os, time, snakefish
release, hold = os.pipe()
pids = []
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        os.close(hold)
        for _ in range(40000):
            snakefish.trace.mark("m")
        os.read(release, 1)  # lives until all have written
        os._exit(0)
    pids.append(pid)
for _ in range(600):  # until every child sleeps
    if all(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "S" for pid in pids):
        break
    time.sleep(0.05)
os.close(hold)
assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 100
"""


def test_many_processes_with_a_log_each(db, group):
    """All live at once. Their logs would take more than there is."""
    limit(group, 96)
    done = trace("record", "-q", "-o", db, "--", sys.executable, "-c", MANY, preexec_fn=enter(group),
                 env={**os.environ, "PYTHONPATH": str(BUILD / "lib")})
    assert (done.returncode, done.stderr) == (0, "")
    all_events_are_accounted_for(db, 100 * 40000)


def test_a_program_in_a_group_of_its_own(db, group):
    """Only the program's memory is limited. Its logs' pages are its own."""
    limit(group, 48)
    command = f'echo $$ > {group}/cgroup.procs; exec "$@"'
    done = trace("record", "-q", "-o", db, "--", "sh", "-c", command, "sh", WRITERS, 60, 200000, 20000)
    assert (done.returncode, done.stderr) == (0, "")
    all_events_are_accounted_for(db, 60 * 200000)


def test_where_there_is_much_memory_logs_have_their_whole_size(db, group):
    limit(group, 4096)
    done = trace("record", "-q", "-o", db, "--", WRITERS, 2, 400000, 0, preexec_fn=enter(group))
    assert (done.returncode, done.stderr) == (0, "")
    assert meta(db, "log_records") == DEFAULT_RECORDS
