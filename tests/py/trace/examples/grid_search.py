"""A grid search over joblib: ridge regressions, each on the data without one of four parts.

    python3 grid_search.py copies|slices [ROWS]

copies: each task gets the data that it learns from, which is a new array. slices: all get the same array, and where the part that
they leave out begins and ends.
"""
import sys

import numpy
from joblib import Parallel, delayed

FOLDS, PENALTIES = 4, 10.0 ** numpy.arange(-3, 5)


def score(parts, test, penalty):
    square = sum(x.T @ x for x, _ in parts) + penalty * numpy.eye(test[0].shape[1])
    weights = numpy.linalg.solve(square, sum(x.T @ y for x, y in parts))
    return float(((test[0] @ weights - test[1]) ** 2).mean())


def score_slices(x, y, begin, end, penalty):
    return score([(x[:begin], y[:begin]), (x[end:], y[end:])], (x[begin:end], y[begin:end]), penalty)


def search(how, rows):
    random = numpy.random.default_rng(1)
    x = random.normal(size=(rows, 40))
    y = x @ random.normal(size=40) + random.normal(size=rows)
    cases = [(rows * k // FOLDS, rows * (k + 1) // FOLDS, penalty) for penalty in PENALTIES for k in range(FOLDS)]
    if how == "copies":
        tasks = (delayed(score)([(numpy.r_[x[:a], x[b:]], numpy.r_[y[:a], y[b:]])], (x[a:b], y[a:b]), c) for a, b, c in cases)
    else:
        tasks = (delayed(score_slices)(x, y, a, b, c) for a, b, c in cases)
    limit = "1M" if how == "copies" else "100K"  # larger arrays go through files; 1M is what joblib takes by itself
    errors = numpy.reshape(Parallel(n_jobs=2, max_nbytes=limit)(tasks), (-1, FOLDS)).mean(axis=1)
    return PENALTIES[errors.argmin()], errors.min()


if __name__ == "__main__":
    penalty, error = search(sys.argv[1], int((sys.argv[2:] or [100_000])[0]))
    print(f"penalty {penalty:g}, error {error:.6f}")
