"""fasta: writes three DNA sequences, one copied and two drawn by a linear congruential generator

Of the Benchmarks Game. One map over runs of whole lines; each task's random numbers begin where those before it end,
which is computed, not drawn. Text comes back: ten bytes for each unit of the size.
"""
import os
import tempfile
from bisect import bisect_right
from itertools import accumulate

from bench.support.congruential import state_after

size = 400_000
check_size = 1000
official = 25_000_000
check_sha256 = "62d1e8d0df7938d2aefda9a37887e0389231ea72c099c29a51afb6edca1bdc73"
unit = "letters, twice, three and five times"
seconds = 0.5
same_tasks = True

WIDTH = 60
SEED, A, C, M = 42, 3877, 29573, 139968
CHUNKS = 64

ALU = ("GGCCGGGCGCGGTGGCTCACGCCTGTAATCCCAGCACTTTGGGAGGCCGAGGCGGGCGGATCACCTGAGGTCAGGAGTTCGAGACCAGCCTGGCCAACATGGTGAAA"
       "CCCCGTCTCTACTAAAAATACAAAAATTAGCCGGGCGTGGTGGCGCGCGCCTGTAATCCCAGCTACTCGGGAGGCTGAGGCAGGAGAATCGCTTGAACCCGGGAGGCG"
       "GAGGTTGCAGTGAGCCGAGATCGCGCCACTGCACTCCAGCCTGGGCGACAGAGCGAGACTCCGTCTCAAAAA")
IUB = ("acgtBDHKMNRSVWY", [0.27, 0.12, 0.12, 0.27] + 11 * [0.02])
HOMO_SAPIENS = ("acgt", [0.3029549426680, 0.1979883004921, 0.1975473066391, 0.3015094502008])
# Header, letters for each unit of the size, what they are drawn from (None: copied); in the order of the random numbers.
SEQUENCES = ((">ONE Homo sapiens alu", 2, None), (">TWO IUB ambiguity codes", 3, IUB),
             (">THREE Homo sapiens frequency", 5, HOMO_SAPIENS))


def growth(size):
    return size


def tasks(size, workers):
    """(sequence, first letter, letters): whole lines, all but the last of a sequence."""
    step = max(1, 10 * size // CHUNKS // WIDTH) * WIDTH
    return [(k, first, min(step, times * size - first), size) for k, (_, times, _) in enumerate(SEQUENCES)
            for first in range(0, times * size, step)]


def chunksize(size, workers):
    return 1


def drawn(letters, weights, state, count):
    bounds = list(accumulate(weights))[:-1]  # the last one is 1, but for rounding
    text = []
    for _ in range(count):
        state = (state * A + C) % M
        text.append(letters[bisect_right(bounds, state / M)])
    return "".join(text)


def work(task):
    """Those letters in lines, the sequence's header before its first."""
    k, first, count, size = task
    header, _, frequencies = SEQUENCES[k]
    if frequencies is None:
        at = first % len(ALU)
        text = (ALU * (count // len(ALU) + 2))[at:at + count]
    else:
        before = sum(times * size for _, times, random in SEQUENCES[:k] if random)
        text = drawn(*frequencies, state_after(before + first, SEED, A, C, M), count)
    lines = [text[at:at + WIDTH] for at in range(0, count, WIDTH)]
    if first == 0:
        lines.insert(0, header)
    return ("\n".join(lines) + "\n").encode()


def combine(size, results):
    return b"".join(results)


def file_of(size):
    """The input of k-nucleotide and regex-redux. A run gives its samples a TMPDIR of its own, and removes it at its end."""
    return os.path.join(tempfile.gettempdir(), f"fasta-{size}.txt")


def make_file(size):
    """Writes the output of that size into its file, once for all samples of a run."""
    if os.path.exists(file_of(size)):
        return
    with tempfile.NamedTemporaryFile(dir=tempfile.gettempdir(), delete=False) as file:
        file.write(combine(size, [work(task) for task in tasks(size, 1)]))
    os.replace(file.name, file_of(size))  # whole, or not at all


def read_file(size):
    with open(file_of(size), encoding="ascii") as file:
        return file.read()
