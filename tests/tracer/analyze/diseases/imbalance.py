"""Two chunks, of which one has all the work. Cure: no chunksize."""
import sys

import snakefish


def work(i):
    return sum(k * k % 7 for k in range(i * 3000))


print(sum(snakefish.map(work, range(100), 2, *([] if "cured" in sys.argv else [95]))))
