"""How right the `what if` of `snakefish-trace analyze` is: programs with one cost each (changes.py) are traced, and what their
traces say of the run without that cost is compared with what the change gains that takes it away.

    python3 tests/stress/what_if.py [--rounds N] [--program NAME ...] [--kernel] [--keep DIRECTORY]

Each round runs the program traced, plain, and plain with the change, by turns. Predicted: what the traced run took, divided by
that without what the question saves. Measured: plain divided by changed. Of both the median of all rounds; the times are those
that the programs say. A row passes if both are within 10 %, or if the analysis says "at least" and the change gains more. What
does not is measured again, with twice the rounds, because the times mean something only where little else runs. The last line
counts rows, "N passed, N failed, N skipped".
"""
import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(BUILD, "lib"), HERE]

import changes  # noqa: E402

TRACER = os.path.join(BUILD, "bin", "snakefish-trace")
WITHIN = 0.10
Row = collections.namedtuple("Row", "program what predicted measured bound")


def seconds_of(name, *words, before=()):
    done = subprocess.run([*before, sys.executable, os.path.join(HERE, "changes.py"), name, *words], capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": os.path.join(BUILD, "lib")})
    if done.returncode:
        raise RuntimeError(f"{name} {' '.join(words)} ended with status {done.returncode}: {done.stderr[-300:]}")
    return float(done.stdout)


def what_if(path):
    """Question -> what the analysis says."""
    said = subprocess.run([TRACER, "analyze", "--json", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {row["what"]: row for row in json.loads(said)["what_if"]}


def measure(folder, name, rounds, options):
    """A Row for each of the program's questions."""
    questions = changes.PROGRAMS[name][1]
    predicted, measured = {what: [] for what in questions}, []
    for n in range(rounds):
        path = os.path.join(folder, f"{name}-{n}.db")
        traced_s = seconds_of(name, before=[TRACER, "record", *options, "-o", path, "--"])
        said = what_if(path)
        for what in questions:
            predicted[what].append(traced_s / (traced_s - said[what]["saved_ns"] / 1e9))
        measured.append(seconds_of(name) / seconds_of(name, "changed"))
    return [Row(name, what, statistics.median(predicted[what]), statistics.median(measured), said[what]["bound"])
            for what in questions]


def is_near(row):
    return abs(row.predicted / row.measured - 1) <= WITHIN


def holds(row):
    return is_near(row) or (row.bound == "at least" and row.measured >= row.predicted)


def show(row):
    said = f"{row.bound}: {'holds' if holds(row) else 'does not hold'}" if row.bound else "no bound"
    print(f"what_if: {row.program:20} {row.what:10} predicted {row.predicted:5.2f}x, measured {row.measured:5.2f}x, "
          f"{'within' if is_near(row) else 'not within'} 10 %, {said}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", action="append", choices=list(changes.PROGRAMS))
    parser.add_argument("--kernel", action="store_true", help="record the kernel's view, too")
    parser.add_argument("--keep", help="where the traces are left")
    options = parser.parse_args()
    rows, failed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for name in options.program or changes.PROGRAMS:
            try:
                for rounds in (options.rounds, 2 * options.rounds):
                    found = measure(options.keep or folder, name, rounds, ["--kernel"] if options.kernel else [])
                    for row in found:
                        show(row)
                    if all(map(holds, found)):
                        break
            except (RuntimeError, subprocess.CalledProcessError) as error:
                print(f"FAIL {name}: {error}", flush=True)
                failed += 1
            else:
                rows += found
    passed = sum(map(holds, rows))
    print(f"what_if: of {len(rows)} answers {sum(map(is_near, rows))} are within 10 %, "
          f"{passed - sum(map(is_near, rows))} more gain more than \"at least\" says")
    print(f"{passed} passed, {failed + len(rows) - passed} failed, 0 skipped")
    return int(failed > 0 or passed < len(rows))


if __name__ == "__main__":
    sys.exit(main())
