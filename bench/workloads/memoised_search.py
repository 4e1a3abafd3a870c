"""memoised-search: the longest Collatz chain that begins below N, with a cache; workers' caches are merged

What one worker has found helps the others, but has to be sent: after each of a few rounds the caches
are merged, and the next round's workers begin with all of it. Large dictionaries go both ways.
"""
from itertools import islice

size = 300_000
check_size = 10_000
check_output = b"6171: 262 terms\n"
unit = "numbers"
seconds = 0.3
needs = "fold"

ROUNDS = 4
CHUNKS = 32

cache = {1: 1}  # number: terms of its chain
share = {"cache": "either"}
known = 1  # how many of them a chunk began with


def growth(size):
    return size


def carry():
    """What a chunk begins with."""
    return cache


def begin(carried):
    global known
    cache.clear()
    cache.update(carried or {1: 1})
    known = len(cache)


def work(task):
    """Caches the terms of every number from first to end - 1, and of those below the limit on the way."""
    first, end, limit = task
    for start in range(first, end):
        passed = []
        n = start
        while n not in cache:
            passed.append(n)
            n = 3 * n + 1 if n & 1 else n >> 1
        terms = cache[n]
        for n in reversed(passed):
            terms += 1
            if n < limit:
                cache[n] = terms


def extract(g):
    """What is new: it was added last."""
    return dict(islice(g["cache"].items(), g["known"], None))


def merge(g, extracted):
    g["cache"].update(extracted)


def program(size, workers, fold):
    global known
    bounds = [1 + (size - 1) * k // CHUNKS for k in range(CHUNKS + 1)]
    tasks = [(first, end, size) for first, end in zip(bounds, bounds[1:])]
    for k in range(ROUNDS):
        known = len(cache)
        fold(work, tasks[k * CHUNKS // ROUNDS:(k + 1) * CHUNKS // ROUNDS])
    best = max(range(1, size), key=cache.__getitem__)
    return b"%d: %d terms\n" % (best, cache[best])
