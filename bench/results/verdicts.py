"""A session's right samples, ready to be compared: what `show` and `compare` print."""
from collections import defaultdict
from dataclasses import dataclass, field

from bench.results import statistics
from bench.results.statistics import Estimate
from bench.run.store import StoreError

# runtime, the one it is held against, what the ratio says
COMPARED = (
    ("snakefish", "multiprocessing", "snakefish / multiprocessing"),
    ("snakefish-traced", "snakefish", "snakefish-traced / snakefish: what tracing costs"),
)
CONTROL = ("snakefish-again", "snakefish")
NO_RIVALS = {"sequential", "ceiling", "floor", "snakefish", "snakefish-again", "snakefish-traced", "snakefish-channels"}
SAMPLES = """
SELECT m.*, w.unit, w.operation FROM measurement m
JOIN workload w ON w.session = m.session AND w.name = m.workload AND w.size = m.size
WHERE m.session = ? ORDER BY m.kind DESC, m.workload, m.size, m.block"""


@dataclass
class Measured:
    """A workload at one size."""

    name: str
    size: int
    kind: str
    unit: str
    operation: str
    operations: int
    costs: dict = field(default_factory=lambda: defaultdict(dict))  # {(runtime, workers): {block: ns}}
    floors: dict = field(default_factory=lambda: defaultdict(dict))  # the same, of floors measured in the sample
    series: set = field(default_factory=set)
    work: float = 1.0  # against the size in the strong series


@dataclass
class Comparison:
    """A ratio of times, with what is to be said of it among all of its kind."""

    measured: Measured
    runtime: str
    base: str
    workers: int
    ratio: Estimate
    verdict: str = ""


def session(database, path, number=None):
    """The row of that session; the last one without a number."""
    row = database.execute("SELECT * FROM session WHERE id = coalesce(?, (SELECT max(id) FROM session))",
                           (number,)).fetchone()
    if row is None:
        raise StoreError(f"{path}: there is no session{'' if number is None else f' {number}'} in it")
    return row


def measured(database, number):
    """Every workload of the session, in the order in which they are shown; one without a right sample has no costs."""
    found = {(row["name"], row["size"]): Measured(row["name"], row["size"], row["kind"], row["unit"], row["operation"], 1)
             for row in database.execute("SELECT * FROM workload WHERE session = ? ORDER BY kind DESC, name, size",
                                         (number,))}
    for row in database.execute(SAMPLES, (number,)):
        of = found[row["workload"], row["size"]]
        key = row["runtime"], row["workers"]
        of.costs[key][row["block"]] = row["operation_ns"]
        if row["floor_ns"] is not None:
            of.floors[key][row["block"]] = row["floor_ns"]
        of.series.add(row["series"])
        of.work = row["work"]
        if row["runtime"] != "ceiling":
            of.operations = row["operations"]
    return list(found.values())


def strong(all_measured):
    return [m for m in all_measured if not m.costs or m.series & {"strong", "both"}]


def pairs(all_measured, kind):
    """What is compared: (runtime, base, title). Programs also with every other rival; micro-benchmarks have targets."""
    rivals = {runtime for m in all_measured if m.kind == kind == "program" for runtime, _ in m.costs} - NO_RIVALS
    others = sorted(rivals - {base for _, base, _ in COMPARED})
    return [*COMPARED, *(("snakefish", base, f"snakefish / {base}") for base in others)]


def compare(all_measured, runtime, base, kind):
    """The ratios of one runtime to another in the strong series, with verdicts: {(name, size, workers): Comparison}."""
    apart = margin(all_measured, kind)
    found = []
    for m in strong(all_measured):
        for (name, workers), by_block in sorted(m.costs.items()):
            if m.kind == kind and name == runtime:
                of = statistics.ratio(by_block, m.costs.get((base, workers), {}))
                if of:
                    found.append(Comparison(m, runtime, base, workers, of))
    for comparison, verdict in zip(found, statistics.verdicts([c.ratio for c in found], apart)):
        comparison.verdict = verdict
    return {(c.measured.name, c.measured.size, c.workers): c for c in found}


def overall(comparisons):
    """Of the ratios of so many comparisons their geometric mean, over the blocks that hold all; None without one."""
    pairs = [(c.measured.costs[c.runtime, c.workers], c.measured.costs[c.base, c.workers]) for c in comparisons]
    blocks = sorted(set.intersection(*(above.keys() & below.keys() for above, below in pairs))) if pairs else []
    return statistics.mean_ratio([([above[b] for b in blocks], [below[b] for b in blocks]) for above, below in pairs]) \
        if blocks else None


def control(all_measured, kind):
    """The A/A control's ratios."""
    runtime, base = CONTROL
    found = [statistics.ratio(by_block, m.costs.get((base, workers), {})) for m in strong(all_measured) if m.kind == kind
             for (name, workers), by_block in m.costs.items() if name == runtime]
    return [of.value for of in found if of]


def margin(all_measured, kind):
    """Below it nothing of that kind is called a difference."""
    return statistics.margin(control(all_measured, kind))
