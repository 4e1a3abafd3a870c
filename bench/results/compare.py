"""Prints what two sessions differ by: each cell's time, and whether they come to the same comparisons of runtimes.

Their blocks have nothing in common, so these ratios are not paired.
"""
from contextlib import ExitStack

import numpy

from bench.results import compute, counted, samples, statistics
from bench.results.comparisons import CONTROL
from bench.results.show import interval, title
from bench.run.store import StoreError

BUILD = ("cpu_model", "effective_cpus", "kernel", "python", "commit", "extension_flags",
         "environment_passed_on")
KINDS = {"program": "programs", "micro": "micro-benchmarks"}


def compare(paths, most=None):
    """Returns the exit code: 1 where something takes more instructions than `most` allows. Raises StoreError where a database
    cannot be read, or nothing is in both."""
    with ExitStack() as stack:
        sides = [_Side(path, *stack.enter_context(compute.opened(path))) for path in paths]
    for name, side in zip("AB", sides):
        print(f"{name}: session {side.session['id']} of {side.path}, {side.session['started']}, "
              f"{side.session['blocks']} blocks")
    a, b = sides
    for key in BUILD:
        if a.facts.get(key) != b.facts.get(key):
            print(f"  {key}: {a.facts.get(key)} | {b.facts.get(key)}")
    both, differences = _times(a, b), counted.differences(*paths)
    if not both and not differences:
        raise StoreError(f"{paths[0]} and {paths[1]} have no workload, size, runtime and workers in common")
    if both:
        _print_times(a, b, both)
        _print_agreement(a, b)
    counted.print_differences(differences)
    return counted.exit_code(differences, most)


class _Side:
    """What is read of one of the two sessions."""

    def __init__(self, path, database, session):
        def rows(query):
            return database.execute(query, (session["id"],)).fetchall()

        self.path, self.session = path, dict(session)
        self.facts = dict(map(tuple, rows("SELECT key, value FROM machine WHERE session = ?")))
        self.margins = dict(map(tuple, rows("SELECT kind, margin FROM noise WHERE session = ?")))
        self.measured = {(m.name, m.size): m for m in samples.measured(database, session["id"])}
        self.comparisons = {(row["runtime"], row["base"], row["workload"], row["size"], row["workers"]): row
                            for row in rows("SELECT * FROM comparison WHERE session = ?")}

    def pair(self, key):
        """The log ratios of base and runtime in the blocks that have both."""
        runtime, base, workload, size, workers = key
        costs = self.measured[workload, size].costs
        return statistics.log_ratios(costs[base, workers], costs[runtime, workers])


def _times(a, b):
    """{kind: [(label, Estimate of how many times as fast B is)]} of the cells that both have."""
    found = {}
    for key in a.measured.keys() & b.measured.keys():
        first, second = a.measured[key], b.measured[key]
        for cell in sorted(first.costs.keys() & second.costs.keys()):
            of = statistics.quotient(*(numpy.log(list(side.costs[cell].values())) for side in (first, second)))
            found.setdefault(first.kind, []).append((f"{key[0]} {key[1]} {cell[0]} x{cell[1]}", of))
    return {kind: sorted(found[kind], key=lambda row: row[0]) for kind in sorted(found, reverse=True)}


def _print_times(a, b, both):
    for kind, rows in both.items():
        apart = max(a.margins[kind], b.margins[kind])
        print(f"\n{KINDS[kind]}: B, times as fast as A; no difference below {apart:.1%}\n"
              f"  {'':<52}{'':>8}  95 % interval")
        called = statistics.verdicts([of for _, of in rows], apart)
        for (label, of), verdict in zip(rows, called):
            verdict = verdict if of.low is not None else f"{verdict}: too few blocks"
            print(f"  {label:<52}{of.value:>8.3f}  {interval(of.low, of.high, 3):<18}{verdict}".rstrip())
        print("  " + ", ".join(f"{called.count(v)} {v}" for v in dict.fromkeys(called)))


def _print_agreement(a, b):
    """In how many comparisons of two runtimes the sessions agree."""
    agree = total = 0
    for key in sorted(a.comparisons.keys() & b.comparisons.keys()):
        runtime, base, workload, size, workers = key
        of = statistics.quotient(b.pair(key), a.pair(key))
        if (runtime, base) == CONTROL or of.low is None:
            continue
        total += 1
        if of.low <= 1 <= of.high:
            agree += 1
        else:
            first, second = (f"{row['times_as_fast']:.3f} {interval(row['low'], row['high'], 3)}"
                             for row in (a.comparisons[key], b.comparisons[key]))
            print(f"  apart: {workload} {size} x{workers}, {title(runtime, base)}: {first} | {second}")
    if total:
        print(f"\ncomparisons of runtimes: A and B agree in {agree} of {total} ({agree / total:.0%}): the 95 % interval of "
              "what\nthey differ by holds no difference")
