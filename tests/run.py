"""Runs the test suites and adds up their results: `make test`.

    python3 tests/run.py [--build build] [--asserts] [--long] [--jobs N] [SUITE ...]

Each suite ends with "N passed, N failed, N skipped" (or pytest's own last line). Its whole output goes to
<build>/test-logs/<suite>.log, with the 30 slowest tests of each run of pytest; failures, and skips with their reasons, are shown
here. The last line has the sums; the exit status is 1 when anything failed.

The C tests are those of <build>/asserts, where asserts are live (`make core-tests tracer-tests` makes them). With
--asserts the suites in WITH_ASSERTS run with that build too, as they do under `make test`; without it, with <build>, so
that `make ext && python3 tests/run.py py` tests what was just built.

Tests with pytest's marker `long` are left out. With --long they alone are run, of all suites: a part of `make stress`.

With --jobs 2 or more, suites run side by side first, then those in ALONE one after the other: these measure what a machine
takes that has nothing else to do. `make test` has three jobs: tests wait a lot, so this is the quickest on two CPUs. At
the end what has failed is tried a second time, alone (second_try.py), unless --tries 1 says otherwise.
"""

import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from second_try import try_again

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIMIT_SECONDS = 1800  # of one suite, also on a slow machine
WORDS = ("passed", "failed", "skipped")
WITH_ASSERTS = ("py", "py-merge", "py-workers", "py-executor", "py-trace", "tracer", "reentrancy", "hostile")
LONGEST = ("py-workers", "bench", "py", "tracer", "py-trace", "house", "analysis", "py-pypy")
ALONE = ("truth",)
SHORT = ["-m", "not long"]
# Files that import numpy, and py/message, which imports hypothesis too, run in processes of their own: with these in its
# memory a process takes half as long again to fork, or more, and most tests fork.
ARRAYS = ("py/workers/test_large_arrays.py", "py/workers/test_map_blocks.py")
NO_TESTS = 5  # pytest's exit status when it has left out all


def programs(build, part):
    return [[path] for path in sorted(glob.glob(os.path.join(build, "tests", part, "*", "test_*")))
            if os.access(path, os.X_OK) and not path.endswith(".d")]


def pytest(folder, *without):
    rest = [word for other in without for word in ("--ignore", os.path.join("tests", other))]
    return [[sys.executable, "-m", "pytest", "-q", "-rfEs", "--durations=30", "-p", "no:cacheprovider", *SHORT,
             *rest, os.path.join("tests", folder)]]


def asserts_build(build):
    """Where the build with asserts is: beside the release build; a build with sanitizers has them itself."""
    beside = os.path.join(build, "asserts")
    return beside if os.path.isdir(beside) else build


def suites(build):
    """Name -> commands, in the order they are run: the parts that others use come first."""
    asserts = asserts_build(build)
    found = {"layers": [[sys.executable, os.path.join("tests", "layers.py"), "--objects", os.path.join(build, "obj")]]}
    found["house"] = pytest("house")
    found["core"] = programs(asserts, "core")
    for sanitized in sorted(glob.glob(os.path.join(TOP, "build", "san-*"))):
        name = "core-" + os.path.basename(sanitized)[len("san-"):]
        found[name] = programs(sanitized, "core")
    found["fuzz"] = [[path, "-runs=0", os.path.join("tests", "fuzz", "corpus", os.path.basename(path)[len("fuzz_"):])]
                     for path in sorted(glob.glob(os.path.join(build, "fuzz", "fuzz_*"))) if not path.endswith(".d")]
    found["tracer-c"] = programs(asserts, "tracer")
    found["tracer"] = pytest("tracer")
    found["py"] = pytest("py", "py/merge", "py/workers", "py/executor", "py/trace", "py/message") + pytest("py/message")
    found["py-merge"] = pytest("py/merge")
    found["py-workers"] = pytest("py/workers", *ARRAYS) + [command for file in ARRAYS for command in pytest(file)]
    found["py-executor"] = pytest("py/executor")
    found["py-trace"] = pytest("py/trace")
    stress = os.path.join("tests", "stress")
    found["faults"] = [[sys.executable, os.path.join(stress, "run.py"), "--trials", "300", "--seconds", "30"],
                       [sys.executable, os.path.join(stress, "many.py"), "--count", "300", "--tasks", "5000"],
                       [sys.executable, os.path.join(stress, "bench_killed.py"), "--filter", "ma", "--runtimes",
                        "sequential,snakefish-traced,joblib"]]
    found["reentrancy"] = [[sys.executable, os.path.join(stress, "reentrancy.py"), "--cases", "2000", "--seconds", "25"]]
    found["truth"] = [[sys.executable, os.path.join(stress, "books.py"), "--trials", "50"],
                      [sys.executable, os.path.join(stress, "clock.py"), "--events", "200000"],
                      [sys.executable, os.path.join(stress, "flood.py")]]
    found["hostile"] = [[sys.executable, os.path.join(stress, "hostile.py"), "--cases", "40", "--reports", "20"]]
    # PyPy needs 150 s for all of tests/py, mostly to start processes; `make test-all-pythons` runs all of it
    of_pypy = ["base/test_arguments", "base/test_timestamps", "merge/test_merge_types",
               "message/test_channel", "message/test_channel_buffers", "task/test_thread",
               "workers/test_map", "workers/test_map_blocks", "workers/test_imap", "workers/test_engine",
               "workers/test_sources", "trace/test_trace"]
    found["py-pypy"] = [[sys.executable, os.path.join("tests", "pythons.py"), "--build", build, "--only", "pypy", "--skips"]
                        + SHORT + [os.path.join("tests", "py", name + ".py") for name in of_pypy]]
    found["bench"] = pytest("bench")
    found["analysis"] = [["Rscript", os.path.join("tests", "analysis", "run.R")], *pytest("analysis")]
    return found


def long_suites(build):
    """Name -> commands that run the long tests alone. PyPy's are among those of the others."""
    found = {name: [command for command in commands if "not long" in command] for name, commands in suites(build).items()}
    return {name: [["long" if word == "not long" else word for word in command] for command in commands]
            for name, commands in found.items() if commands and name != "py-pypy"}


def count(output, status):
    """The counts a suite's output ends with. A bad exit status without a failed test is a failure itself."""
    lines = [line for line in output.splitlines() if re.search(r"\b\d+ (passed|failed|skipped|error)", line)]
    last = lines[-1] if lines else ""
    counts = {word: sum(int(n) for n in re.findall(r"(\d+) " + word, last)) for word in WORDS}
    counts["failed"] += sum(int(n) for n in re.findall(r"(\d+) error", last))
    if status and not counts["failed"]:
        counts["failed"] = 1
    elif not lines and not status:
        counts["passed"] = 1  # a program without counts, such as a fuzzer that replays its corpus
    return counts


def environment(build):
    """The environment of the tests: this build, and no tracing."""
    found = dict(os.environ, SF_BUILD=build, PYTHONPATH=os.path.join(build, "lib"), PYTHONDONTWRITEBYTECODE="1")
    for name in ("SNAKEFISH_TRACE", "SNAKEFISH_TRACE_SESSION", "SNAKEFISH_TRACE_INSTRUMENT", "SNAKEFISH_DEBUG"):
        found.pop(name, None)
    return found


def run(command, environment):
    """(output, exit status, seconds, seconds of CPU). The CPU time is that of the command and of all whom it or its children
    have waited for: an orphan's, such as a collector's whose program was killed, is missing."""
    started, late = time.monotonic(), threading.Event()
    process = subprocess.Popen(command, cwd=TOP, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)

    def end():
        late.set()
        os.killpg(process.pid, 9)

    timer = threading.Timer(LIMIT_SECONDS, end)
    timer.start()
    try:
        with process.stdout:
            output = process.stdout.read()
    except BaseException:  # Ctrl-C: the suite has a session of its own, and does not get it
        timer.cancel()
        end()
        raise
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # until the timer has ended the process's id stays its own
    timer.cancel()
    timer.join()
    _, status, used = os.wait4(process.pid, 0)  # and not process.wait(), which throws away what it has used
    process.returncode = os.waitstatus_to_exitcode(status)
    if late.is_set():
        output += f"\nstill running after {LIMIT_SECONDS} s\n"
    return output, 1 if late.is_set() else process.returncode, time.monotonic() - started, used.ru_utime + used.ru_stime


def worth_showing(output, failed):
    """The lines to print: all of a failure (its last 200), otherwise the reasons of skips."""
    lines = output.splitlines()
    return ["    " + line for line in (lines[-200:] if failed else lines) if failed or re.match(r"skip |SKIPPED ", line)]


def run_suite(name, commands, build, logs):
    """(counts, the lines to print, the failures: see second_try.try_again) of one suite."""
    counts, seconds, cpu, lines, failures = dict.fromkeys(WORDS, 0), 0.0, 0.0, [], []
    if not commands:
        return dict(counts, failed=1), [f"{name}: no tests: was it built?"], []
    with open(os.path.join(logs, name + ".log"), "w") as log:
        for command in commands:
            output, status, took, used = run(command, environment(build))
            log.write("$ " + " ".join(command) + "\n" + output + "\n")
            got = dict.fromkeys(WORDS, 0) if status == NO_TESTS and "long" in command else count(output, status)
            lines += worth_showing(output, got["failed"])
            if got["failed"]:
                failures.append((name, command, output, got["failed"], environment(build)))
            counts = {word: counts[word] + got[word] for word in WORDS}
            seconds += took
            cpu += used
    lines.append("{:24} {:4d} passed, {:d} failed, {:d} skipped  {:6.1f} s, {:6.1f} s of CPU".format(
        name, *counts.values(), seconds, cpu))
    return counts, lines, failures


def results(chosen, build_of, logs, jobs):
    """(counts, lines, failures) of each suite as it ends."""
    together = [name for name in chosen if jobs > 1 and name not in ALONE]
    # the longest start first, so that none of them is left alone at the end
    together.sort(key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run_suite, name, chosen[name], build_of(name), logs) for name in together]):
            yield done.result()
    for name in chosen:
        if name not in together:
            yield run_suite(name, chosen[name], build_of(name), logs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--asserts", action="store_true", help="the build with asserts, for " + ", ".join(WITH_ASSERTS))
    parser.add_argument("--long", action="store_true", help="the long tests alone, which make test leaves out")
    parser.add_argument("--jobs", type=int, default=1, help="how many suites run at a time")
    parser.add_argument("--tries", type=int, default=2, help="1: what has failed is not tried again, alone")
    parser.add_argument("suite", nargs="*")
    options = parser.parse_args()
    # a shell that starts a command in the background has it ignore SIGINT; the tests of Ctrl-C would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    build = os.path.abspath(options.build)
    logs = os.path.join(build, "test-logs")
    os.makedirs(logs, exist_ok=True)
    found = long_suites(build) if options.long else suites(build)
    unknown = set(options.suite) - set(found)
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    chosen = {name: commands for name, commands in found.items() if not options.suite or name in options.suite}
    total = dict.fromkeys(WORDS, 0)

    def build_of(name):
        return asserts_build(build) if options.asserts and name in WITH_ASSERTS else build

    failed = []
    for counts, lines, failures in results(chosen, build_of, logs, max(1, options.jobs)):
        print("\n".join(lines), flush=True)
        failed += failures
        total = {word: total[word] + counts[word] for word in WORDS}
    if failed and options.tries > 1:
        passed, lines = try_again(failed, run, count)
        print("\n".join(lines), flush=True)
        total["failed"] -= passed
        total["passed"] += passed
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**total))
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
