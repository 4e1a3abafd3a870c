"""How right the advice of `snakefish-trace analyze` is: programs with one known disease each (tests/tracer/analyze/diseases/) are
traced, and what the first sentence says is compared with what its cure does.

    python3 tests/stress/advice.py [--rounds N] [--program NAME ...] [--two-runs] [--keep DIRECTORY]

Each program is recorded sick, RECORDS times, and run untraced, N times sick and cured by turns. named: the first sentence has the
disease, in each record. promised: the largest "at least" of the records. measured: sick divided by cured, the median of the
rounds, of the times that the program itself takes: not the start of Python, which is before the trace, too. The bound holds if
the median is not below it; it is lost in the noise if it is, but in less than three of four rounds; and it is broken otherwise.
What is not named or broken is done again, with twice the rounds, because the times mean something only where little else runs.
One disease may be missed; no bound may be broken; and each cure must make its program faster. --two-runs: only the disease
that `--against` shows, memory that is too slow for all workers, on a machine where it is; on others it is skipped. The last
line counts programs, "N passed, N failed, N skipped".
"""
import argparse
import collections
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(TOP, "tests", "tracer", "analyze")]

from known_diseases import DISEASES, KERNEL, PROGRAMS, missing  # noqa: E402

TRACER = os.path.join(BUILD, "bin", "snakefish-trace")
ALL = {**KERNEL, **DISEASES}
RECORDS = 2
MAY_MISS = 1
SLOWER = 1.4  # with all workers, to be a disease; the analysis asks for 1.3
LIMIT_S = 300
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if not name.startswith("SNAKEFISH_TRACE")},
               "PYTHONPATH": os.path.join(BUILD, "lib")}
# Runs a program, and says how long that took.
TIMED = """import runpy, sys, time, snakefish
del sys.argv[0]
started = time.perf_counter()
runpy.run_path(sys.argv[0], run_name="__main__")
print(time.perf_counter() - started)"""
Row = collections.namedtuple("Row", "program disease promised ratios wrong")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=LIMIT_S)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[-2:])} ended with status {done.returncode}: {done.stderr[-300:]}")
    return done.stdout


def seconds_of(name, *words):
    return float(run(sys.executable, "-c", TIMED, str(PROGRAMS / f"{name}.py"), *words).splitlines()[-1])


def first_advice(path, name, options):
    """The disease, the sentence and the gain."""
    run(TRACER, "record", "-q", *options, "-o", path, "--", sys.executable, str(PROGRAMS / f"{name}.py"), "sick")
    said = json.loads(run(TRACER, "analyze", "--json", path))["advice"]
    return said[0] if said else {"disease": None, "sentence": "", "gain": None}


def measure(folder, name, rounds):
    known = ALL[name]
    said = [first_advice(os.path.join(folder, f"{name}-{n}.db"), name, known.options) for n in range(RECORDS)]
    ratios = [seconds_of(name, "sick") / seconds_of(name, "cured") for _ in range(rounds)]
    wrong = [s["sentence"] for s in said
             if known.disease != s["disease"] or known.words not in s["sentence"] or known.cure not in s["sentence"]]
    return Row(name, known.disease, max((s["gain"] for s in said if s["gain"]), default=None), sorted(ratios), wrong)


def cpu_seconds_of(name, *words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds_of(name, *words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_two_runs(folder, rounds):
    """A Row of memory_bandwidth, by a run with one worker and one with as many as CPUs; None, with a line that says so: the
    memory is fast enough for all of them."""
    name, many = "memory_bandwidth", str(os.cpu_count())
    slower = statistics.median(cpu_seconds_of(name, "sick", many) / cpu_seconds_of(name, "sick", "1") for _ in range(rounds))
    if slower < SLOWER:
        print(f"advice: {name}: skip: {many} workers need {slower:.2f} times the CPU time of one: the memory is fast enough")
        return None
    paths = [os.path.join(folder, f"{name}-{workers}.db") for workers in ("1", many)]
    for path, workers in zip(paths, ("1", many)):
        run(TRACER, "record", "-q", "-o", path, "--", sys.executable, str(PROGRAMS / f"{name}.py"), "sick", workers)
    said = json.loads(run(TRACER, "analyze", "--json", paths[1], "--against", paths[0]))["advice"]
    ratios = [seconds_of(name, "sick") / seconds_of(name, "cured") for _ in range(rounds)]
    row = Row(name, "shared memory", None, sorted(ratios), [] if said else ["nothing"])
    show(row)
    return row


def bound_of(row):
    """yes, noise, no, or none: nothing was promised."""
    if row.promised is None:
        return "none"
    below = sum(ratio < row.promised for ratio in row.ratios)
    return "yes" if statistics.median(row.ratios) >= row.promised else "noise" if below < 0.75 * len(row.ratios) else "no"


def is_right(row):
    return not row.wrong and bound_of(row) != "no" and statistics.median(row.ratios) > 1


def show(row):
    promised = f"{row.promised:5.1f}x" if row.promised else "     -"
    print(f"advice: {row.program:17} {row.disease:17} named {'no ' if row.wrong else 'yes':3}  promised {promised}  "
          f"measured {statistics.median(row.ratios):6.2f}x [{row.ratios[0]:.2f}, {row.ratios[-1]:.2f}]  bound {bound_of(row)}"
          + "".join(f"\n  said: {sentence}" for sentence in row.wrong), flush=True)


def measure_all(names, rounds, folder):
    """Rows, and how many programs have failed to run."""
    rows, failed = [], 0
    for name in names:
        try:
            for times in (rounds, 2 * rounds):
                row = measure(folder, name, times)
                show(row)
                if is_right(row):
                    break
        except (RuntimeError, subprocess.SubprocessError, ValueError) as error:
            print(f"FAIL {name}: {error}", flush=True)
            failed += 1
        else:
            rows.append(row)
    return rows, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", action="append", choices=list(ALL))
    parser.add_argument("--two-runs", action="store_true")
    parser.add_argument("--keep", help="where the traces are left")
    options = parser.parse_args()
    chosen = [] if options.two_runs else options.program or list(ALL)
    names = [name for name in chosen if not missing(name)]
    skipped = len(chosen) - len(names)
    with tempfile.TemporaryDirectory() as folder:
        rows, failed = measure_all(names, options.rounds, options.keep or folder)
        if not options.program:
            row = measure_two_runs(options.keep or folder, options.rounds)
            rows += [row] if row else []
            skipped += not row
    promised = [row for row in rows if row.promised]
    named, faster = sum(not row.wrong for row in rows), sum(statistics.median(row.ratios) > 1 for row in rows)
    kept = sum(bound_of(row) != "no" for row in promised)
    print(f"advice: of {len(rows)} programs the first sentence names the disease in {named}, and the cure makes {faster} faster; "
          f"{kept} of {len(promised)} bounds hold")
    missed = len(rows) - named
    wrong = sum(bool(bound_of(row) == "no" or statistics.median(row.ratios) <= 1 or (row.wrong and missed > MAY_MISS))
                for row in rows)
    print(f"{len(rows) - wrong} passed, {failed + wrong} failed, {skipped} skipped")
    return int(failed + wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
