"""The rows of the table `target`: each micro-benchmark against the best peer, its floor, and what its targets name."""
from statistics import median

from bench.results import statistics
from bench.results.samples import strong
from bench.run import catalog
from bench.run.plan import OURS, is_rival

FLOOR = "floor"


def module_of(name):
    """The workload's file; None where this checkout has none, or none that works."""
    try:
        return catalog.workload(name).module
    except catalog.Broken:
        return None


def best_peer(costs):
    """(runtime, workers) of the fastest other runtime, None without one. costs: {(runtime, workers): {block: ns}}."""
    peers = [key for key in costs if is_rival(key[0]) and key[0] != "threading"]
    return min(peers, key=lambda key: (median(costs[key].values()), key), default=None)


def rows(all_measured, priors):
    """priors: see bench/results/comparisons.py, whose intervals these are."""
    found = []
    for m in strong(all_measured):
        if m.kind == "micro":
            module = module_of(m.name)
            found += of_workload(m, getattr(module, "targets", {}), getattr(module, "floor_is", None), priors)
    return found


def of_workload(m, targets, floor_is, priors):
    """targets: {base: how many times as fast snakefish is to be at least}."""
    mine = next((key for key in sorted(m.costs) if key[0] == OURS), None)
    best = best_peer(m.costs) if mine else None
    found = []
    for base in dict.fromkeys([*([best[0]] if best else []), *targets, FLOOR]):
        of, target = against(m, mine, base, priors), targets.get(base)
        if of or target is not None:
            found.append({
                "workload": m.name, "size": m.size, "base": base, "best_peer": int(best is not None and base == best[0]),
                "what": floor_is if base == FLOOR else None, "is_floor": int(is_floor(m)) if base == FLOOR else None,
                "workers": mine and mine[1],
                "blocks": of.blocks if of else 0, "times_as_fast": of and of.value, "low": of and of.low,
                "high": of and of.high, "target": target,
                "state": None if target is None else statistics.target_state(of, target)})
    return found


def is_floor(m):
    """Whether no runtime is quicker, in the median, than the least sample of what is called its floor."""
    found = [by_block for (name, _), by_block in m.costs.items() if name == FLOOR] + list(m.floors.values())
    least = min((ns for by_block in found for ns in by_block.values()), default=0)
    return all(median(by_block.values()) >= least for (name, _), by_block in m.costs.items() if name != FLOOR)


def against(m, mine, base, priors):
    """How many times as fast snakefish is as that base; None where that was not measured."""
    if mine is None:
        return None
    if base == FLOOR and m.floors.get(mine):
        return statistics.times_as_fast(m.floors[mine], m.costs[mine])  # measured by turns with the operation
    workers = next((key[1] for key in sorted(m.costs) if key[0] == base), None)
    prior = priors.get((m.kind, workers)) if is_rival(base) and workers == mine[1] else None
    return statistics.times_as_fast(m.costs.get((base, workers), {}), m.costs[mine], prior)
