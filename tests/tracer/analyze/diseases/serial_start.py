"""The program alone makes the input, for most of the time, before its first fork. Cure: each worker makes its own part."""
import sys

import snakefish


def prepare(n):
    return sum(i * i % 7 for i in range(n))


def work(n):
    return sum(i * i % 7 for i in range(n))


if "cured" in sys.argv:
    print(sum(snakefish.map(prepare, [2_000_000] * 4, 2, 1)) + sum(snakefish.map(work, [400_000] * 4, 2, 1)))
else:
    print(prepare(8_000_000) + sum(snakefish.map(work, [400_000] * 4, 2, 1)))
