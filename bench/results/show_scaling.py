"""Prints weak scaling, and the size of a task from which on each runtime is faster than the sequential loop."""
from collections import defaultdict
from math import exp, log
from statistics import median

from bench.results import statistics

NO_RUNTIMES = ("sequential", "snakefish-again")  # what the others are held against, and the control


def weak(all_measured):
    """Lines: efficiency where the work grows with the workers; 1 is a time that stays."""
    base = {m.name: m for m in all_measured if "both" in m.series}
    grown = {(m.name, runtime) for m in all_measured if "weak" in m.series for runtime, _ in m.costs} - {
        (name, "sequential") for name in base}
    rows = []
    for m in all_measured:
        for (runtime, workers), by_block in sorted(m.costs.items()):
            first = base.get(m.name) and base[m.name].costs.get(("sequential", 1))
            if first and (m.name, runtime) in grown and (m is base[m.name]) == (workers == 1):
                of = statistics.ratio(first, by_block)  # times the work, over the workers: 1 but for rounding
                rows.append((m.name, runtime, workers, m.size, of, m.work / workers))
    if not rows:
        return []
    lines = ["", "weak scaling: the sequential time of one share of the work, over the time of all shares",
             f"  {'program':<20}{'runtime':<19}{'workers':>7}{'size':>10}{'efficiency':>12}   95 % interval"]
    for name, runtime, workers, size, of, share in sorted(rows, key=lambda row: row[:3]):
        bounds = f"[{of.interval[0] * share:.2f}, {of.interval[1] * share:.2f}]" if of.interval else ""
        lines.append(f"  {name:<20}{runtime:<19}{workers:>7}{size:>10}{of.value * share:>12.2f}   {bounds}".rstrip())
    return lines


def crossovers(all_measured):
    """Lines: of every sweep, the size at which each runtime's time falls below the sequential one."""
    sweeps = defaultdict(list)
    for m in all_measured:
        if m.series == {"sweep"}:
            sweeps[m.name].append(m)
    lines = []
    for name, of in sweeps.items():
        base = {m.size: m.costs.get(("sequential", 1), {}) for m in of}
        runtimes = sorted(key for key in {key for m in of for key in m.costs} if key[0] not in NO_RUNTIMES)
        lines += ["", f"{name}: faster than sequential from this size on ({of[0].unit})",
                  f"  {'runtime':<27}{'workers':>7}{'size':>10}   95 % interval"]
        for key in runtimes:
            found = crossover({m.size: m.costs[key] for m in of if key in m.costs}, base)
            if found:
                lines.append(f"  {key[0]:<27}{key[1]:>7}{found[0]:>10}   {found[1]}".rstrip())
    return lines


def crossover(times, base):
    """(text of the size, text of its interval): where log(time / base) over log(size) falls through 0 for the last time.

    times, base: {size: {block: ns}}. Blocks are resampled for all sizes at once."""
    sizes = sorted(size for size in times if base.get(size))
    blocks = sorted(set.intersection(*(times[s].keys() & base[s].keys() for s in sizes))) if sizes else []
    if not blocks:
        return None

    def at(drawn):
        return fall([(s, log(median(times[s][b] for b in drawn) / median(base[s][b] for b in drawn))) for s in sizes])

    def text(size):
        return f"> {sizes[-1]}" if size == float("inf") else f"< {sizes[0]}" if size == 0 else f"{size:.0f}"

    if len(blocks) < statistics.FEWEST_BLOCKS:
        return text(at(blocks)), ""
    drawn = sorted(at([blocks[k] for k in places]) for places in statistics.draws(len(blocks)))
    cut = round(statistics.RESAMPLES * (1 - statistics.LEVEL) / 2)
    return text(at(blocks)), f"[{text(drawn[cut])}, {text(drawn[-cut - 1])}]"


def fall(points):
    """The size from which on the values of (size, value) are below 0; 0: all of them, infinity: not the last one."""
    if points[-1][1] >= 0:
        return float("inf")
    for (s0, v0), (s1, v1) in reversed(list(zip(points, points[1:]))):
        if v0 >= 0:
            return exp(log(s0) + (log(s1) - log(s0)) * v0 / (v0 - v1))
    return 0
