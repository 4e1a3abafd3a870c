"""Which runtimes of a session are compared, and the rows of the tables `comparison`, `noise` and `overall`."""
from bench.results import statistics
from bench.results.samples import strong

# (runtime, base)
COMPARED = (("snakefish", "multiprocessing"), ("snakefish-traced", "snakefish"),
            ("snakefish-own", "multiprocessing-published"), ("snakefish", "snakefish-by-hand"))
CONTROL = ("snakefish-again", "snakefish")
NO_RIVALS = {"sequential", "ceiling", "floor", "snakefish", "snakefish-again", "snakefish-traced", "snakefish-channels",
             "snakefish-own", "snakefish-by-hand"}
KINDS = ("program", "micro")


def pairs(all_measured, kind):
    """What is compared: (runtime, base). Programs also with every other rival; micro-benchmarks have targets."""
    rivals = {runtime for m in all_measured if m.kind == kind == "program" for runtime, _ in m.costs} - NO_RIVALS
    return [*COMPARED, *(("snakefish", base) for base in sorted(rivals) if ("snakefish", base) not in COMPARED)]


def ratios(all_measured, runtime, base, kind):
    """(Measured, workers, Estimate) of every workload of the strong series that both ran with as many workers."""
    found = []
    for m in strong(all_measured):
        for (name, workers), by_block in sorted(m.costs.items()) if m.kind == kind else ():
            if name == runtime:
                of = statistics.times_as_fast(m.costs.get((base, workers), {}), by_block)
                if of:
                    found.append((m, workers, of))
    return found


def control(all_measured, kind):
    """The A/A control's ratios: what snakefish differs by from itself."""
    return [of.value for _, _, of in ratios(all_measured, *CONTROL, kind)]


def rows(all_measured):
    """The rows of `comparison`, `noise` and `overall`, as dicts."""
    compared, noise, overall = [], [], []
    for kind in KINDS:
        found = control(all_measured, kind)
        apart = statistics.margin(found)
        noise.append({"kind": kind, "comparisons": len(found), "margin": apart,
                      "largest": max(map(statistics.distance, found), default=None)})
        for runtime, base in (*pairs(all_measured, kind), CONTROL):
            of_pair = ratios(all_measured, runtime, base, kind)
            called = statistics.verdicts([of for _, _, of in of_pair], apart)
            for (m, workers, of), verdict in zip(of_pair, called):
                own, against = statistics.paired([m.costs[runtime, workers], m.costs[base, workers]])
                time_ns, base_ns = map(float, statistics.medians_of([own, against]))
                compared.append({
                    "kind": kind, "runtime": runtime, "base": base, "workload": m.name, "size": m.size,
                    "workers": workers, "base_workers": workers, "blocks": of.blocks, "time_ns": time_ns,
                    "base_ns": base_ns, "times_as_fast": of.value, "low": of.low, "high": of.high, "p": of.p,
                    "margin": apart, "verdict": None if (runtime, base) == CONTROL else verdict})
            if kind == "program" and (runtime, base) != CONTROL:
                overall += means(of_pair, runtime, base)
    return compared, noise, overall


def means(of_pair, runtime, base):
    """The rows of `overall`: for each number of workers, and for all of them."""
    found = []
    counts = sorted({workers for _, workers, _ in of_pair})
    for wanted in (*counts, None):
        chosen = [(m.costs[base, workers], m.costs[runtime, workers]) for m, workers, _ in of_pair
                  if wanted in (None, workers)]
        mean = statistics.mean_times_as_fast(chosen)
        if mean:
            found.append({"runtime": runtime, "base": base, "workers": wanted, "comparisons": len(chosen),
                          "blocks": mean.blocks, "times_as_fast": mean.value, "low": mean.low, "high": mean.high})
    return found
