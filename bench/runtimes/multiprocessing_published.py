"""multiprocessing-published: the Benchmarks Game's own way with a Pool, for each of its programs; start method fork

The other runtimes get the same tasks in the same chunks. Here each program cuts its work as the Python programs that the
Benchmarks Game publishes do: by single rows, trees or patterns where they do, with the chunks that Pool chooses itself, one
Pool for the whole program, and a text inherited by the workers rather than sent to them. What is computed is the workload's.
"""
import re
from itertools import repeat
from math import factorial

from bench.runtimes.multiprocessing import fork, version  # noqa: F401
from bench.workloads import binary_trees, fannkuch_redux, fasta, k_nucleotide, mandelbrot, regex_redux, spectral_norm

TREES_AT_ONCE = 5000
inherited = None  # the text, in a worker


def inherit(text):
    global inherited
    inherited = text


# ---- mandelbrot: a task is a row, and the rows come in any order ----

def numbered_row(task):
    return task[0], mandelbrot.work(task)


def run_mandelbrot(size, workers):
    rows = [None] * size
    with fork.Pool(workers) as pool:
        for y, row in pool.imap_unordered(numbered_row, ((y, size) for y in range(size))):
            rows[y] = row
    return mandelbrot.combine(size, rows)


# ---- spectral-norm: a task is one row of the product, and has the vector with it; Pool chooses the chunks ----

def row_of_A(task):
    i, u = task
    return spectral_norm.eval_A_times_u((i, i + 1, u))[0]


def row_of_At(task):
    i, u = task
    return spectral_norm.eval_At_times_u((i, i + 1, u))[0]


def run_spectral_norm(size, workers):
    with fork.Pool(workers) as pool:
        def rows(f, u):
            return pool.map(f, [(i, u) for i in range(len(u))])

        return spectral_norm.power_method(size, lambda u: rows(row_of_At, rows(row_of_A, u)))


# ---- regex-redux: a task is a pattern; the text is inherited, and replaced in the parent meanwhile ----

def count_matches(pattern):
    return regex_redux.work((pattern, inherited))


def run_regex_redux(size, workers):
    text = fasta.read_file(size)
    clean = re.sub(">.*\n|\n", "", text)
    with fork.Pool(workers, inherit, (clean,)) as pool:
        counts = pool.imap(count_matches, regex_redux.VARIANTS)
        replaced = regex_redux.work((None, clean))
        return regex_redux.report(text, clean, replaced, list(counts))


# ---- fannkuch-redux: one task for each worker ----

def run_fannkuch_redux(size, workers):
    total = factorial(size)
    length = -(-total // workers)
    length += length % 2  # each task begins with a plus
    tasks = [(size, first, min(length, total - first)) for first in range(0, total, length)]
    with fork.Pool(workers) as pool:
        return fannkuch_redux.combine(size, pool.map(fannkuch_redux.work, tasks, 1))


# ---- binary-trees: a task is a tree; Pool chooses the chunks of some thousands of trees ----

def one_tree(depth):
    return binary_trees.work((depth, 1))


def run_binary_trees(size, workers):
    with fork.Pool(workers) as pool:
        def nodes(depth, trees):
            return sum(sum(pool.map(one_tree, repeat(depth, min(TREES_AT_ONCE, trees - first))))
                       for first in range(0, trees, TREES_AT_ONCE))

        return binary_trees.report(size, lambda trees: [nodes(*depth_and_count) for depth_and_count in trees.items()])


# ---- k-nucleotide: a task is a length and a share; the sequence is inherited, and cut in the worker ----

def count_share(task):
    length, wanted, begin, end = task
    return k_nucleotide.work((length, wanted, inherited[begin:end]))


def run_k_nucleotide(size, workers):
    sequence = k_nucleotide.third_sequence(fasta.read_file(size))
    with fork.Pool(workers, inherit, (sequence,)) as pool:
        counted = pool.imap_unordered(count_share, k_nucleotide.shares_of(sequence))
        return k_nucleotide.report(sequence, counted)


programs = {"mandelbrot": run_mandelbrot, "spectral-norm": run_spectral_norm, "regex-redux": run_regex_redux,
            "fannkuch-redux": run_fannkuch_redux, "binary-trees": run_binary_trees, "k-nucleotide": run_k_nucleotide}
