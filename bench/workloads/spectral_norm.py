"""spectral-norm: the largest singular value of a matrix, by the power method

Of the Benchmarks Game. 40 products of a matrix and a vector, one after the other; each is a parallel map over blocks
of rows, and the whole vector goes to every worker each time. The maps are small, and much is sent for each. Every row costs
the same.
"""
from math import sqrt

size = 280
check_size = 100
counted = 40
official = 5500
check_output = b"1.274219991\n"
unit = "rows of the matrix"
seconds = 0.55


def growth(size):
    return size * size


def eval_A(i, j):
    """The matrix's element in row i and column j, from 0."""
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


def eval_A_times_u(task):
    """Rows first..last-1 of A u."""
    first, last, u = task
    return [sum(eval_A(i, j) * x for j, x in enumerate(u)) for i in range(first, last)]


def eval_At_times_u(task):
    """Rows first..last-1 of u times A transposed."""
    first, last, u = task
    return [sum(eval_A(j, i) * x for j, x in enumerate(u)) for i in range(first, last)]


def eval_AtA_times_u(u, workers, map):
    """A transposed times A u: two maps, the second needs all of the first."""
    v = join(map(eval_A_times_u, tasks(u, workers)))
    return join(map(eval_At_times_u, tasks(v, workers)))


def tasks(u, workers):
    """The rows in as many even blocks as there are workers, each with the vector."""
    n = len(u)
    bounds = [n * k // workers for k in range(workers + 1)]
    return [(first, last, u) for first, last in zip(bounds, bounds[1:])]


def join(blocks):
    return [x for block in blocks for x in block]


def program(size, workers, map):
    return power_method(size, lambda u: eval_AtA_times_u(u, workers, map))


def power_method(size, AtA_times):
    u = [1.0] * size
    for _ in range(10):
        v = AtA_times(u)
        u = AtA_times(v)
    uv = sum(a * b for a, b in zip(u, v))
    vv = sum(b * b for b in v)
    return b"%.9f\n" % sqrt(uv / vv)
