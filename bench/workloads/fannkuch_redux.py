"""fannkuch-redux: flips pancakes, for every order in which N of them can lie

Of the Benchmarks Game. One map over blocks of consecutive permutations; a block is found by its number and costs about
what every other does; two numbers come back.
"""
from math import factorial

size = 9
check_size = 7
counted = 6
official = 12
check_output = b"228\nPfannkuchen(7) = 16\n"
unit = "pancakes"
seconds = 0.45
same_tasks = True

FEWEST_BLOCKS = 60


def growth(size):
    return size * factorial(size)


def block_length(size):
    """A factorial, so that the blocks differ in their first places only; even, so that each begins with a plus."""
    k = size
    while k > 2 and factorial(size) // factorial(k) < FEWEST_BLOCKS:
        k -= 1
    return factorial(k)


def tasks(size, workers):
    length = block_length(size)
    return [(size, first, min(length, factorial(size) - first)) for first in range(0, factorial(size), length)]


def chunksize(size, workers):
    return 1


def permutation(n, number):
    """The permutation of that number, and how often each of its heads has been rotated: digits to base k + 1.

    The order of the benchmark's definition: rotating the first two, the first three and so on, as an odometer counts."""
    p, turns = list(range(n)), [0] * n
    for k in range(n - 1, 0, -1):
        turns[k], number = divmod(number, factorial(k))
        p[:k + 1] = p[turns[k]:k + 1] + p[:turns[k]]
    return p, turns


def flips(p):
    """Reversing as many as the first one says, until a 0 is first."""
    p = p[:]
    count = 0
    while first := p[0]:
        p[:first + 1] = p[first::-1]
        count += 1
    return count


def work(task):
    """(checksum, most flips) of so many permutations from that number on."""
    n, number, count = task
    p, turns = permutation(n, number)
    checksum = most = 0
    for at in range(number, number + count):
        f = flips(p)
        checksum += -f if at & 1 else f
        if f > most:
            most = f
        for k in range(1, n):
            p[:k + 1] = p[1:k + 1] + p[:1]
            turns[k] += 1
            if turns[k] <= k:
                break
            turns[k] = 0
    return checksum, most


def combine(size, results):
    return b"%d\nPfannkuchen(%d) = %d\n" % (sum(c for c, _ in results), size, max(m for _, m in results))
