"""Keeps the tables of results up to date with the samples (bench/run/schema.sql says what is in them).

They are computed at the end of a run. A reader computes those of a session that lacks them, such as an interrupted one,
or whose samples or targets have changed since: into the database where it can be written, else into a copy in memory.
"""
import fcntl
import sqlite3
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.results import comparisons, samples, scaling, statistics, targets
from bench.run.store import VERSION, StoreError, open_for_reading, version_of

METHOD = 2  # goes up whenever the same samples would give other results
TABLES = ("estimate", "noise", "comparison", "overall", "speedup", "weak_scaling", "break_even", "target", "computed")


def compute(database, session):
    """Replaces the results of that session, all of them at once. Raises sqlite3.Error where it cannot write."""
    measured = samples.measured(database, session)
    compared, noise, overall = comparisons.rows(measured, margin(database, session), cpus(database, session))
    results = {
        "estimate": estimates(measured), "noise": noise, "comparison": compared, "overall": overall,
        "speedup": scaling.speedups(measured), "weak_scaling": scaling.weak(measured),
        "break_even": scaling.break_evens(measured), "target": targets.rows(measured, comparisons.priors(measured)),
        "computed": [{"method": METHOD, "inputs_sha256": inputs_sha256(database, session),
                      "samples": count(database, session), "level": statistics.LEVEL,
                      "resamples": statistics.RESAMPLES, "fewest_blocks": statistics.FEWEST_BLOCKS,
                      "power": statistics.POWER, "practical_margin": margin(database, session)}]}
    database.execute("BEGIN IMMEDIATE")
    try:
        for table in TABLES:
            database.execute(f"DELETE FROM {table} WHERE session = ?", (session,))
            for row in results[table]:
                columns = {"session": session, **row}
                database.execute(f"INSERT INTO {table}({', '.join(columns)}) VALUES({', '.join('?' * len(columns))})",
                                 tuple(columns.values()))
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def estimates(measured):
    """The rows of `estimate`."""
    found = []
    for m in measured:
        costs = dict(m.costs)
        for (runtime, workers), by_block in m.floors.items():
            if runtime == targets.OURS:  # beside the floors that have samples of their own
                costs.setdefault((targets.FLOOR, workers), by_block)
        for (runtime, workers), by_block in costs.items():
            values = [by_block[block] for block in sorted(by_block)]
            of = statistics.median(values)
            found.append({"workload": m.name, "size": m.size, "runtime": runtime, "workers": workers,
                          "blocks": of.blocks, "median_ns": of.value, "low_ns": of.low, "high_ns": of.high,
                          "mean_ns": sum(values) / len(values), "least_ns": min(values)})
    return found


def margin(database, session):
    return database.execute("SELECT margin FROM session WHERE id = ?", (session,)).fetchone()[0]


def cpus(database, session):
    """How many CPUs the session could use; None where that is not known."""
    row = database.execute("SELECT value FROM machine WHERE session = ? AND key = 'effective_cpus'", (session,)).fetchone()
    try:
        return float(row[0])
    except (TypeError, ValueError):  # no such fact, or "unknown"
        return None


def count(database, session):
    return database.execute("SELECT count(*) FROM sample WHERE session = ?", (session,)).fetchone()[0]


def inputs_sha256(database, session):
    """Of all that the results follow from: the right samples, the margin, and the targets of this checkout."""
    digest = sha256(repr((margin(database, session), cpus(database, session))).encode())
    for row in database.execute(samples.SAMPLES, (session,)):
        digest.update(repr(tuple(row)).encode())
    for (name,) in database.execute("SELECT DISTINCT name FROM workload WHERE session = ? AND kind = 'micro' ORDER BY 1",
                                    (session,)):
        module = targets.module_of(name)
        digest.update(repr((name, getattr(module, "targets", None), getattr(module, "floor_is", None))).encode())
    return digest.hexdigest()


def stale(database, session):
    """Whether the session's results are missing, or are not those of its samples."""
    row = database.execute("SELECT method, inputs_sha256, samples FROM computed WHERE session = ?", (session,)).fetchone()
    return row is None or tuple(row) != (METHOD, inputs_sha256(database, session), count(database, session))


@contextmanager
def opened(path, number=None):
    """Yields the database, open for reading, and the row of that session (the last without a number), with its results."""
    database = open_for_reading(path)
    try:
        session = samples.session(database, path, number)
        if stale(database, session["id"]) and not _written(database, path, session["id"]):
            copy = sqlite3.connect(":memory:")
            copy.row_factory = sqlite3.Row
            with closing(database):
                database.backup(copy)
            database = copy
            compute(database, session["id"])
        yield database, session
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        database.close()


def _written(database, path, session):
    """Computes into the file. False where it cannot be written, or a run is writing to it."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as bench.run.store does
            compute(database, session)
        except (BlockingIOError, sqlite3.OperationalError):
            return False
    return True


@contextmanager
def files(paths):
    """Yields paths of databases of this version whose last sessions have their results. They are copies of those files
    that cannot be written or are of an older version."""
    with TemporaryDirectory(prefix="bench-report-") as folder:
        found = []
        for place, path in enumerate(paths):
            with closing(open_for_reading(path)) as database:
                try:
                    session = database.execute("SELECT max(session) FROM sample").fetchone()[0]
                    missing = session is not None and stale(database, session)
                    if version_of(path) != VERSION or (missing and not _written(database, path, session)):
                        path = _copied(database, Path(folder, str(place), Path(path).name))
                        if missing:
                            with closing(open_for_reading(path)) as copy:
                                compute(copy, session)
                except sqlite3.Error as error:
                    raise StoreError(f"{path}: {error}") from error
            found.append(path)
        yield found


def _copied(database, path):
    """The path, to which it has copied the database."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as copy:
        database.backup(copy)
    return path
