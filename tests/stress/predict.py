"""How right `snakefish-trace predict` is: programs whose tasks sleep (sleepers.py) are traced at 1, 2, 4, ... 64 workers, and
what the traces at 1 and at 2 workers predict for 4 to 64, on the CPUs that are there, is compared with what the others
measured.

    python3 tests/stress/predict.py [--scale S] [--program NAME ...] [--workers 1,2,4,8,16,32,64] [--keep DIRECTORY]
        [--at-once N] [--strict]

Says for each program how far its predictions are off, and of all how many are within 5 %. The times mean something only
where little else runs. The last line counts programs, "N passed, N failed, N skipped": one fails when it cannot be traced or
predicted, never for its time, unless --strict is given: then fewer than nine in ten within 5 % are a failure too.
"""
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(BUILD, "lib"), HERE]

import sleepers  # noqa: E402
from truth import open_trace, wrongs_of  # noqa: E402

TRACER = os.path.join(BUILD, "bin", "snakefish-trace")
FROM = (1, 2)
WITHIN = 0.05
CPUS = len(os.sched_getaffinity(0))
STARTING_S = 2  # a program begins so long after the one before it, which needs a CPU until then


def record(path, name, workers, scale):
    """What is wrong."""
    done = subprocess.run([TRACER, "record", "-o", path, "--", sys.executable, os.path.join(HERE, "sleepers.py"), name,
                           str(workers), str(scale)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.path.join(BUILD, "lib")})
    if done.returncode:
        return [f"{workers} workers: the program ended with status {done.returncode}: {done.stderr[-300:]}"]
    with contextlib.closing(open_trace(path)) as db:
        return [f"{workers} workers: {wrong}" for wrong in wrongs_of(db)]


def measured_s(path):
    with contextlib.closing(open_trace(path)) as db:
        return db.execute("SELECT (max(end_ns) - min(start_ns)) / 1e9 FROM process").fetchone()[0]


def predicted(path, cpus):
    """Number of CPUs -> prediction."""
    said = subprocess.run([TRACER, "predict", "--json", "--cpus", ",".join(map(str, cpus)), "--machine", str(CPUS), path],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    return {p["cpus"]: p for p in json.loads(said)["predictions"]}


def record_all(folder, names, workers, scale, most):
    """Name -> what is wrong. Few programs run at once where they have many workers, and none begins together with another
    one, so that they do not disturb each other."""
    wrong, starting = {name: [] for name in names}, threading.Lock()

    def record_one(name, count, at_once):
        with starting:
            time.sleep(STARTING_S * min(scale, 1) if at_once > 1 else 0)
        return record(os.path.join(folder, f"{name}-{count}.db"), name, count, scale)

    for count in workers:
        at_once = max(1, most // count)
        with ThreadPoolExecutor(at_once) as pool:
            for name, sentences in zip(names, pool.map(lambda name: record_one(name, count, at_once), names)):
                wrong[name] += sentences
    return wrong


def compare(folder, name, cpus):
    """(from, cpus, seconds that were measured, prediction / measured - 1, whether its interval has it) for each."""
    found = []
    for source in FROM:
        predictions = predicted(os.path.join(folder, f"{name}-{source}.db"), cpus)
        for count in cpus:
            seconds, p = measured_s(os.path.join(folder, f"{name}-{count}.db")), predictions[count]
            found.append((source, count, seconds, p["seconds"] / seconds - 1, p["low"] <= seconds <= p["high"]))
    return found


def show(name, found, cpus):
    for source in FROM:
        off = " ".join(f"{error * 100:+6.1f}" for s, _, _, error, _ in found if s == source)
        print(f"predict: {name:26} from {source}: {off} %", flush=True)
    seconds = " ".join(f"{s:6.2f}" for source, _, s, _, _ in found if source == FROM[0])
    print(f"predict: {'':26}  took: {seconds} s on {', '.join(map(str, cpus))}", flush=True)


def summarize(found):
    """The part within 5 %."""
    errors = [abs(error) for _, _, _, error, _ in found]
    part = sum(error <= WITHIN for error in errors) / len(errors)
    for source in FROM:
        own = [abs(error) for s, _, _, error, _ in found if s == source]
        print(f"predict: from {source} worker{'s'[:source > 1]}: {sum(e <= WITHIN for e in own)} of {len(own)} within 5 %, "
              f"half within {statistics.median(own) * 100:.1f} %, the worst {max(own) * 100:.1f} %")
    print(f"predict: {part * 100:.1f} % of {len(errors)} predictions within 5 %, "
          f"{sum(held for *_, held in found) / len(found) * 100:.0f} % of the measured times in their intervals")
    return part


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of all times that programs sleep")
    parser.add_argument("--program", action="append", choices=list(sleepers.PROGRAMS))
    parser.add_argument("--workers", default="1,2,4,8,16,32,64")
    parser.add_argument("--keep", help="where the traces are left; those that are there are used again")
    parser.add_argument("--at-once", type=int, default=32, help="processes of programs that run side by side; default 32")
    parser.add_argument("--strict", action="store_true", help="fewer than nine in ten within 5 % are a failure")
    options = parser.parse_args()
    workers = [int(n) for n in options.workers.split(",")]
    cpus = [n for n in workers if n not in FROM]
    names = options.program or list(sleepers.PROGRAMS)
    all_found, passed, failed = [], 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or temporary
        if not options.keep or not os.path.exists(os.path.join(folder, f"{names[0]}-1.db")):
            wrong = record_all(folder, names, workers, options.scale, options.at_once)
        else:
            wrong = {name: [] for name in names}
        for name in names:
            for sentence in wrong[name]:
                print(f"FAIL {name}: {sentence}", flush=True)
            passed, failed = passed + (not wrong[name]), failed + bool(wrong[name])
            if not wrong[name]:
                found = compare(folder, name, cpus)
                show(name, found, cpus)
                all_found += found
    part = summarize(all_found) if all_found else 0
    if options.strict and part < 0.9:
        print("FAIL predict: fewer than nine in ten are within 5 %")
        failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
