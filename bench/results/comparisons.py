"""Which runtimes of a session are compared, which comparisons get a verdict, and the rows of the tables `comparison`, `noise`
and `overall`.

A verdict is on snakefish, and on its executor, against the fastest of the other libraries, with one worker and with as many as
there are CPUs. All verdicts on programs are one family, all on micro-benchmarks another: the more verdicts, the more each of
them needs. All else is compared without one.
"""
from collections import defaultdict

from bench.results import statistics
from bench.results.samples import strong
from bench.run.plan import CONTROL as AGAIN
from bench.run.plan import EXECUTOR, OURS, is_rival

# (runtime, base)
COMPARED = ((OURS, "multiprocessing"), ("snakefish-traced", OURS), ("snakefish-own", "multiprocessing-published"),
            (OURS, "snakefish-by-hand"))
CONTROL = (AGAIN, OURS)
KINDS = ("program", "micro")


def pairs(all_measured, kind):
    """What is compared: (runtime, base)."""
    rivals = sorted({runtime for m in all_measured if m.kind == kind for runtime, _ in m.costs if is_rival(runtime)})
    return list(dict.fromkeys([*COMPARED, *((runtime, base) for runtime in (OURS, EXECUTOR) for base in rivals)]))


def of_pair(all_measured, runtime, base, kind):
    """(Measured, workers, log ratios) of every workload of the strong series that both ran with as many workers."""
    found = []
    for m in strong(all_measured):
        for (name, workers), by_block in sorted(m.costs.items()) if m.kind == kind else ():
            if name == runtime:
                logs = statistics.log_ratios(m.costs.get((base, workers), {}), by_block)
                if len(logs):
                    found.append((m, workers, logs))
    return found


def priors(all_measured):
    """{(kind, workers): Prior} of all that is compared there."""
    logs_at = defaultdict(list)
    for kind in KINDS:
        for pair in (*pairs(all_measured, kind), CONTROL):
            for _, workers, logs in of_pair(all_measured, *pair, kind):
                logs_at[kind, workers].append(logs)
    return {at: statistics.prior(logs) for at, logs in logs_at.items()}


def judged_counts(counts, cpus):
    """The numbers of workers at which there are verdicts: one, and as many as there are CPUs, or the nearest to it."""
    counts = sorted(counts)
    within = [n for n in counts if n <= cpus]
    return {*counts[:counts[0] == 1], within[-1] if within else counts[0]}


def judged(all_measured, cpus):
    """{(runtime, base, workload, size, workers)} of what gets a verdict."""
    found = set()
    for m in strong(all_measured):
        for runtime in (OURS, EXECUTOR):
            counts = {workers for name, workers in m.costs if name == runtime}
            for workers in judged_counts(counts, cpus) if counts else ():
                base = fastest_rival(m, runtime, workers)
                if base:
                    found.add((runtime, base, m.name, m.size, workers))
    return found


def fastest_rival(m, runtime, workers):
    """Among those that have a block in common with that runtime; None without one."""
    own = m.costs[runtime, workers]
    times = [(statistics.geometric_means([by_block.values()])[0], name) for (name, count), by_block in m.costs.items()
             if count == workers and is_rival(name) and by_block.keys() & own.keys()]
    return min(times)[1] if times else None


def rows(all_measured, margin, cpus=None):
    """The rows of `comparison`, `noise` and `overall`, as dicts. cpus: how many the machine has; None: unknown."""
    compared, noise, overall = [], [], []
    known, found = priors(all_measured), {}
    for kind in KINDS:
        for pair in (*pairs(all_measured, kind), CONTROL):
            for m, workers, logs in of_pair(all_measured, *pair, kind):
                found[kind, *pair, m.name, m.size, workers] = m, statistics.of_logs(logs, known[kind, workers])
    most = max((workers for *_, workers in found), default=1)
    wanted = judged(all_measured, cpus or most)
    for kind in KINDS:
        of_kind = {key[1:]: value for key, value in found.items() if key[0] == kind}
        family = [key for key in of_kind if key in wanted]
        called = dict(zip(family, statistics.verdicts([of_kind[key][1] for key in family], margin)))
        controls = [of for key, (_, of) in of_kind.items() if key[:2] == CONTROL]
        noise.append(noise_row(kind, controls, margin))
        for key, (m, of) in of_kind.items():
            compared.append(comparison(kind, key, m, of, margin, called.get(key), len(family)))
        if kind == "program":
            for pair in pairs(all_measured, kind):
                overall += means(of_kind, *pair)
    return compared, noise, overall


def noise_row(kind, controls, margin):
    called = statistics.verdicts(controls, margin)
    return {"kind": kind, "comparisons": len(controls), "margin": margin,
            "largest": max((statistics.distance(of.value) for of in controls), default=None),
            "different": sum(verdict in (statistics.FASTER, statistics.SLOWER) for verdict in called)}


def comparison(kind, key, m, of, margin, verdict, family):
    runtime, base, workload, size, workers = key
    time_ns, base_ns = statistics.geometric_means(statistics.paired([m.costs[runtime, workers], m.costs[base, workers]]))
    family = family if verdict else None
    needed = statistics.blocks_needed(of, family, margin) if verdict == statistics.OPEN else None
    return {"kind": kind, "runtime": runtime, "base": base, "workload": workload, "size": size, "workers": workers,
            "base_workers": workers, "blocks": of.blocks, "time_ns": time_ns, "base_ns": base_ns, "times_as_fast": of.value,
            "low": of.low, "high": of.high, "p": of.p, "margin": margin, "verdict": verdict, "family": family,
            "detectable": statistics.detectable(of, family or 1), "more_blocks": needed and needed - of.blocks}


def means(of_kind, runtime, base):
    """The rows of `overall`: for each number of workers, and for all of them."""
    at = [(m, key[-1]) for key, (m, _) in of_kind.items() if key[:2] == (runtime, base)]
    found = []
    for wanted in (*sorted({workers for _, workers in at}), None):
        chosen = [(m.costs[base, workers], m.costs[runtime, workers]) for m, workers in at if wanted in (None, workers)]
        mean = statistics.mean_times_as_fast(chosen)
        if mean:
            found.append({"runtime": runtime, "base": base, "workers": wanted, "comparisons": len(chosen),
                          "blocks": mean.blocks, "times_as_fast": mean.value, "low": mean.low, "high": mean.high})
    return found
