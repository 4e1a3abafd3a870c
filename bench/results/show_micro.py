"""Prints a micro-benchmark: what an operation costs, snakefish against the best peer and the floor, the targets."""
from statistics import median

from bench.results import statistics
from bench.run import catalog

OURS = "snakefish"
FLOOR = "floor"
NO_PEERS = (OURS, "snakefish-traced", "snakefish-again", "snakefish-channels", "sequential", "threading", FLOOR)


def best_peer(costs):
    """(runtime, workers) of the fastest other runtime, None without one. costs: {(runtime, workers): {block: ns}}."""
    peers = [key for key in costs if key[0] not in NO_PEERS]
    return min(peers, key=lambda key: (median(costs[key].values()), key), default=None)


def module_of(name):
    """The workload's file; None where this checkout has none, or none that works."""
    try:
        return catalog.workload(name).module
    except catalog.Broken:
        return None


def state(ratio, target):
    """Whether that ratio reaches its target; unsure where the interval does not say, or there is none."""
    words = "reached" if ratio.value <= target else "not reached"
    if ratio.interval is None:
        return f"{words} (unsure)"
    low, high = ratio.interval
    return words if high <= target or low > target else f"{words} (unsure)"


def comparisons(of):
    """Rows of (what snakefish is held against, ratio or None, target or None): the best peer, the floor, the targets."""
    module, costs = module_of(of.name), of.costs
    targets = dict(getattr(module, "targets", {}))
    mine = next((key for key in sorted(costs) if key[0] == OURS), None)
    if mine is None:
        return [(base, None, target) for base, target in targets.items()]
    best = best_peer(costs)
    bases = dict.fromkeys([*([best[0]] if best else []), *targets, FLOOR])
    rows = []
    for base in bases:
        if base == FLOOR and of.floors.get(mine):  # measured by turns with it, so each sample has a ratio of its own
            ratio = statistics.cost({block: ns / of.floors[mine][block] for block, ns in costs[mine].items()})
        else:
            workers = next((key[1] for key in sorted(costs) if key[0] == base), None)
            ratio = statistics.ratio(costs[mine], costs.get((base, workers), {}))
        label = base
        if base == FLOOR and hasattr(module, "floor_is"):
            label += f": {module.floor_is}"
        elif best and base == best[0]:
            label += " (best peer)"
        if ratio or base in targets:
            rows.append((label, ratio, targets.get(base)))
    return rows


def summary(rows):
    """Of all (workload, label, ratio, target) with a target: how many of the measured are reached, and what is missing."""
    lines, reached, measured = [], 0, 0
    for name, label, ratio, target in rows:
        good = ratio is not None and ratio.value <= target
        measured += ratio is not None
        reached += good
        if not good:
            found = "not measured" if ratio is None else f"{ratio.value:.3f}, {state(ratio, target)}"
            lines.append(f"  {name:<20}{label:<40}<= {target:.3f}: {found}")
    head = f"targets: {reached} of {measured} reached"
    if measured < len(rows):
        head += f", {len(rows) - measured} not measured"
    return [head + ("; the others:" if lines else ""), *lines]
