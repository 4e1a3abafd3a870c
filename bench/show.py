"""Prints a session: times, speedups and verdicts, on 100 columns."""
import os
import sqlite3
from collections import defaultdict

from bench import interval, show_micro
from bench.store import StoreError, open_for_reading

# runtime, the one it is held against, what the ratio says
COMPARED = (
    ("snakefish", "multiprocessing", "snakefish / multiprocessing"),
    ("snakefish-traced", "snakefish", "snakefish-traced / snakefish: what tracing costs"),
)
UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns"))


def show(path, number=None):
    """Returns the exit code. Raises StoreError where there is no such session."""
    database = open_for_reading(path)
    try:
        session = _session(database, path, number)
        _print_head(database, session)
        targets = []
        for workload in database.execute(
                "SELECT * FROM workload WHERE session = ? ORDER BY kind DESC, name, size", (session["id"],)):
            targets += _print_workload(database, workload)
        if targets:
            print("\n" + "\n".join(show_micro.summary(targets)))
        _print_foot(database, session)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        database.close()
    print(f"\n{os.path.abspath(path)}")
    return 0


def _session(database, path, number):
    row = database.execute("SELECT * FROM session WHERE id = coalesce(?, (SELECT max(id) FROM session))",
                           (number,)).fetchone()
    if row is None:
        raise StoreError(f"{path}: there is no session{'' if number is None else f' {number}'} in it")
    return row


def _print_head(database, session):
    done = database.execute("SELECT count(*) FROM sample WHERE session = ?", (session["id"],)).fetchone()[0]
    print(f"session {session['id']}, {session['started']}, {session['status']}: "
          f"{done} of {session['samples']} samples, {session['blocks']} blocks, seed {session['seed']}")
    facts = defaultdict(lambda: "unknown", database.execute(
        "SELECT key, value FROM machine WHERE session = ?", (session["id"],)).fetchall())
    changed = {0: "", 1: " and changes"}.get(facts["dirty"], "")
    print(f"{facts['cpu_model']}, {facts['effective_cpus']} of {facts['cpus']} CPUs, {facts['kernel']}\n"
          f"{facts['python']}, commit {str(facts['commit'])[:12]}{changed}, load {facts['load1']} at the start")
    if isinstance(facts["load1"], float) and facts["load1"] > 0.5:
        print("The machine had other work when the session started: run it again when it is idle.")


def _print_workload(database, workload):
    """Returns its targets: (workload, what it is held against, ratio, target)."""
    costs = defaultdict(dict)  # {(runtime, workers): {block: ns}}
    operations = 1
    for row in database.execute("SELECT * FROM measurement WHERE session = ? AND workload = ? AND size = ?",
                                (workload["session"], workload["name"], workload["size"])):
        costs[row["runtime"], row["workers"]][row["block"]] = row["operation_ns"]
        operations = row["operations"]
    micro = workload["kind"] == "micro"
    of = f"{workload['size']} {workload['unit']}"
    if micro:
        of = f"one {workload['operation']} of {of if operations == 1 else operations}"
    else:
        of += ": the parallel region"
    print(f"\n{workload['name']}, {of}")
    if not costs:
        print("  no right output: nothing to compare")
        return []
    _print_costs(costs, speedups=not micro)
    for runtime, base, title in COMPARED[1 if micro else 0:]:
        _print_ratios(costs, runtime, base, title)
    return _print_comparisons(costs, workload["name"]) if micro else []


def _print_costs(costs, speedups):
    base = costs.get(("sequential", 1)) if speedups else None
    print(f"  {'runtime':<27}{'workers':>7}{'blocks':>8}{'median':>11}   {'95 % interval':<17}"
          + (f"{'speedup':>7}   95 % interval" if base else ""))
    for runtime, workers in sorted(costs, key=lambda key: (key[0] != "sequential", key)):
        by_block = costs[runtime, workers]
        cost = interval.cost(by_block)
        scale, unit = next((s, u) for s, u in UNITS if cost.value >= s or s == 1)
        digits = 2 if cost.value < 10 * scale else 1
        line = (f"  {runtime:<27}{workers:>7}{cost.blocks:>8}{cost.value / scale:>8.{digits}f} {unit:<2}"
                f"   {_range(cost, scale, digits):<17}")
        speedup = base and interval.ratio(base, by_block)
        if speedup:
            line += f"{speedup.value:>7.2f}   {_range(speedup, 1, 2) if by_block is not base else ''}"
        print(line.rstrip())


def _print_comparisons(costs, name):
    rows = show_micro.comparisons(costs, name)
    if rows:
        print(f"  {'snakefish /':<40}{'ratio':>8}  {'95 % interval':<18}target")
    for label, ratio, target in rows:
        if ratio is None:
            line = f"  {label:<40}{'':>8}  {'not measured':<18}<= {target:.3f}"
        else:
            line = f"  {label:<40}{ratio.value:>8.3f}  {_range(ratio, 1, 3):<18}"
            if target is not None:
                line += f"<= {target:.3f} {show_micro.state(ratio, target)}"
        print(line.rstrip())
    return [(name, label, ratio, target) for label, ratio, target in rows if target is not None]


def _print_ratios(costs, runtime, base, title):
    rows = [(workers, interval.ratio(by_block, costs.get((base, workers), {})))
            for (name, workers), by_block in sorted(costs.items()) if name == runtime]
    rows = [(workers, ratio) for workers, ratio in rows if ratio]
    if rows:
        print(f"  {title}")
    for workers, ratio in rows:
        print(f"  {'':<21}{workers:>7}{ratio.blocks:>8}{ratio.value:>8.3f}      {_range(ratio, 1, 3):<18}"
              f"{interval.verdict(ratio)}")


def _range(of, scale, digits):
    if of.interval is None:
        return ""
    low, high = (bound / scale for bound in of.interval)
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def _print_foot(database, session):
    print()
    for row in database.execute("SELECT name, reason FROM runtime WHERE session = ? AND status = 'absent'",
                                (session["id"],)):
        print(f"{row['name']} is absent: {row['reason']}")
    for row in database.execute(
            "SELECT status, workload, size, runtime, workers, count(*) AS n, min(error) AS error FROM sample "
            "WHERE session = ? AND status <> 'ok' GROUP BY 1, 2, 3, 4, 5", (session["id"],)):
        print(f"{row['n']} {row['status']}: {row['workload']} {row['size']} {row['runtime']} x{row['workers']}: "
              f"{row['error']}")
    if session["status"] == "running":
        print("The session has not finished, or its runner was killed.")
    if session["blocks"] < interval.FEWEST_BLOCKS:
        print(f"Fewer than {interval.FEWEST_BLOCKS} blocks: no intervals, and no verdicts.")
    print(f"Ratios below 1: the first one is faster. No practical difference: the interval lies within "
          f"{interval.PRACTICAL:.0%} of 1.")
