"""What `collect` makes of a session whose collector died, and of the database that it left."""

import os
import shutil
import sys
import time

import pytest

import handmade
from tracing import ROOT, query, trace

sys.path.append(str(ROOT / "tests" / "stress"))

import hostility  # noqa: E402
from snakefish import get_timestamp, timestamp_frequency  # noqa: E402

MOST, LEAST = 2 ** 63 - 1, -2 ** 63


@pytest.fixture
def session():
    """The directory of a session with a program's two logs. (directory, logs)"""
    folder = f"/dev/shm/snakefish-{os.getpid()}-2"
    ticks = int(timestamp_frequency() * 0.05)
    start = get_timestamp() - 2 * ticks
    hostility.write_session(folder, 256, start)
    logs = hostility.healthy_logs(start, ticks, 256)
    for log in logs:
        log.write(folder)
    yield folder, logs
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("first, last, rate", [
    ((1000, LEAST, 0, 0), (2000, 5, 0, 0), 1.0), ((1000, 5, 0, 0), (2000, MOST, 0, 0), 1.0),
    ((1000, 9, 0, 0), (2000, 5, 0, 0), 1.0), ((LEAST, 5, 0, 0), (2000, 9, 0, 0), 1.0),
    ((1000, 5, 0, LEAST), (2000, 9, 0, MOST), 1.0), ((1000, 5, 0, 0), (2000, 9, 0, 0), 9e999),
    ((1000, 5, 0, 0), (2000, 9, 0, 0), -1.0), ((1000, 5, 0, 0), (2000, 9, 0, 0), "x")])
def test_readings_that_no_clock_shows_are_not_used(db, session, first, last, rate):
    """The database that the dead collector left may have been changed: then the present rate is measured."""
    folder, logs = session
    made = handmade.Trace(str(db))
    made.db.execute("DELETE FROM clock_segment")
    made.rows("meta", ("session", os.path.basename(folder)), ("state", "running"))
    made.rows("clock_snapshot", first, last)
    made.rows("clock_segment", (0, first[0], 0, rate), (last[0], last[0], 4, rate))
    made.close()
    done = trace("collect", folder, "-o", db)
    assert (done.returncode, done.stderr) == (0, "")
    assert query(db, "SELECT pid, exit_status FROM process ORDER BY id") == [(logs[0].pid, None), (logs[1].pid, 3)]
    tsc, first_ns = query(db, "SELECT tsc, monotonic_ns FROM clock_snapshot ORDER BY tsc DESC LIMIT 1")[0]
    assert 0 < tsc <= get_timestamp() and 0 < first_ns <= time.monotonic_ns()
    worst, duration = (query(db, f"SELECT CAST(value AS INTEGER) FROM {table} WHERE {key} = '{name}'")[0][0] for table, key, name
                       in (("stats", "name", "clock_error_ns"), ("meta", "key", "duration_ns")))
    assert 0 <= worst < 10 ** 9 and 10 ** 7 < duration < 10 ** 11
    assert query(db, "SELECT value FROM stats WHERE name = 'books'") == [("closed",)]
    assert trace("analyze", db).returncode == 0
