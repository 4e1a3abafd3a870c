"""monte-carlo: estimates pi by throwing darts, counting in globals; each worker's counts are merged

As little state as a program can have: two numbers come back for each chunk. Every task costs the same.
"""
import random

size = 60
check_size = 4
unit = "times 100,000 darts"
seconds = 0.6
needs = "fold"

DARTS = 100_000

thrown = hits = 0
share = ["thrown", "hits"]


def growth(size):
    return size


def begin(carried):
    global thrown, hits
    thrown = hits = 0


def work(seed):
    global thrown, hits
    draw = random.Random(seed).random
    for _ in range(DARTS):
        x, y = draw(), draw()
        hits += x * x + y * y <= 1.0
    thrown += DARTS


def extract(g):
    return g["thrown"], g["hits"]


def merge(g, extracted):
    g["thrown"] += extracted[0]
    g["hits"] += extracted[1]


def program(size, workers, fold):
    fold(work, list(range(size)))
    return b"%d of %d: pi is about %.6f\n" % (hits, thrown, 4 * hits / thrown)
