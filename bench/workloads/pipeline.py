"""pipeline: three stages, each a process of its own: draws numbers, follows their Collatz chains, sums them up

A stage is a generator that takes from the one before it; with snakefish three Generators with two Channels between
them. Its speed is that of the slowest stage, the second; the number of workers is three, whoever runs it.
"""
from collections import Counter
from zlib import crc32

size = 200
check_size = 4
unit = "batches of 500 numbers"
seconds = 0.6
needs = "pipeline"
fixed_workers = 3

BATCH = 500
BATCHES_A_LINE = 20
A, C, M = 1103515245, 12345, 1 << 31
HIGHEST = 100_000


def growth(size):
    return size


def draw(size):
    """Batches of numbers from a linear congruential generator, several steps for each."""
    x = 42
    for _ in range(size):
        batch = []
        for _ in range(BATCH):
            for _ in range(20):
                x = (A * x + C) % M
            batch.append(x % HIGHEST + 1)
        yield batch


def follow(batches):
    """The chain's length of each number."""
    for batch in batches:
        lengths = []
        for n in batch:
            length = 1
            while n != 1:
                n = 3 * n + 1 if n & 1 else n >> 1
                length += 1
            lengths.append(length)
        yield lengths


def sum_up(batches):
    """A line for every few batches and one at the end: how many numbers, the most frequent length, a check sum."""
    counts, checksum = Counter(), 0
    for k, lengths in enumerate(batches, 1):
        counts.update(lengths)
        for length in lengths:
            checksum = crc32(b"%d " % length, checksum)
        if k % BATCHES_A_LINE == 0:
            yield line(counts, checksum)
    yield line(counts, checksum)


def line(counts, checksum):
    length, times = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return b"%d numbers, %d times %d, %08x\n" % (sum(counts.values()), times, length, checksum)


def program(size, workers, pipeline):
    with pipeline(draw, (size,), (follow, sum_up)) as lines:
        return b"".join(lines)
