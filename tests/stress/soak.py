"""The long tests: `make stress`.

    python3 tests/stress/soak.py [--build build] [--seed S] [--jobs N] [--figures | --part NAME ...]

Parts: long (the tests that `make test` leaves out), faults (thousands of trials), executor (1,000 trials of an Executor
whose workers are killed, and its steps in every order), reentrancy (ten minutes of the fuzzer, on both builds), many
(10,000 of each kind of object, 100,000 tasks of an Executor), ring (its killed test with other seeds), tsan (the core's
tests under ThreadSanitizer), references (an extension for the debug interpreter, if that is there), overcommit, bench
(sessions of the bench that is killed and resumed), books (a thousand traced programs whose processes or collector are
killed), clock (ten million events in order), flood (what the collector can take), hostile (hostile logs and traces through
all commands), peers (CPython's own tests, plain and traced), joblib (joblib's likewise: some of them give their program a few
seconds, so they run alone), installs (pip, with every interpreter), fuzz (each fuzzer for a minute, or FUZZ_SECONDS),
analyzer (clang's, as far as it goes by itself).
With --jobs 2 or more, parts run side by side, and then those in ALONE one after the other: these change a setting of the
whole machine, or measure what it takes that has nothing else to do. `make stress` has three jobs, as `make test` has.

Last come the figures, what READMEs state of the tracer's truth and costs: they mean something where the machine has nothing
else to do. `make figures` is these alone. predict (what a trace predicts, against what is measured), what_if (what its
what-ifs say, against what the changes gain), advice (what its first sentence says, against what the cure gains), samples
(where samples of stacks say that the CPU time went, against where it did, and what they cost), timeline (the report's, with
100,000 spans in a browser), kernel_cost (what the kernel's view costs).

What a part says comes as it says it, with the part's name; the last line has the sums.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WORDS = ("passed", "failed", "skipped")
RING_ROUNDS = 20
FIGURES = ("predict", "what_if", "advice", "samples", "timeline", "kernel_cost")
ALONE = ("overcommit", "flood", "joblib", *FIGURES)
LONGEST = ("hostile", "faults", "bench", "long", "peers")  # they start first, so that none of them is left alone at the end
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", 60))


def script(name, *arguments):
    return [sys.executable, "-u", os.path.join(HERE, name), *arguments]


def tsan_tests(build):
    return [path for path in glob.glob(os.path.join(build, "san-thread", "tests", "core", "*", "test_*"))
            if not path.endswith(".d")]


def parts(build, seed):
    """Name -> list of (command, more environment)."""
    suites = [sys.executable, os.path.join(TOP, "tests", "run.py"), "--build", build, "--tries", "1"]
    found = {"long": [([*suites, "--asserts", "--long"], {})],
             "faults": [(script("run.py", "--trials", "5000", "--seed", str(seed), "--progress"), {})],
             "executor": [(script("run.py", "--file", "executors", "--trials", "1000", "--seed", str(seed), "--progress"), {}),
                          ([*suites, "py-executor"], {"SF_ALL_ORDERS": "yes"})],
             "reentrancy": [(script("reentrancy.py", "--cases", "1000000", "--seconds", "300", "--seed", str(seed),
                                    "--progress"), {"SF_BUILD": folder}) for folder in (build, build + "/asserts")],
             "many": [(script("many.py"), {})],
             "bench": [(script("bench_killed.py", "--rounds", "10", "--seed", str(seed)), {})],
             "ring": [([os.path.join(build, "asserts", "tests", "core", "ring", "test_ring_killed"), "random_moments"],
                       {"SF_TEST_SEED": str(seed + n), "SF_TEST_SECONDS": "60"}) for n in range(RING_ROUNDS)],
             "tsan": [([test], {"TSAN_OPTIONS": "die_after_fork=0"}) for test in sorted(tsan_tests(build))],
             "books": [(script("books.py", "--trials", "1000", "--seed", str(seed), "--progress"), {})],
             "clock": [(script("clock.py", "--events", "10000000"), {})],
             "flood": [(script("flood.py", "--seconds", "30"), {})],
             "predict": [(script("predict.py"), {})],
             "what_if": [(script("what_if.py"), {})],
             "advice": [(script("advice.py"), {})],
             "samples": [(script("samples.py"), {})],
             "timeline": [(script("timeline.py"), {})],
             "hostile": [(script("hostile.py", "--cases", "3000", "--seed", str(seed), "--progress"), {})],
             "peers": [(script("peers.py"), {})],
             "joblib": [(script("peers_joblib.py"), {})],
             "kernel_cost": [(script("kernel_cost.py"), {})],
             "references": [], "overcommit": [(script("overcommit.py"), {})], "installs": [(script("installs.py"), {})],
             "fuzz": [], "analyzer": [([sys.executable, os.path.join(TOP, "tests", "lint.py"), "clang-tidy"],
                                       {"SF_WHOLE_ANALYSIS": "yes"})]}
    debug = shutil.which("python3-dbg")
    if debug:
        folder = os.path.join(build, "dbg")
        found["references"] = [(["make", "--no-print-directory", f"PYTHON={debug}", f"B={folder}", "ext"], {}),
                               ([debug, os.path.join(HERE, "references.py")], {"SF_BUILD": folder})]
    for path in sorted(glob.glob(os.path.join(build, "fuzz", "fuzz_*"))):
        if not path.endswith(".d"):
            kept = os.path.join(build, "fuzz", "found-" + os.path.basename(path)[len("fuzz_"):])
            os.makedirs(kept, exist_ok=True)
            corpus = os.path.join("tests", "fuzz", "corpus", os.path.basename(path)[len("fuzz_"):])
            found["fuzz"].append(([path, f"-max_total_time={FUZZ_SECONDS}", "-verbosity=0", "-print_final_stats=1",
                                   f"-artifact_prefix={kept}/", kept, corpus], {}))
    return found


def run(name, command, more):
    """Its last line with counts, as numbers; its output is shown as it comes."""
    process = subprocess.Popen(command, cwd=TOP, env={**os.environ, **more}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    counts = None
    for line in process.stdout:
        if re.match(r"\d+ passed, \d+ failed, \d+ skipped$", line):
            counts = [int(n) for n in re.findall(r"\d+", line)]
        elif not line.startswith(("ok ", "INFO:")):
            print(f"  {name}: {line}", end="", flush=True)
    status = process.wait()
    if counts is None:  # a program without counts: a fuzzer, or make, which is no test
        return [0, 1, 0] if status else [int(command[0] != "make"), 0, 0]
    return counts if not status or counts[1] else [counts[0], 1, counts[2]]


def run_part(name, commands):
    """The sums of a part's counts."""
    started, sums = time.monotonic(), [0, 0, 0]
    if not commands:
        reason = "there is no python3-dbg" if name == "references" else "not built"
        print(f"  {name}: skip: {reason}", flush=True)
        sums[2] = 1
    for command, more in commands:
        sums = [a + b for a, b in zip(sums, run(name, command, more))]
    print("{:12} {} passed, {} failed, {} skipped  {:.1f} s".format(name, *sums, time.monotonic() - started), flush=True)
    return sums


def run_parts(chosen, jobs):
    """The sums of each part as it ends."""
    together = [name for name in chosen if jobs > 1 and name not in ALONE]
    together.sort(key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run_part, name, chosen[name]) for name in together]):
            yield done.result()
    for name in chosen:
        if name not in together:
            yield run_part(name, chosen[name])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=1, help="how many parts run at a time")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--figures", action="store_true", help="the figures alone")
    which.add_argument("--part", action="append", choices=[
        "long", "faults", "executor", "reentrancy", "many", "bench", "ring", "tsan", "books", "clock", "flood", "hostile",
        "peers", "joblib", "references", "overcommit", "installs", "fuzz", "analyzer", *FIGURES])
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    os.environ["SF_BUILD"] = build
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    print(f"seed {options.seed}", flush=True)
    found = parts(build, options.seed)
    wanted = FIGURES if options.figures else options.part or found
    chosen = {name: found[name] for name in sorted(found, key=FIGURES.__contains__) if name in wanted}
    total = [0, 0, 0]
    for sums in run_parts(chosen, max(1, options.jobs)):
        total = [a + b for a, b in zip(total, sums)]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
