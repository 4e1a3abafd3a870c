"""Traces with numbers that no program writes: every command reads them, in a time that grows with their size only."""

import json
import resource
import sqlite3
import subprocess

import pytest

from handmade import Trace
from tracing import TRACE, event_kinds, query, trace

MOST = 2 ** 63 - 1


def commands(path):
    return {"info": ["info", path], "analyze": ["analyze", path], "json": ["analyze", "--json", path],
            "predict": ["predict", "--json", path], "export": ["export", path, "-o", f"{path}.json"]}


def index(path):
    """Makes the index that a collector makes."""
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE INDEX event_message ON event(object, a) WHERE kind = {event_kinds()['receive']} AND phase = 2")
    connection.commit()
    connection.close()


def reads_all(path):
    """Runs every command, with 10 s of CPU time each. Returns what they said."""
    said = {}
    for name, words in commands(path).items():
        done = subprocess.run([TRACE, *map(str, words)], capture_output=True, text=True,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (10, 10)))
        assert (done.returncode, done.stderr) == (0, ""), (name, done)
        said[name] = done.stdout
    json.loads(said["json"])
    json.loads(said["predict"])
    with open(f"{path}.json") as exported:
        json.load(exported)
    return said


def test_sums_of_numbers_near_the_end_of_64_bits(db):
    made = Trace(str(db))
    made.process(0, 10)
    made.process(1, 9)
    made.rows("channel", (1, MOST, 1, "channel", None))
    for seq in range(1, 4):
        made.span(1, "send", 1, 2, 1, seq, MOST)
        made.span(2, "receive", 1, 3, 1, seq, MOST)
        made.instant(2, "extracted", 3, 1, MOST, MOST)
        made.instant(1, "merged", 3, None, -MOST, MOST)
    made.rows("fault", *[(1, 101, "copy-on-write", "user", 1000, 2000, MOST, MOST, 0)] * 3)
    made.close()
    reads_all(db)
    assert query(db, "SELECT bytes FROM channel_use") == [(MOST,)]


def test_lives_that_are_as_long_as_64_bits_allow(db):
    made = Trace(str(db))
    for _ in range(3):
        made.process(0, 10)
    made.db.execute("UPDATE process SET start_ns = ?, end_ns = ?", (-MOST - 1, MOST))
    made.span(1, "run", 1, 2)
    made.rows("sched_slice", (1, 101, 0, -MOST, MOST, "exited", None, -MOST - 1))
    made.close()
    reads_all(db)


def test_a_message_that_is_received_again_and_again_is_one_message(db):
    """Sends and receives of one number make as many rows as there are sends, not their product."""
    made = Trace(str(db))
    made.process(0, 10)
    made.process(0, 10)
    made.rows("channel", (1, 4096, 1, "channel", None))
    count = 20_000
    for n in range(count):
        made.span(1, "send", 1 + n / 10_000, 1.00001 + n / 10_000, 1, 1, 64)
        made.span(2, "receive", 1 + n / 10_000, 1.00002 + n / 10_000, 1, 1, 64)
    made.close()
    index(db)
    reads_all(db)
    assert query(db, "SELECT count(*), count(DISTINCT receive_ns) FROM message") == [(count, 1)]


def test_many_processes_whose_end_is_not_known(db):
    made = Trace(str(db))
    count = 30_000
    for _ in range(count):
        made.db.execute("INSERT INTO process(pid, start_ns) VALUES(5, 0)")
    for n in range(count):
        made.instant(n + 1, "mark", n / 1000)
    made.close()
    index(db)
    reads_all(db)


@pytest.mark.parametrize("name", ["info", "export"])
def test_a_trace_that_is_cut_short_is_refused_with_a_sentence(db, name):
    made = Trace(str(db))
    made.process(0, 10)
    made.close()
    with open(db, "r+b") as file:
        file.truncate(20_000)
    done = trace(*commands(db)[name])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_events_with_numbers_before_those_of_all_threads(db):
    made = Trace(str(db))
    made.process(0, 10)
    for start in range(1, 8):
        made.span(1, "span", start, start + 2, 1, start)
    made.close()
    connection = sqlite3.connect(db)
    connection.execute("INSERT INTO text VALUES(1, 'work')")
    connection.execute("UPDATE event SET seq = -seq WHERE rowid > 4")
    connection.commit()
    connection.close()
    index(db)
    reads_all(db)
