"""What a run will do: its cells, their order in each block, and how long that takes."""
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Optional

START_S = 0.08  # an interpreter's start, imports and exit
MARGIN = 0.03  # a ratio nearer to 1 than this makes no practical difference
WEAK_RUNTIMES = ("sequential", "snakefish", "multiprocessing")
WEAK_TOLERANCE = 0.02  # of the work that each worker gets in the weak series
OURS = "snakefish"
CONTROL = "snakefish-again"  # it is compared with OURS too
EXECUTOR = "snakefish-executor"
REFERENCES = ("sequential", "ceiling", "floor")


@dataclass(frozen=True, order=True)
class Cell:
    """One combination that is measured once in each of its blocks."""

    workload: str
    size: int
    runtime: str
    workers: int
    series: str = field(default="strong", compare=False)  # strong | weak | both | sweep
    work: float = field(default=1.0, compare=False)  # against the size in the strong series
    blocks: Optional[int] = field(default=None, compare=False)  # it is in so many, from the first on; None: in all

    def __str__(self):
        return f"{self.workload} {self.size} {self.runtime} x{self.workers}"


def worker_counts(cpus):
    """From 1 to twice the CPUs: all numbers on a small machine, else powers of two and some near the number of CPUs."""
    if cpus <= 4:
        return list(range(1, 2 * cpus + 1))
    powers = [1 << k for k in range(cpus.bit_length()) if 1 << k < cpus]
    return sorted({*powers, 3, cpus * 3 // 4, cpus, cpus * 3 // 2, cpus * 2})


def cells(workload, runtimes, workers, size, cpus, weak=False):
    """Every combination of a workload with these runtimes and workers, in a fixed order; weak: with the weak series.

    Without a size, the workload's own, or all of its sweep."""
    series = "strong" if size or not workload.sweep else "sweep"
    found = {}
    for runtime in (r for r in runtimes if workload.runs_on(r)):
        for n in workload.worker_counts(runtime, workers, cpus):
            for at in [size] if size else workload.sweep or [workload.size]:
                cell = Cell(workload.name, at, runtime.name, n, series)
                found[cell] = cell
    if weak and series == "strong":
        for cell in list(found.values()):
            at, work = weak_size(workload, cell.size, cell.workers)
            if at is not None and cell.runtime in WEAK_RUNTIMES and not hasattr(workload.module, "fixed_workers"):
                series = "both" if at == cell.size else "weak"
                grown = Cell(cell.workload, at, cell.runtime, cell.workers, series, work)
                found[grown] = grown
    return list(found.values())


def weak_size(workload, size, workers):
    """The size with `workers` times the work, and its exact multiple of the work; (None, None) where no size comes near."""
    growth = getattr(workload.module, "growth", None)
    if growth is None:
        return None, None
    wanted, low, high = workers * growth(size), size, size * workers + 1
    while low < high:  # bisection for the smallest size with that much work
        middle = (low + high) // 2
        low, high = (low, middle) if growth(middle) >= wanted else (middle + 1, high)
    best = min((low - 1, low), key=lambda n: abs(growth(n) - wanted) if n >= size else wanted)
    near = abs(growth(best) / wanted - 1) <= WEAK_TOLERANCE
    return (best, growth(best) / growth(size)) if near else (None, None)


def is_rival(runtime):
    """Whether that runtime is another library's, which snakefish is to be faster than."""
    return runtime not in REFERENCES and not runtime.startswith(OURS)


def is_compared(runtime):
    """Whether a verdict needs that runtime."""
    return is_rival(runtime) or runtime in (OURS, CONTROL, EXECUTOR)


def block(cells, seed, number):
    """The cells of that block in their order, which depends on the arguments only.

    The runtimes of one workload, size and number of workers are next to each other, because what disturbs the machine for a
    while then disturbs both sides of a ratio. These groups are in random order, and so is each of them."""
    draw = random.Random(f"{seed}/{number}")
    groups = defaultdict(list)
    for cell in sorted(cells):
        if cell.blocks is None or number < cell.blocks:
            groups[cell.workload, cell.size, cell.workers].append(cell)
    order = list(groups.values())
    draw.shuffle(order)
    return [cell for group in order for cell in side_by_side(group, draw)]


def side_by_side(group, draw):
    """The cells of a group in random order, but with snakefish in the middle of those that it is compared with for a verdict:
    so each of these pairs is as near to each other as can be, and either of the two is the first as often as not."""
    draw.shuffle(group)
    own = [cell for cell in group if cell.runtime == OURS]
    near = [cell for cell in group if is_compared(cell.runtime) and cell not in own]
    others = [cell for cell in group if cell not in own and cell not in near]
    middle = (len(near) + draw.randrange(2)) // 2
    near[middle:middle] = own
    at = draw.randrange(len(others) + 1)
    return [*others[:at], *near, *others[at:]]


def guess_s(cell, workload, cpus):
    """How many seconds a sample takes, before any was measured. Assumes ideal scaling, so it is a lower bound."""
    if workload.kind == "micro":
        return START_S + workload.module.seconds * cell.size / (max(workload.sweep) if workload.sweep else workload.size)
    growth = getattr(workload.module, "growth", lambda size: size)
    region = workload.module.seconds * growth(cell.size) / growth(workload.size)
    if cell.runtime == "ceiling":
        return START_S + region * max(1, cell.workers / cpus)
    return START_S + region / min(cell.workers, cpus)


class Estimate:
    """How many seconds the run still takes: first from guesses, then from what was measured."""

    def __init__(self, cells, blocks, guess, once_more=()):
        """once_more: the cells that run again after the blocks, for their memory, which takes longer than a sample."""
        self.guess_of, self.guess = guess, {cell: guess(cell) for cell in cells}
        self.left = {cell: cell.blocks or blocks for cell in cells}
        self.seen = {}  # cell: [samples, seconds]
        self.once_more = set(once_more)
        self.taken_s, self.expected_s = 0.0, 0.0  # by those that were run once more

    def more(self, cell):
        """Adds one run of the cell, outside of the blocks."""
        self.guess.setdefault(cell, self.guess_of(cell))
        self.left[cell] = self.left.get(cell, 0) + 1

    def skip(self, cell):
        """Takes off one run of the cell, of which no time is known."""
        self.left[cell] = max(0, self.left[cell] - 1)  # it is 0 already where the cell was given up

    def skip_once_more(self, cell):
        self.once_more.discard(cell)

    def give_up(self, cell):
        """Takes off all runs of the cell: each would take the whole limit."""
        self.left[cell] = 0
        self.once_more.discard(cell)

    def no_more_blocks(self):
        """Only what is run once more is left."""
        self.left = dict.fromkeys(self.left, 0)

    def add(self, cell, seconds):
        self.skip(cell)
        seen = self.seen.setdefault(cell, [0, 0.0])
        seen[0] += 1
        seen[1] += seconds

    def add_once_more(self, cell, seconds):
        self.once_more.discard(cell)
        self.taken_s += seconds
        self.expected_s += self._costs()[cell]

    def left_s(self):
        costs = self._costs()
        pace = self.taken_s / self.expected_s if self.expected_s else 1.0
        return sum(n * costs[cell] for cell, n in self.left.items()) + pace * sum(costs[cell] for cell in self.once_more)

    def block_s(self, cells):
        """How many seconds a block of these cells takes."""
        costs = self._costs()
        return sum(costs[cell] for cell in cells if self.left[cell])

    def _costs(self):
        """How many seconds a sample of each cell takes in the blocks."""
        guessed = sum(self.guess[cell] for cell in self.seen)
        means = {cell: seconds / n for cell, (n, seconds) in self.seen.items()}
        scale = sum(means.values()) / guessed if guessed else 1.0  # how much slower this machine is than guessed
        return {cell: means.get(cell, scale * guess) for cell, guess in self.guess.items()}
