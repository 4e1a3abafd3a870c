"""Prints a session: times, speedups and verdicts, on 100 columns."""
import os
import sqlite3
from collections import defaultdict

from bench.results import show_micro, show_scaling, statistics, verdicts
from bench.run.store import StoreError, open_for_reading

UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns"))


def show(path, number=None):
    """Returns the exit code. Raises StoreError where there is no such session."""
    database = open_for_reading(path)
    try:
        session = verdicts.session(database, path, number)
        measured = verdicts.measured(database, session["id"])
        _print_head(database, session)
        compared = {kind: [(title, verdicts.compare(measured, runtime, base, kind))
                           for runtime, base, title in verdicts.pairs(measured, kind)] for kind in ("program", "micro")}
        targets = []
        for of in verdicts.strong(measured):
            targets += _print_workload(of, compared[of.kind])
        _print_overall(compared["program"])
        if targets:
            print("\n" + "\n".join(show_micro.summary(targets)))
        for line in show_scaling.weak(measured) + show_scaling.crossovers(measured):
            print(line)
        _print_memory(database, session)
        _print_foot(database, session, measured)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        database.close()
    print(f"\n{os.path.abspath(path)}")
    return 0


def _print_head(database, session):
    done = database.execute("SELECT count(*) FROM sample WHERE session = ?", (session["id"],)).fetchone()[0]
    print(f"session {session['id']}, {session['started']}, {session['status']}: "
          f"{done} of {session['samples']} samples, {session['blocks']} blocks, seed {session['seed']}")
    facts = defaultdict(lambda: "unknown", database.execute(
        "SELECT key, value FROM machine WHERE session = ?", (session["id"],)).fetchall())
    changed = {0: "", 1: " and changes"}.get(facts["dirty"], "")
    print(f"{facts['cpu_model']}, {facts['effective_cpus']} of {facts['cpus']} CPUs, {facts['kernel']}\n"
          f"{facts['python']}, commit {str(facts['commit'])[:12]}{changed}, load {facts['load1']} at the start")
    for row in database.execute("SELECT text FROM warning WHERE session = ?", (session["id"],)):
        print(f"Warning: {row['text']}")


def _print_workload(of, compared):
    """Returns its targets: (workload, what it is held against, ratio, target)."""
    what = f"{of.size} {of.unit}"
    if of.kind == "micro":
        what = f"one {of.operation} of {of.operations if of.operations == of.size else what}"
    else:
        what += ": the parallel region"
    print(f"\n{of.name}, {what}")
    if not of.costs:
        print("  no right output: nothing to compare")
        return []
    _print_costs(of.costs, speedups=of.kind == "program")
    for title, comparisons in compared:
        rows = [c for (name, size, _), c in comparisons.items() if (name, size) == (of.name, of.size)]
        # against multiprocessing a micro-benchmark is held by its targets, below
        if rows and not (of.kind == "micro" and rows[0].base == "multiprocessing"):
            _print_ratios(title, rows)
    return _print_targets(of) if of.kind == "micro" else []


def _print_costs(costs, speedups):
    base = costs.get(("sequential", 1)) if speedups else None
    head = f"  {'runtime':<27}{'workers':>7}{'blocks':>8}{'median':>11}   {'95 % interval':<17}"
    print((head + (f"{'speedup':>7}   95 % interval" if base else "")).rstrip())
    for runtime, workers in sorted(costs, key=lambda key: (key[0] != "sequential", key)):
        by_block = costs[runtime, workers]
        cost = statistics.cost(by_block)
        scale, unit = next((s, u) for s, u in UNITS if cost.value >= s or s == 1)
        digits = 2 if cost.value < 10 * scale else 1
        line = (f"  {runtime:<27}{workers:>7}{cost.blocks:>8}{cost.value / scale:>8.{digits}f} {unit:<2}"
                f"   {range_text(cost, scale, digits):<17}")
        speedup = base and statistics.ratio(base, by_block)
        if speedup:
            line += f"{speedup.value:>7.2f}   {range_text(speedup, 1, 2) if by_block is not base else ''}"
        print(line.rstrip())


def _print_targets(of):
    rows = show_micro.comparisons(of)
    if rows:
        print(f"  {'snakefish /':<40}{'ratio':>8}  {'95 % interval':<18}target")
    for label, ratio, target in rows:
        if ratio is None:
            line = f"  {label:<40}{'':>8}  {'not measured':<18}<= {target:.3f}"
        else:
            line = f"  {label:<40}{ratio.value:>8.3f}  {range_text(ratio, 1, 3):<18}"
            if target is not None:
                line += f"<= {target:.3f} {show_micro.state(ratio, target)}"
        print(line.rstrip())
    return [(of.name, label, ratio, target) for label, ratio, target in rows if target is not None]


def _print_ratios(title, rows):
    print(f"  {title}")
    for c in rows:
        print(f"  {'':<21}{c.workers:>7}{c.ratio.blocks:>8}{c.ratio.value:>8.3f}      {range_text(c.ratio, 1, 3):<18}"
              f"{c.verdict}")


def range_text(of, scale, digits):
    if of.interval is None:
        return ""
    low, high = (bound / scale for bound in of.interval)
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def _print_overall(compared):
    lines = []
    for title, comparisons in compared:
        mean = verdicts.overall(comparisons.values())
        if mean and len(comparisons) > 1:
            lines.append(f"  {title:<52}{mean.value:>7.3f}  {range_text(mean, 1, 3):<18}of {len(comparisons)}".rstrip())
    if lines:
        print("\nall programs at all numbers of workers: the geometric mean of the ratios")
        print("\n".join(lines))


def _print_memory(database, session):
    rows = list(database.execute(
        "SELECT m.* FROM memory m JOIN cell c USING(session, workload, size, runtime, workers) "
        "WHERE session = ? AND peak_pss_bytes IS NOT NULL AND c.series IN ('strong', 'both')", (session["id"],)))
    if rows:
        print("\npeak memory of the whole tree\n"
              f"  {'program':<20}{'runtime':<27}{'workers':>7}{'MiB':>9}{'processes':>11}")
    for row in rows:
        print(f"  {row['workload']:<20}{row['runtime']:<27}{row['workers']:>7}{row['peak_pss_bytes'] / 2**20:>9.1f}"
              f"{row['processes']:>11}")


def _print_foot(database, session, measured):
    print()
    for row in database.execute("SELECT name, reason FROM runtime WHERE session = ? AND status = 'absent'",
                                (session["id"],)):
        print(f"{row['name']} is absent: {row['reason']}")
    for row in database.execute(
            "SELECT status, workload, size, runtime, workers, count(*) AS n, min(error) AS error FROM sample "
            "WHERE session = ? AND status <> 'ok' GROUP BY 1, 2, 3, 4, 5", (session["id"],)):
        print(f"{row['n']} {row['status']}: {row['workload']} {row['size']} {row['runtime']} x{row['workers']}: "
              f"{row['error']}")
    if session["status"] != "complete":
        print("The session has not finished, or its runner was killed: `run --resume` goes on with it.")
    if session["blocks"] < statistics.FEWEST_BLOCKS:
        print(f"Fewer than {statistics.FEWEST_BLOCKS} blocks: no intervals, and no verdicts: take more, with --blocks.")
    for kind, what in (("program", "programs"), ("micro", "micro-benchmarks")):
        control = verdicts.control(measured, kind)
        if control:
            most = max(max(r, 1 / r) - 1 for r in control)
            print(f"A/A control, {what}: snakefish differs from itself by up to {most:.1%} in {len(control)} comparisons; "
                  f"no difference\nbelow {statistics.margin(control):.1%}.")
    print(f"Ratios below 1: the first one is faster. A difference is larger than {statistics.PRACTICAL:.0%} and than the A/A "
          "control's,\nand sure at 95 % over all comparisons of its kind together (Holm).")
