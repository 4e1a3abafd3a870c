"""Prints what two sessions differ by: each cell's time, and whether they come to the same ratios.

Their blocks have nothing in common, so each session's are resampled for themselves.
"""
import random
import sqlite3
from statistics import median

from bench.results import statistics, verdicts
from bench.results.statistics import Estimate
from bench.results.show import range_text
from bench.run.store import StoreError, open_for_reading

BUILD = ("cpu_model", "effective_cpus", "kernel", "python", "commit", "extension_flags")


def compare(paths):
    """Returns the exit code. Raises StoreError where a database cannot be read, or nothing is in both."""
    sides = [_load(path) for path in paths]
    for name, (path, session, _, _) in zip("AB", sides):
        print(f"{name}: session {session['id']} of {path}, {session['started']}, {session['blocks']} blocks")
    a, b = (facts for _, _, facts, _ in sides)
    for key in BUILD:
        if a.get(key) != b.get(key):
            print(f"  {key}: {a.get(key)} | {b.get(key)}")
    measured = [of for _, _, _, of in sides]
    both = _times(measured)
    if not both:
        raise StoreError(f"{paths[0]} and {paths[1]} have no workload, size, runtime and workers in common")
    _print_times(measured, both)
    _print_agreement(measured)
    return 0


def _load(path):
    database = open_for_reading(path)
    try:
        session = verdicts.session(database, path)
        facts = dict(database.execute("SELECT key, value FROM machine WHERE session = ?", (session["id"],)).fetchall())
        return path, session, facts, verdicts.measured(database, session["id"])
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        database.close()


def _times(measured):
    """{kind: [(label, Estimate of B / A)]} of the cells that both have."""
    first, second = ({(m.name, m.size): m for m in of} for of in measured)
    found = {}
    for key in first.keys() & second.keys():
        for runtime, workers in sorted(first[key].costs.keys() & second[key].costs.keys()):
            a, b = (list(m[key].costs[runtime, workers].values()) for m in (first, second))
            label = f"{key[0]} {key[1]} {runtime} x{workers}"
            found.setdefault(first[key].kind, []).append((label, _quotient((b,), (a,))))
    return {kind: sorted(rows) for kind, rows in sorted(found.items(), reverse=True)}


def _quotient(above, below):
    """Of two statistics, each the median of a list or the ratio of two such medians over the same blocks."""

    def value(columns, blocks):
        medians = [median(column[b] for b in blocks) for column in columns]
        return medians[0] / medians[1] if len(medians) == 2 else medians[0]

    sizes = [range(len(columns[0])) for columns in (above, below)]
    whole = value(above, sizes[0]) / value(below, sizes[1])
    if min(map(len, sizes)) < statistics.FEWEST_BLOCKS:
        return Estimate(whole, None, min(map(len, sizes)))
    draw = random.Random(0)
    drawn = sorted(value(above, draw.choices(sizes[0], k=len(sizes[0])))
                   / value(below, draw.choices(sizes[1], k=len(sizes[1]))) for _ in range(statistics.RESAMPLES))
    return statistics.from_resamples(whole, drawn, min(map(len, sizes)))


def _print_times(measured, both):
    for kind, rows in both.items():
        apart = max(verdicts.margin(of, kind) for of in measured)
        print(f"\ntime of B / time of A, {kind}s; no difference below {apart:.1%}\n"
              f"  {'':<52}{'ratio':>8}  95 % interval")
        called = statistics.verdicts([ratio for _, ratio in rows], apart)
        for (label, ratio), verdict in zip(rows, called):
            print(f"  {label:<52}{ratio.value:>8.3f}  {range_text(ratio, 1, 3):<18}{verdict}".rstrip())
        print("  " + ", ".join(f"{called.count(v)} {v}" for v in dict.fromkeys(called)))


def _print_agreement(measured):
    """Of the ratios of two runtimes within a session: in how many the sessions agree."""
    agree = total = 0
    for kind in ("program", "micro"):
        for runtime, base, _ in verdicts.pairs(measured[0], kind):
            first, second = (verdicts.compare(of, runtime, base, kind) for of in measured)
            for key in sorted(first.keys() & second.keys()):
                quotient = _quotient(_pair(second[key]), _pair(first[key]))
                if quotient.interval:
                    total += 1
                    same = quotient.interval[0] <= 1 <= quotient.interval[1]
                    agree += same
                    if not same:
                        print(f"  apart: {key[0]} {key[1]} x{key[2]}, {runtime} / {base}: {first[key].ratio.value:.3f} "
                              f"{range_text(first[key].ratio, 1, 3)} | {second[key].ratio.value:.3f} "
                              f"{range_text(second[key].ratio, 1, 3)}")
    if total:
        print(f"\nratios of runtimes: A and B agree in {agree} of {total} ({agree / total:.0%}): the 95 % interval of "
              "what they\ndiffer by holds no difference")


def _pair(comparison):
    """The times of both runtimes in the blocks that have both."""
    costs = comparison.measured.costs
    above, below = (costs[name, comparison.workers] for name in (comparison.runtime, comparison.base))
    blocks = sorted(above.keys() & below.keys())
    return [above[b] for b in blocks], [below[b] for b in blocks]
