"""How right `snakefish-trace predict` is for programs that compute: the parallel regions of the bench's programs of the
Benchmarks Game are traced with 1 and with 2 workers, by turns, as `python3 -m bench trace` does, and what the trace with 1
predicts for 2 CPUs is compared with what the other one measured.

    python3 tests/stress/predict_busy.py [--blocks N] [--program NAME ...] [--size-factor F]

Needs two CPUs. The times mean something only where nothing else runs. Says for each program measured / predicted, as the
bench compares times: the ratio of the medians, with its 95 % interval from 6 blocks on. The last line counts programs,
"N passed, N failed, N skipped": one fails when it cannot be traced or predicted, never for its time.
"""
import argparse
import contextlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(BUILD, "lib"), HERE, TOP]

from bench.results import statistics  # noqa: E402
from bench.run import catalog  # noqa: E402
from bench.run.surroundings import environment  # noqa: E402
from predict import measured_s, predicted  # noqa: E402
from truth import open_trace, wrongs_of  # noqa: E402


def sample(*arguments):
    """What is wrong: a sentence, or nothing."""
    command = [sys.executable, os.path.join(TOP, "bench", "run", "sample.py"), *map(str, arguments)]
    env = {**environment(), "PYTHONPATH": os.pathsep.join([os.path.join(BUILD, "lib"), TOP])}
    done = subprocess.run(command, cwd=TOP, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return f"it ended with status {done.returncode}: {done.stderr[-300:]}" if done.returncode else None


def record(path, workload, size, workers):
    """Traces the region alone, as `python3 -m bench trace` does. What is wrong."""
    wrong = sample(workload.name, size, "snakefish", workers, path)
    if wrong:
        return [f"{workers} workers: {wrong}"]
    with contextlib.closing(open_trace(path)) as db:
        return wrongs_of(db)


def compare(folder, workload, size, blocks):
    """(seconds measured, seconds predicted, by block; what is wrong)"""
    there, foretold = {}, {}
    wrong = [f"its input: {sentence}" for sentence in [sample("--prepare", workload.name, size)] if sentence]
    for block in range(blocks if not wrong else 0):
        for workers in (1, 2) if block % 2 else (2, 1):
            path = os.path.join(folder, f"{workload.name}-{workers}.db")
            wrong += record(path, workload, size, workers)
            if wrong:
                return there, foretold, wrong
            if workers == 1:
                foretold[block] = predicted(path, [2])[2]["seconds"]
            else:
                there[block] = measured_s(path)
    return there, foretold, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--program", action="append")
    parser.add_argument("--size-factor", type=float, default=1.0, help="of the bench's own sizes")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        print("skip predict_busy: there is one CPU\n0 passed, 0 failed, 1 skipped")
        return 0
    names = [name for name in options.program or catalog.workload_names() if catalog.kind(name) == "program"]
    workloads = [workload for workload in map(catalog.workload, names)
                 if not workload.lacks and (options.program or workload.official)]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for workload in workloads:
            size = max(1, round(workload.size * options.size_factor))
            measured, foretold, wrong = compare(folder, workload, size, options.blocks)
            for sentence in wrong:
                print(f"FAIL {workload.name}: {sentence}", flush=True)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            if not wrong:
                found = statistics.times_as_fast(measured, foretold)
                low_high = "(too few blocks for an interval)" if found.low is None else f"[{found.low:.3f}, {found.high:.3f}]"
                print(f"predict_busy: {workload.name:16} took {statistics.median(list(measured.values())).value:.3f} s with 2 "
                      f"workers, {found.value:.3f} {low_high} of what was predicted from 1; {found.blocks} blocks", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
