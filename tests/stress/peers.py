"""CPython's own tests of multiprocessing and concurrent.futures, traced and instrumented, have the results that they have
without it.

    python3 tests/stress/peers.py [--test TEXT] [--jobs N] [--limit SECONDS] [--again N] [--keep DIRECTORY] [--list]

snakefish's Executor is among the executors: its tests are those of ProcessPoolExecutor (tests/py/executor_peers.py).

Each class of tests is run twice, in processes of its own: plain, and under `snakefish-trace record` with
SNAKEFISH_TRACE_INSTRUMENT=all. Every test must have the same result both times: passed, failed, an error, or
skipped. Where it has not, the test is run alone, plain, --again times: a result that it has there too at least once is a
whim of the test, and is only told. Each trace must have closed books and no event that stands before its cause. The tests
are those of this interpreter's package `test` (Debian: libpython3.11-testsuite); where that is missing, all is skipped.
The last line: "N passed, N failed, N skipped".
"""
import argparse
import collections
import concurrent.futures
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "tests", "py")]

from truth import CAUSALITY, counts, open_trace  # noqa: E402

BUILD = os.path.abspath(os.environ.get("SF_BUILD", os.path.join(TOP, "build")))
TRACER = os.path.join(BUILD, "bin", "snakefish-trace")
MODULES = ("test.test_multiprocessing_fork", "test.test_concurrent_futures")
OURS = "executor_peers"  # the tests of the last one, with snakefish's Executor
MISSING = "the tests of this Python are not installed (Debian: libpython3.11-testsuite)"


# ---- inside the process that runs tests ----


class Noted(unittest.TextTestResult):
    """Writes a line of JSON about each test into a file: its id, its result, and why."""

    notes = None

    def startTest(self, test):
        super().startTest(test)
        self.found = ("passed", "")

    def note(self, result, why):
        self.found = (result, why)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note("failed", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        if isinstance(test, unittest.TestCase):
            self.note("error", self.errors[-1][1])
        else:  # of setUpClass, setUpModule and the like
            self.write(test.id(), "error", self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.note("failed", f"{subtest}: {err[1]}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if isinstance(test, unittest.TestCase):
            self.note("skipped", reason)
        else:
            self.write(test.id(), "skipped", reason)

    def stopTest(self, test):
        self.write(test.id(), *self.found)
        super().stopTest(test)

    def write(self, *line):
        with open(self.notes, "a") as file:
            file.write(json.dumps(line) + "\n")


def run_tests(notes, *names):
    Noted.notes = notes
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    unittest.TextTestRunner(resultclass=Noted, verbosity=2).run(suite)


# ---- the driver ----


def tests_of(module):
    """Class -> ids of its tests."""
    found = collections.defaultdict(list)

    def walk(suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                walk(test)
            else:
                found[f"{type(test).__module__}.{type(test).__qualname__}"].append(test.id())

    walk(unittest.defaultTestLoader.loadTestsFromName(module))
    return found


def end_group(process, limit):
    """Whether this leader of a process group has ended within so many seconds; if not, the group is killed."""
    try:
        process.wait(limit)
        return True
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


def run(names, limit, db=None):
    """(id -> (result, why), what was printed, whether it ended in time)."""
    path = os.pathsep.join(filter(None, [os.path.join(BUILD, "lib"), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, os.path.abspath(__file__), "--run"]
    if db:
        environment["SNAKEFISH_TRACE_INSTRUMENT"] = "all"
        command = [TRACER, "record", "-q", "-o", db, "--", sys.executable, "-m", "snakefish", *command[1:]]
    with tempfile.TemporaryDirectory(prefix="sf-peers-") as folder, tempfile.TemporaryFile() as output:
        notes = os.path.join(folder, "notes")
        process = subprocess.Popen([*command, notes, *names], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output, start_new_session=True)
        in_time = end_group(process, limit)
        output.seek(0)
        said = output.read().decode(errors="replace")
        found = {}
        with contextlib.suppress(FileNotFoundError), open(notes) as lines:
            for line in lines:
                test, result, why = json.loads(line)
                found[test] = (result, why)
        return found, said, in_time


def wrongs_of_trace(path):
    """What is wrong with the trace, a list of sentences."""
    if not os.path.exists(path):
        return ["there is no trace"]
    with contextlib.closing(open_trace(path)) as db:
        wrong = [f"{name} of process {process}: {value}" for name, process, value in
                 db.execute("SELECT name, process, value FROM stats WHERE severity = 'error'")]
        if db.execute("SELECT value FROM stats WHERE name = 'books'").fetchall() != [("closed",)]:
            wrong.append("the books are not closed")
        return wrong + counts(db, CAUSALITY)


class Differences:
    """What the driver found, counted and told. driver: the file that runs such tests, by its run()."""

    def __init__(self, options, run=None, driver="peers"):
        self.options, self.run, self.driver = options, run, driver
        self.passed = self.failed = self.skipped = 0

    def compare(self, test, plain, traced):
        if plain[0] == traced[0]:
            self.skipped += plain[0] == "skipped"
            self.passed += plain[0] != "skipped"
            return
        once_more = self.run or run
        again = [once_more([test], self.options.limit)[0].get(test, ("ended early", ""))[0] for _ in range(self.options.again)]
        if traced[0] in again:
            self.passed += 1
            print(f"  {test}: {traced[0]}, and so in {again.count(traced[0])} of {len(again)} runs without a trace")
            return
        self.failed += 1
        print(f"FAIL {test}: {plain[0]} without a trace ({len(again)} times more: {', '.join(sorted(set(again)))}), "
              f"{traced[0]} with one\n    " + "\n    ".join(traced[1].strip().splitlines()[-25:]) +
              f"\n  again: python3 tests/stress/{self.driver}.py --test {test}", flush=True)

    def take(self, name, tests, plain, traced, wrong):
        (plain, _, _), (traced, said, in_time) = plain, traced
        missing = ("ended early" if in_time else f"not ended in {self.options.limit:g} s", said[-1500:])
        for test in tests:
            early = traced.get(name) or traced.get(f"setUpClass ({name})") or missing
            self.compare(test, plain.get(test, ("ended early", "")), traced.get(test, early))
        self.failed += bool(wrong)
        self.passed += not wrong
        if wrong:
            print(f"FAIL the trace of {name}: " + "; ".join(wrong[:10]) +
                  f"\n  again: python3 tests/stress/{self.driver}.py --test {name}", flush=True)


def run_class(name, tests, options, folder, run=run):
    """Both runs of a class, and what is wrong with its trace."""
    db = os.path.join(folder, name + ".db")
    plain = run(tests, options.limit)
    traced = run(tests, options.limit, db)
    wrong = wrongs_of_trace(db)
    if not options.keep:
        with contextlib.suppress(FileNotFoundError):
            os.remove(db)
    return plain, traced, wrong


def main():
    if sys.argv[1:2] == ["--run"]:
        return run_tests(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--test", default="", metavar="TEXT", help="only tests whose ids contain this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=600, help="seconds of a class of tests")
    parser.add_argument("--again", type=int, default=5, help="how often a test that differs is run without a trace")
    parser.add_argument("--keep", metavar="DIRECTORY", help="keep the traces there")
    parser.add_argument("--list", action="store_true", help="the tests")
    options = parser.parse_args()
    try:
        found = {module: importlib.util.find_spec(module) for module in MODULES}
    except ModuleNotFoundError:  # there is no package `test`
        found = dict.fromkeys(MODULES)
    chosen, differences = {}, Differences(options)
    for module in MODULES:
        if not found[module]:
            print(f"skip {module}: {MISSING}")
            differences.skipped += 1
            continue
        for name, tests in [*tests_of(module).items(), *(tests_of(OURS).items() if module == MODULES[-1] else ())]:
            tests = [test for test in tests if options.test in test]
            if tests:
                chosen[name] = tests
    if options.list:
        print("\n".join(test for tests in chosen.values() for test in tests))
        return 0
    with tempfile.TemporaryDirectory(prefix="sf-peers-") as folder, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as jobs:
        folder = options.keep or folder
        os.makedirs(folder, exist_ok=True)
        running = {jobs.submit(run_class, name, tests, options, folder): name for name, tests in chosen.items()}
        for future in concurrent.futures.as_completed(running):
            name = running[future]
            differences.take(name, chosen[name], *future.result())
    print(f"{differences.passed} passed, {differences.failed} failed, {differences.skipped} skipped")
    return 1 if differences.failed or (chosen and not differences.passed) else 0


if __name__ == "__main__":
    sys.exit(main())
