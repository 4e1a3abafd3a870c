"""joblib's own tests, traced and instrumented, have the results that they have without it.

    python3 tests/stress/peers_joblib.py [--test TEXT] [--limit SECONDS] [--again N] [--keep DIRECTORY] [--list]

As peers.py, for the tests of the modules below, which are pytest's, with `record --instrument all`: each module is run in a
process of its own, plain and traced. They are those of the installed joblib (Debian: python3-joblib); without it, or without
pytest, all is skipped. The last line: "N passed, N failed, N skipped".
"""
import argparse
import collections
import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from peers import BUILD, Differences, TRACER, end_group, run_class

MODULES = ("joblib.test.test_parallel", "joblib.test.test_memmapping", "joblib.test.test_memory",
           "joblib.test.test_numpy_pickle", "joblib.test.test_hashing")
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "-W", "ignore"]


def environment():
    path = os.pathsep.join(filter(None, [os.path.join(BUILD, "lib"), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def root():
    """Under which results are named joblib.test.... Nothing is written there."""
    return os.path.dirname(os.path.dirname(file_of("joblib")))


def file_of(module):
    return importlib.util.find_spec(module).origin


def id_of(case):
    return f"{case.get('classname')}::{case.get('name')}"


def address(test):
    """For pytest: the file and the rest of the id."""
    module, _, rest = test.partition("::")
    return f"{file_of(module)}::{rest}" if rest else file_of(module)


def read_results(path):
    """id -> (result, why)"""
    found = {}
    with contextlib.suppress(FileNotFoundError, xml.etree.ElementTree.ParseError):
        for case in xml.etree.ElementTree.parse(path).iter("testcase"):
            parts = {part.tag: part.get("message") or part.text or "" for part in case}
            words = [(word, result) for word, result in (("failure", "failed"), ("error", "error"), ("skipped", "skipped"))
                     if word in parts]
            found[id_of(case)] = (words[0][1], parts[words[0][0]]) if words else ("passed", "")
    return found


def run(tests, limit, db=None):
    """(id -> (result, why), what was printed, whether it ended in time); as peers.run"""
    with tempfile.TemporaryDirectory(prefix="sf-peers-") as folder, tempfile.TemporaryFile() as output:
        results = os.path.join(folder, "results.xml")
        command = [*PYTEST, "--rootdir", root(), "--basetemp", os.path.join(folder, "t"), "--junitxml", results,
                   *map(address, tests)]
        if db:
            command = [TRACER, "record", "-q", "--instrument", "all", "-o", db, "--", *command]
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   start_new_session=True)
        in_time = end_group(process, limit)
        output.seek(0)
        return read_results(results), output.read().decode(errors="replace"), in_time


def collect(module, folder):
    """The ids of the module's tests, as its results will name them."""
    said = subprocess.run([*PYTEST, "--rootdir", root(), "--collect-only", file_of(module)], cwd=folder, env=environment(),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    return [f"{module}::{line.partition('::')[2]}" for line in said.splitlines() if ".py::" in line]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--test", default="", metavar="TEXT", help="only tests whose ids contain this")
    parser.add_argument("--limit", type=float, default=1200, help="seconds of a module of tests")
    parser.add_argument("--again", type=int, default=3, help="how often a test that differs is run without a trace")
    parser.add_argument("--keep", metavar="DIRECTORY", help="keep the traces there")
    parser.add_argument("--list", action="store_true", help="the tests")
    options = parser.parse_args()
    if not importlib.util.find_spec("joblib") or not importlib.util.find_spec("pytest"):
        print("skip: joblib or pytest is not installed\n0 passed, 0 failed, 1 skipped")
        return 0
    chosen, differences = collections.defaultdict(list), Differences(options, run, "peers_joblib")
    with tempfile.TemporaryDirectory(prefix="sf-peers-") as folder:
        for module in MODULES:
            for test in collect(module, folder):
                if options.test in test:
                    chosen[module].append(test)
        if options.list:
            print("\n".join(test for tests in chosen.values() for test in tests))
            return 0
        folder = options.keep or folder
        os.makedirs(folder, exist_ok=True)
        for module, tests in chosen.items():
            told = differences.failed
            differences.take(module, tests, *run_class(module, tests, options, folder, run))
            print(f"  {module}: {len(tests)} tests, {differences.failed - told} differ", flush=True)
    print(f"{differences.passed} passed, {differences.failed} failed, {differences.skipped} skipped")
    return 1 if differences.failed or not differences.passed else 0


if __name__ == "__main__":
    sys.exit(main())
