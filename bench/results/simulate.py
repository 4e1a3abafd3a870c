"""`python3 -m bench simulate`: sessions whose truth is known, judged as real ones are. How often are they wrong, how often does
an interval hold the truth, and how small a difference do they find?

The noise is one of two kinds. Made up: each sample has noise of its own with heavy tails (Student's t of 4 degrees), and a part
that drifts and is alike in samples near to each other. Recorded: the differences within the pairs of real sessions, less their
mean, each with a random sign, so that nothing differs in truth.
"""
from dataclasses import dataclass

import numpy

from bench.results import comparisons, samples, statistics
from bench.run import plan
from bench.run.store import StoreError, open_for_reading

PROGRAMS = 7
WORKERS = (1, 2)
CONTEXT = (("sequential", 1), ("snakefish-traced", 2), ("ceiling", 2), (plan.CONTROL, 2))  # what runs besides the pairs
TAIL_DF = 4
MORE = 10  # blocks by which somebody goes on with a session that has not decided everything


@dataclass(frozen=True)
class Noise:
    """Of one sample: the standard deviation of its logarithm, by the number of workers."""

    name: str
    sd: tuple  # in the order of WORKERS
    drifts: float = 1 / 3  # this share of the variance drifts
    memory: float = 40.0  # so many samples later it is another


# As measured on a shared virtual machine, samples of half a second: 2 s and 60 s apart their logarithms differ by 0.091 and by
# 0.112.
BUSY = Noise("busy", (0.061, 0.115))
QUIET = Noise("quiet", (0.061 / 3, 0.115 / 3))


@dataclass(frozen=True)
class Method:
    name: str
    blocks: int
    pooled: bool
    side_by_side: bool


METHODS = (Method("t on paired log ratios, Holm", 6, False, False), Method("+ pooled variances", 6, True, False),
           Method("+ pairs side by side", 6, True, True), Method("+ 10 blocks", 10, True, True))
OURS = METHODS[-1]


def cells():
    runtimes = [(name, n) for name in (plan.OURS, "multiprocessing") for n in WORKERS] + list(CONTEXT)
    return [plan.Cell(f"p{k}", 1, name, n) for k in range(PROGRAMS) for name, n in runtimes]


def made_up(draw, noise, blocks, side_by_side):
    """{(program, workers): log ratio of each block} of a session in which nothing differs."""
    all_cells, order = cells(), []
    seed = draw.randint(1 << 31)
    for number in range(blocks):
        if side_by_side:
            order += plan.block(all_cells, seed, number)
        else:
            order += [all_cells[k] for k in draw.permutation(len(all_cells))]
    own = draw.standard_t(TAIL_DF, len(order)) / numpy.sqrt(TAIL_DF / (TAIL_DF - 2))
    mixed = numpy.sqrt(1 - noise.drifts) * own + numpy.sqrt(noise.drifts) * drift(draw, len(order), noise.memory)
    times = {}  # {(program, workers): {runtime: [log of time]}}
    for cell, at in zip(order, mixed):
        sd = noise.sd[WORKERS.index(cell.workers)]
        times.setdefault((cell.workload, cell.workers), {}).setdefault(cell.runtime, []).append(sd * at)
    return {key: numpy.subtract(of["multiprocessing"], of[plan.OURS]) for key, of in times.items()}


def drift(draw, count, memory):
    """Numbers of variance 1, each near to the one before it."""
    keeps = numpy.exp(-1 / memory)
    steps, found = draw.normal(size=count), numpy.empty(count)
    found[0] = steps[0]
    for k in range(1, count):
        found[k] = keeps * found[k - 1] + numpy.sqrt(1 - keeps ** 2) * steps[k]
    return found


def recorded(paths):
    """{(workload, workers, runtime, base, path): log ratios, less their mean} of the programs in those databases."""
    found = {}
    for path in paths:
        database = open_for_reading(path)
        try:
            measured = samples.measured(database, samples.session(database, path)["id"])
        finally:
            database.close()
        for pair in (*comparisons.pairs(measured, "program"), comparisons.CONTROL):
            for m, workers, logs in comparisons.of_pair(measured, *pair, "program"):
                if len(logs) >= OURS.blocks:
                    found[m.name, workers, *pair, str(path)] = logs - logs.mean()
    if not found:
        raise StoreError(f"{', '.join(map(str, paths))}: no two runtimes of a program have {OURS.blocks} blocks in common")
    return found


def drawn(draw, noise, blocks):
    """Such a session, of recorded noise. Where a path has several pairs of one program, the session has all of them."""
    return {key: draw.choice(logs, blocks) * draw.choice((-1, 1), blocks) for key, logs in noise.items()}


def judged(session, pooled):
    """{key: Estimate} of a session."""
    priors = {}
    if pooled:
        for workers in {key[1] for key in session}:
            priors[workers] = statistics.prior([logs for key, logs in session.items() if key[1] == workers])
    return {key: statistics.of_logs(logs, priors.get(key[1])) for key, logs in session.items()}


def wrong(session, pooled):
    """Whether a session in which nothing differs calls anything a difference."""
    called = statistics.verdicts(list(judged(session, pooled).values()))
    return statistics.FASTER in called or statistics.SLOWER in called


def smallest(of, family):
    """By how much one program must differ to be called so in this session, if all others do not: how far its logarithm is
    from where a verdict begins."""
    reach = statistics.student(1 - (1 - statistics.LEVEL) / 2 / family, of.df) * of.sd / numpy.sqrt(of.blocks)
    return reach - numpy.log(of.value)


@dataclass
class Found:
    """What many sessions of one kind came to. finds: {workers: the smallest difference that is found with 80 % power}."""

    sessions: int
    wrong: float
    covered: float
    finds: dict


def many(make, pooled, sessions):
    """make: a function without arguments that returns a session."""
    bad = holds = total = 0
    differences = {}
    for _ in range(sessions):
        session = make()
        estimates = judged(session, pooled)
        called = statistics.verdicts(list(estimates.values()))
        bad += statistics.FASTER in called or statistics.SLOWER in called
        for key, of in estimates.items():
            holds += of.low <= 1 <= of.high
            total += 1
            differences.setdefault(key[1], []).append(smallest(of, len(estimates)))
    finds = {workers: float(numpy.expm1(numpy.quantile(logs, statistics.POWER))) for workers, logs in differences.items()}
    return Found(sessions, bad / sessions, holds / total, finds)


def gone_on_with(draw, noise, method, sessions):
    """Of sessions in which nothing differs, and that get MORE blocks where anything is undecided: the share that calls something
    a difference at the end, and the share that does so then or before."""
    at_end = ever = 0
    for _ in range(sessions):
        whole = made_up(draw, noise, method.blocks + MORE, method.side_by_side)
        first = {key: logs[:method.blocks] for key, logs in whole.items()}
        called = statistics.verdicts(list(judged(first, method.pooled).values()))
        before = wrong(first, method.pooled)
        after = wrong(whole, method.pooled) if statistics.OPEN in called else before
        at_end += after
        ever += before or after
    return at_end / sessions, ever / sessions


def simulate(paths, sessions, seed=1):
    """Prints all of it; returns the exit code."""
    def line(name, of):
        sizes = " / ".join(f"{of.finds[workers]:.1%}" for workers in sorted(of.finds))
        print(f"  {name:<34}{sizes:>18}{of.wrong:>9.1%}{of.covered:>11.1%}", flush=True)

    print(f"{sessions} sessions a row in which nothing differs; wrong: any verdict of faster or slower\n"
          f"  {'':<34}{'finds, 1 / 2 workers':>18}{'wrong':>7}{'covered':>11}")
    for noise in (BUSY, QUIET):
        print(f"noise of a {noise.name} machine, {PROGRAMS * len(WORKERS)} comparisons")
        for method in METHODS:
            draw = numpy.random.RandomState(seed)
            line(method.name, many(lambda: made_up(draw, noise, method.blocks, method.side_by_side), method.pooled, sessions))
    at_end, ever = gone_on_with(numpy.random.RandomState(seed), BUSY, OURS, sessions)
    print(f"busy, gone on with by {MORE} blocks: {at_end:.1%} wrong at the end, {ever:.1%} then or before")
    if paths:
        noise, draw = recorded(paths), numpy.random.RandomState(seed)
        print(f"recorded noise, {len(noise)} comparisons")
        line("t on paired log ratios, Holm", many(lambda: drawn(draw, noise, OURS.blocks), False, sessions))
        line("+ pooled variances", many(lambda: drawn(draw, noise, OURS.blocks), True, sessions))
    return 0
