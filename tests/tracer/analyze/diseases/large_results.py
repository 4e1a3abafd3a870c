"""Each argument's result is a list of half a million numbers, of which the program needs the sum. Cure: return the sum."""
import sys

import snakefish

CURED = "cured" in sys.argv


def numbers(i):
    result = list(map(float, range(i, i + 500_000)))
    return sum(result) if CURED else result


print(sum(r if CURED else sum(r) for r in snakefish.map(numbers, range(10), 2, 1)))
