"""The parent's merge does all the work, one task after the other. Cure: the tasks do it."""
import sys

import snakefish

total = 0
CURED = "cured" in sys.argv


def work(n):
    return sum(k * k % 7 for k in range(n))


def task(i):
    global found
    found = work(1_500_000) if CURED else i


def merge(g, value):
    g["total"] += value if CURED else work(1_500_000)


threads = [snakefish.Thread(task, lambda g: g["found"], merge, args=(i,)) for i in range(12)]
for a, b in zip(threads[::2], threads[1::2]):
    a.start(), b.start()
    a.join(), b.join()
print(total)
