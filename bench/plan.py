"""What a run will do: its cells, their order in each block, and how long that takes."""
import random
from dataclasses import dataclass

START_S = 0.08  # an interpreter's start, imports and exit


@dataclass(frozen=True, order=True)
class Cell:
    """One combination that is measured, once in each block."""

    workload: str
    size: int
    runtime: str
    workers: int

    def __str__(self):
        return f"{self.workload} {self.size} {self.runtime} x{self.workers}"


def worker_counts(cpus):
    """From 1 to twice the CPUs: all of them on a small machine, else powers of two and what is around the CPUs."""
    if cpus <= 4:
        return list(range(1, 2 * cpus + 1))
    powers = [1 << k for k in range(cpus.bit_length()) if 1 << k < cpus]
    return sorted({*powers, 3, cpus * 3 // 4, cpus, cpus * 3 // 2, cpus * 2})


def cells(workloads, runtimes, workers, size_of, cpus):
    """Every combination that makes sense, in a fixed order; size_of(workload) -> size."""
    return [Cell(workload.name, size_of(workload), runtime.name, n)
            for workload in workloads for runtime in runtimes if workload.runs_on(runtime)
            for n in workload.worker_counts(runtime, workers, cpus)]


def block(cells, seed, number):
    """The cells in the order of that block: a function of the arguments alone."""
    order = sorted(cells)
    random.Random(f"{seed}/{number}").shuffle(order)
    return order


def guess_s(cell, workload, cpus):
    """Seconds that a sample of this cell takes, before any was measured; ideal scaling, as a bound from below."""
    if workload.kind == "micro":
        return START_S + workload.module.seconds * cell.size / workload.size
    growth = getattr(workload.module, "growth", lambda size: size)
    region = workload.module.seconds * growth(cell.size) / growth(workload.size)
    if cell.runtime == "ceiling":
        return START_S + region * max(1, cell.workers / cpus)
    return START_S + region / min(cell.workers, cpus)


class Estimate:
    """Seconds still to go, from the guesses at first, from the measured as they come in."""

    def __init__(self, cells, blocks, guess):
        self.guess = {cell: guess(cell) for cell in cells}
        self.left = {cell: blocks for cell in cells}
        self.seen = {}  # cell: [samples, seconds]

    def add(self, cell, seconds):
        self.left[cell] -= 1
        seen = self.seen.setdefault(cell, [0, 0.0])
        seen[0] += 1
        seen[1] += seconds

    def left_s(self):
        guessed = sum(self.guess[cell] for cell in self.seen)
        measured = sum(seconds / n for n, seconds in self.seen.values())
        scale = measured / guessed if guessed else 1.0  # the machine against the one that the guesses are from
        return sum(n * (self.seen[cell][1] / self.seen[cell][0] if cell in self.seen else scale * self.guess[cell])
                   for cell, n in self.left.items())
