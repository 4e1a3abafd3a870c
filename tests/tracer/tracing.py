"""What the tests of snakefish-trace's commands share: the binaries, a run, a query."""

import os
import pathlib
import re
import sqlite3
import struct
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SF_BUILD") or ROOT / "build").absolute()
TRACE = str(BUILD / "bin" / "snakefish-trace")
PROGRAM = str(BUILD / "tests" / "tracer" / "program")
WRITERS = str(BUILD / "tests" / "stress" / "writers")
STOPPING = 2


def trace(*args, **kwargs):
    """Runs snakefish-trace to its end."""
    kwargs.setdefault("timeout", 60)
    return subprocess.run([TRACE, *map(str, args)], capture_output=True, text=True, **kwargs)


def record(db, *program, options=()):
    """Without the line at the end, so that standard error is the program's and has messages about failures only."""
    return trace("record", "-q", "-o", db, *options, "--", *program)


def query(db, sql):
    connection = sqlite3.connect(db)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def event_kinds():
    """The ids of the events, by their names in the database."""
    text = (ROOT / "ext/abi/events.def").read_text()
    return {name.lower(): int(number) for number, name in re.findall(r"^X\((\d+), (\w+),", text, re.M)}


def meta(db, key):
    return query(db, f"SELECT value FROM meta WHERE key = '{key}'")[0][0]


def not_lost(db):
    """Nothing is worse than info, and the books are closed."""
    assert query(db, "SELECT name, process, value FROM stats WHERE severity <> 'info'") == []
    counts_balance(db)


def counts_balance(db):
    assert query(db, "SELECT value FROM stats WHERE name = 'books'") == [("closed",)]
    for process, emitted, sum_of_all in query(db, """
            SELECT e.process, e.value, (SELECT sum(s.value) FROM stats s WHERE s.process = e.process
                                        AND s.name IN ('collected', 'lost', 'torn'))
            FROM stats e WHERE e.name = 'emitted'"""):
        assert emitted == sum_of_all, f"process {process}"


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


def session_of(pid):
    """The session's directory of the collector `pid`."""
    return wait_for(lambda: list(pathlib.Path("/dev/shm").glob(f"snakefish-{pid}-*/session")))[0].parent


def is_gone(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def set_state(session, state):
    with open(pathlib.Path(session) / "session", "r+b") as file:
        file.seek(16)
        file.write(struct.pack("I", state))
