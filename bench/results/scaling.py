"""The rows of the tables `speedup`, `weak_scaling` and `break_even`."""
from collections import defaultdict

from bench.results import statistics
from bench.results.samples import strong

BASE = ("sequential", 1)
NOT_SWEPT = ("sequential", "snakefish-again")  # the base, and the control


def speedups(all_measured):
    """The sequential time over the runtime's, for every program, runtime and number of workers but the base itself."""
    found = []
    for m in strong(all_measured):
        base = m.costs.get(BASE, {})
        for (runtime, workers), by_block in sorted(m.costs.items()) if m.kind == "program" else ():
            of = statistics.times_as_fast(base, by_block) if (runtime, workers) != BASE else None
            if of:
                base_ns, time_ns = statistics.geometric_means(statistics.paired([base, by_block]))
                found.append({
                    "workload": m.name, "size": m.size, "runtime": runtime, "workers": workers, "blocks": of.blocks,
                    "base_ns": base_ns, "time_ns": time_ns, "speedup": of.value, "low": of.low, "high": of.high,
                    "efficiency": of.value / workers, "efficiency_low": scaled(of.low, 1 / workers),
                    "efficiency_high": scaled(of.high, 1 / workers)})
    return found


def scaled(bound, by):
    return None if bound is None else bound * by


def weak(all_measured):
    """Efficiency where the work grows with the workers: the sequential time of one share over the time of all shares."""
    base = {m.name: m for m in all_measured if "both" in m.series}
    grown = {(m.name, runtime) for m in all_measured if "weak" in m.series for runtime, _ in m.costs
             if runtime != BASE[0]}
    found = []
    for m in all_measured:
        for (runtime, workers), by_block in sorted(m.costs.items()):
            first = base.get(m.name)
            if first is None or (m.name, runtime) not in grown or (m is first) != (workers == 1):
                continue
            of = statistics.times_as_fast(first.costs.get(BASE, {}), by_block)
            if of:
                share = m.work / workers  # of the work, for each worker: 1 but for the rounding of sizes
                found.append({"workload": m.name, "runtime": runtime, "workers": workers, "size": m.size,
                              "blocks": of.blocks, "efficiency": of.value * share, "low": scaled(of.low, share),
                              "high": scaled(of.high, share)})
    return sorted(found, key=lambda row: (row["workload"], row["runtime"], row["workers"]))


def break_evens(all_measured):
    """Of every workload that was run in a sweep of sizes: from which size on each runtime beats the sequential loop."""
    sweeps = defaultdict(lambda: defaultdict(dict))  # {workload: {(runtime, workers): {size: {block: ns}}}}
    for m in all_measured:
        for key, by_block in m.costs.items() if m.series == {"sweep"} else ():
            sweeps[m.name][key][m.size] = by_block
    found = []
    for name, of_runtime in sweeps.items():
        for (runtime, workers), own in sorted(of_runtime.items()):
            base = of_runtime.get(BASE, {})
            of = statistics.break_even(base, own) if runtime not in NOT_SWEPT else None
            if of:
                sizes = sorted(own.keys() & base.keys())
                found.append({"workload": name, "runtime": runtime, "workers": workers, "blocks": of.blocks,
                              "smallest": sizes[0], "largest": sizes[-1], "size": of.value, "low": of.low,
                              "high": of.high})
    return found
