"""24 workers, of which each first makes a table that its tasks share. Cure: as many workers as CPUs."""
import sys

import snakefish

table = []


def work(i):
    if not table:
        table.extend(k * k % 7 for k in range(700_000))
    return sum(table[i * 1000:i * 1000 + 60_000])


print(sum(snakefish.map(work, range(96), 2 if "cured" in sys.argv else 24, 1)))
