"""Writes a session's samples as CSV: a row each, in the order in which they were run, as bench/run/schema.sql names them."""
import csv
import sqlite3
import sys

from bench.results import samples
from bench.run.store import StoreError, open_for_reading

SAMPLES = """
SELECT w.kind, c.series, c.work, s.* FROM sample s
JOIN workload w ON w.session = s.session AND w.name = s.workload AND w.size = s.size
JOIN cell c ON c.session = s.session AND c.workload = s.workload AND c.size = s.size AND c.runtime = s.runtime
  AND c.workers = s.workers
WHERE s.session = ? ORDER BY s.block, s.position"""


def export(path, number=None):
    """Returns the exit code. Raises StoreError where there is no such session."""
    database = open_for_reading(path)
    try:
        session = samples.session(database, path, number)
        rows = database.execute(SAMPLES, (session["id"],))
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow([column[0] for column in rows.description])
        out.writerows(rows)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        database.close()
    return 0
