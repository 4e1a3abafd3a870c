"""What the tests of trace.instrument share: running an unchanged program with it, and what holds for every trace."""
import pytest
from databases import TRACER, Database

needs_collector = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")

QUIET = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"

# For sys.setprofile(at(n)): raises Interrupt at the n-th call or return from now on, as a signal handler might.
INTERRUPT_AT = """
class Interrupt(Exception):
    pass
def at(moment):
    def profile(*_):
        nonlocal moment
        moment -= 1
        if moment == 0:
            raise Interrupt
    return profile
"""


@pytest.fixture
def traced(check_program, tmp_path):
    """Runs an unchanged program; returns what it printed, and its database."""
    databases = []

    def run(source, *arguments, instrument="multiprocessing"):
        program, path = tmp_path / "program.py", tmp_path / f"run{len(databases)}.db"
        program.write_text(QUIET + source)
        code = "import runpy, sys; sys.argv = ['-m', *sys.argv[1:]]; runpy.run_module('snakefish', run_name='__main__')"
        out = check_program(code, program, *arguments, env={"SNAKEFISH_TRACE": path, "SNAKEFISH_TRACE_INSTRUMENT": instrument})
        databases.append(Database(path))
        return out, databases[-1]

    yield run
    for db in databases:
        db.connection.close()


def check(db):
    """Checks what holds for every trace."""
    assert db.state() == "complete" and db.losses() == []
    assert db.one("SELECT count(*) FROM message WHERE receive_ns < send_ns") == 0
    assert db.one("SELECT count(*) FROM (SELECT 1 FROM message GROUP BY channel, seq HAVING count(*) > 1)") == 0
    assert db.one("SELECT count(*) FROM process c JOIN process p ON p.id = c.parent WHERE c.start_ns < p.start_ns") == 0
    for process, lives in db.rows("SELECT id, end_ns - start_ns FROM process"):
        assert db.one("SELECT sum(ns) FROM ledger WHERE process = ?", process) == lives


def channels(db):
    """Ids of the channels, in the order in which they were made (the ids follow the order of storing)."""
    return [c for c, in db.rows("SELECT e.object FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'channel' "
                                "GROUP BY 1 ORDER BY min(e.tsc)")]


def received(db):
    """[(number of the channel, from 1 in the order in which they were made, messages sent, of them received, bytes)]"""
    order = channels(db)
    rows = db.rows("SELECT channel, count(*), count(receiver), sum(bytes) FROM message GROUP BY 1")
    return sorted((order.index(channel) + 1, *counts) for channel, *counts in rows)


def unnumbered(db):
    return db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name IN ('send', 'receive') "
                  "AND e.phase = 2 AND e.a = 0")
