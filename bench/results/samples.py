"""A session's right samples, by workload."""
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field

from bench.run.store import StoreError

SAMPLES = "SELECT * FROM measurement WHERE session = ? ORDER BY kind DESC, workload, size, block, runtime, workers"


@dataclass
class Measured:
    """A workload at one size."""

    name: str
    size: int
    kind: str
    costs: dict = field(default_factory=lambda: defaultdict(dict))  # {(runtime, workers): {block: ns of an operation}}
    floors: dict = field(default_factory=lambda: defaultdict(dict))  # the same, of floors measured in the sample
    series: set = field(default_factory=set)
    work: float = 1.0  # against the size in the strong series


def session(database, path, number=None):
    """The row of that session; without a number the last one that has samples, or the last where none has."""
    row = database.execute("SELECT * FROM session WHERE id = coalesce(?, (SELECT max(id) FROM session WHERE samples > 0), "
                           "(SELECT max(id) FROM session))", (number,)).fetchone()
    if row is None:
        raise StoreError(f"{path}: there is no session{'' if number is None else f' {number}'} in it")
    return row


def measured(database, number):
    """Every workload of the session, in the order in which they are shown; one without a right sample has no costs."""
    cursor = database.cursor()
    cursor.row_factory = sqlite3.Row
    workloads = "SELECT name, size, kind FROM workload WHERE session = ? ORDER BY kind DESC, name, size"
    found = {(name, size): Measured(name, size, kind) for name, size, kind in cursor.execute(workloads, (number,))}
    for row in cursor.execute(SAMPLES, (number,)):
        of = found[row["workload"], row["size"]]
        key = row["runtime"], row["workers"]
        of.costs[key][row["block"]] = row["operation_ns"]
        if row["floor_ns"] is not None:
            of.floors[key][row["block"]] = row["floor_ns"]
        of.series.add(row["series"])
        of.work = row["work"]
    return list(found.values())


def strong(all_measured):
    """Those in which the workload keeps its size while the workers change, and micro-benchmarks of one size."""
    return [m for m in all_measured if m.series & {"strong", "both"}]
