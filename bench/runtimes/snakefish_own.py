"""snakefish-own: three programs as one would write them for snakefish alone, to compare with multiprocessing-published

The runtime snakefish gets the tasks that all runtimes get. Here the workers of spectral-norm are forked once and not for each
of its 40 products, regex-redux replaces in a Thread beside the map over the patterns, so that the longest task does not wait
for a place among them, and mandelbrot leaves the size of its chunks to map.
"""
import re
from contextlib import ExitStack

from bench.runtimes.snakefish import snakefish, version  # noqa: F401
from bench.workloads import fasta, mandelbrot, regex_redux, spectral_norm

CHANNEL_BYTES = 1 << 24


def run_mandelbrot(size, workers):
    return mandelbrot.combine(size, snakefish.map(mandelbrot.work, mandelbrot.tasks(size, workers), workers))


def multiply(first, last, vectors, parts):
    """A worker of spectral-norm: rows first..last-1 of each product."""
    while (product := vectors.receive_pyobj()) is not None:
        f, u = product
        parts.send_pyobj((first, f((first, last, u))), block=True)


def run_spectral_norm(size, workers):
    with ExitStack() as stack:
        parts = stack.enter_context(snakefish.Channel(CHANNEL_BYTES))
        channels = [stack.enter_context(snakefish.Channel(CHANNEL_BYTES)) for _ in range(workers)]
        for (first, last, _), vectors in zip(spectral_norm.tasks([0.0] * size, workers), channels):
            stack.enter_context(snakefish.Thread(multiply, args=(first, last, vectors, parts))).start()

        def product(f, u):
            for vectors in channels:
                vectors.send_pyobj((f, u), block=True)
            return spectral_norm.join(part for _, part in sorted(parts.receive_pyobj() for _ in channels))

        found = spectral_norm.power_method(
            size, lambda u: product(spectral_norm.eval_At_times_u, product(spectral_norm.eval_A_times_u, u)))
        for vectors in channels:
            vectors.send_pyobj(None)
        return found


def run_regex_redux(size, workers):
    text = fasta.read_file(size)
    clean = re.sub(">.*\n|\n", "", text)
    with snakefish.Thread(regex_redux.work, args=((None, clean),)) as replacing:
        replacing.start()
        counts = snakefish.map(regex_redux.work, [(pattern, clean) for pattern in regex_redux.VARIANTS], workers, 1)
    return regex_redux.report(text, clean, replacing.get_result(), counts)


programs = {"mandelbrot": run_mandelbrot, "spectral-norm": run_spectral_norm, "regex-redux": run_regex_redux}
