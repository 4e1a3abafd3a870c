"""A grid search over joblib: ridge regressions, each on each part of the data left out.

    python3 grid_search.py copies|indices [ROWS]

copies: each task gets its part of the data, which is a new array. indices: all get the same array, and which rows they may use.
"""
import sys

import numpy
from joblib import Parallel, delayed

FOLDS, PENALTIES = 4, 10.0 ** numpy.arange(-3, 5)


def score(x, y, x_test, y_test, penalty):
    weights = numpy.linalg.solve(x.T @ x + penalty * numpy.eye(x.shape[1]), x.T @ y)
    return float(((x_test @ weights - y_test) ** 2).mean())


def score_rows(x, y, test, penalty):
    train = ~test
    return score(x[train], y[train], x[test], y[test], penalty)


def search(how, rows):
    random = numpy.random.default_rng(1)
    x = random.normal(size=(rows, 40))
    y = x @ random.normal(size=40) + random.normal(size=rows)
    fold = numpy.arange(rows) % FOLDS
    cases = [(penalty, fold == k) for penalty in PENALTIES for k in range(FOLDS)]
    if how == "copies":
        tasks = (delayed(score)(x[~test], y[~test], x[test], y[test], penalty) for penalty, test in cases)
    else:
        tasks = (delayed(score_rows)(x, y, test, penalty) for penalty, test in cases)
    errors = numpy.reshape(Parallel(n_jobs=2)(tasks), (-1, FOLDS)).mean(axis=1)
    return PENALTIES[errors.argmin()], errors.min()


if __name__ == "__main__":
    penalty, error = search(sys.argv[1], int((sys.argv[2:] or [100_000])[0]))
    print(f"penalty {penalty:g}, error {error:.6f}")
