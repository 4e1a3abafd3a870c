"""What must hold for every trace, whichever process was killed: its counts balance, its events are in order, its rows are
consistent. Used by books.py, clock.py, flood.py and kernel_cost.py."""
import sqlite3

BOOKS = """
SELECT e.process, e.value, (SELECT total(s.value) FROM stats s WHERE s.process = e.process
                            AND s.name IN ('collected', 'lost', 'torn')) AS together
FROM stats e WHERE e.name = 'emitted'"""

# Each counts the pairs that stand in the wrong order, by the raw counter. :send is the id of `send`, and so on.
CAUSALITY = {
    "receives before their send": """
        SELECT count(*) FROM event s JOIN event r ON r.object = s.object AND r.a = s.a AND r.kind = :receive AND r.phase = 2
        WHERE s.kind = :send AND s.phase = 2 AND +s.a > 0 AND r.tsc < s.tsc""",
    "children before their fork": """
        SELECT count(*) FROM (SELECT object, tsc FROM event WHERE kind = :start AND object > 0) c
        JOIN (SELECT object, tsc FROM event WHERE kind = :fork AND phase = 1) f USING (object) WHERE c.tsc < f.tsc""",
    "merges before their extract": """
        SELECT count(*) FROM (SELECT object, tsc FROM event WHERE kind = :extract AND phase = 2) x
        JOIN (SELECT object, tsc FROM event WHERE kind = :merge AND phase = 1) m USING (object) WHERE m.tsc < x.tsc""",
    "joins that end before the run": """
        SELECT count(*) FROM (SELECT object, tsc FROM event WHERE kind = :run AND phase = 2) e
        JOIN (SELECT object, tsc FROM event WHERE kind = :join AND phase = 2) j USING (object) WHERE j.tsc < e.tsc""",
}

ROWS = {
    "processes whose events are not what their books say": """
        SELECT count(*) FROM stats s WHERE s.name = 'collected'
        AND s.value <> (SELECT count(*) FROM event WHERE process = s.process)""",
    "events stored twice": "SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT process, seq FROM event)) FROM event",
    "events of no process": "SELECT count(*) FROM event WHERE process NOT IN (SELECT id FROM process)",
    "lives that end before they begin": "SELECT count(*) FROM process WHERE start_ns IS NULL OR end_ns < start_ns",
    "ledgers that do not add up": """
        SELECT count(*) FROM process p WHERE (SELECT sum(ns) FROM ledger WHERE process = p.id) <> p.end_ns - p.start_ns""",
}


def open_trace(path):
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def event_ids(db):
    """Name -> id of every kind of event, for queries with named parameters."""
    return dict(db.execute("SELECT name, id FROM event_kind"))


def counts(db, queries):
    ids = event_ids(db)
    return [f"{what}: {found}" for what, query in queries.items() if (found := db.execute(query, ids).fetchone()[0])]


def wrongs_of(db):
    """What is wrong with a finished trace: a list of sentences, empty if nothing is."""
    wrong = [f"process {process}: emitted {emitted}, but collected, lost and torn are {together:.0f}"
             for process, emitted, together in db.execute(BOOKS) if emitted != together]
    if db.execute("SELECT value FROM stats WHERE name = 'books'").fetchall() != [("closed",)]:
        wrong.append("the books are not closed")
    wrong += [f"{name} of process {process}: {value}" for name, process, value in
              db.execute("SELECT name, process, value FROM stats WHERE severity = 'error' AND name <> 'books'")]
    wrong += counts(db, CAUSALITY) + counts(db, ROWS)
    integrity = db.execute("PRAGMA integrity_check").fetchone()[0]
    if integrity != "ok":
        wrong.append(f"integrity: {integrity}")
    return wrong
