"""Counts of instructions: those of a session, and what two sessions differ by.

Of the runs of one workload the least counts, because what makes runs differ adds instructions: a look that came too early, a
check after a wait that took long. How far it may be from the least that is possible, the next one says: the gap between the two
of them. A difference between two sessions is one where it is larger than TIMES both gaps, and than ALWAYS.
"""
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass

from bench.run.store import StoreError, open_for_reading

TIMES = 2
ALWAYS = 0.002  # paths of other lengths and the numbers of processes make so much
FEWEST_RUNS = 3
KINDS = {"instructions": "all instructions", "own_instructions": "those in the extension's own code"}


@dataclass(frozen=True)
class Least:
    least: int
    runs: int
    gap: float  # to the second, as a share of the least
    spread: float  # to the largest


@dataclass(frozen=True)
class Difference:
    """change: 0.01 where B takes 1 % more than A; noise: what is no difference."""

    label: str
    of: str  # a key of KINDS
    a: Least
    b: Least

    @property
    def change(self):
        return self.b.least / self.a.least - 1

    @property
    def noise(self):
        return max(ALWAYS, TIMES * (self.a.gap + self.b.gap))

    @property
    def verdict(self):
        if min(self.a.runs, self.b.runs) < FEWEST_RUNS:
            return "too few runs"
        return "same" if abs(self.change) <= self.noise else "more" if self.change > 0 else "fewer"


def least(counts):
    low, *others = sorted(counts)
    return Least(low, len(counts), *(count / low - 1 for count in (others[:1] + others[-1:] or [low, low])))


def of_last_session(path):
    """{(workload, size, runtime, workers): {kind: Least}} of the last session that has counts; {} where none has."""
    with closing(open_for_reading(path)) as database:
        rows = database.execute("SELECT * FROM instruction_count WHERE session = (SELECT max(session) FROM instruction_count) "
                                "ORDER BY workload, size, runtime, workers, run").fetchall()
    found = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for kind in KINDS:
            found[tuple(row[key] for key in ("workload", "size", "runtime", "workers"))][kind].append(row[kind])
    return {key: {kind: least(counts) for kind, counts in by_kind.items() if min(counts)} for key, by_kind in found.items()}


def label(key):
    workload, size, runtime, workers = key
    return f"{workload} {size} {runtime} x{workers}"


def show(path):
    found = of_last_session(path)
    if not found:
        raise StoreError(f"{path}: there are no counts in it")
    print(f"{'':<46}{'instructions':>14}  spread{'in the extension':>18}  spread")
    for key, of in found.items():
        columns = "".join(f"{of[kind].least:>{width},}{of[kind].spread:>8.2%}" if kind in of else f"{'-':>{width}}{'':>8}"
                          for kind, width in zip(KINDS, (14, 18)))
        print(f"  {label(key):<44}{columns}".rstrip())


def differences(first, second):
    """What both databases have counts of."""
    a, b = of_last_session(first), of_last_session(second)
    return [Difference(label(key), kind, a[key][kind], b[key][kind]) for kind in KINDS for key in a
            if key in b and kind in a[key] and kind in b[key]]


def print_differences(found):
    for kind, words in KINDS.items():
        rows = [of for of in found if of.of == kind]
        if not rows:
            continue
        print(f"\ninstructions of B over those of A, {words}; noise: as runs differ")
        for of in rows:
            print(f"  {of.label:<46}{of.a.least:>13,}{of.b.least:>13,}{of.change:>+9.2%}  noise {of.noise:>5.2%}  {of.verdict}")
        verdicts = [of.verdict for of in rows]
        print("  " + ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts)))


def exit_code(found, most):
    """1 where something surely takes a larger share more than `most`."""
    return int(most is not None and any(of.verdict == "more" and of.change > most for of in found))
