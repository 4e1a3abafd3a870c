"""What the bench's tests share: the bench as a user calls it, and catalogs of workloads that go wrong."""
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
LIBRARY = Path(os.environ.get("SF_BUILD", TOP / "build")).absolute() / "lib"
sys.path[:0] = [str(TOP), str(LIBRARY), str(TOP / "tests")]
from bench.run import blocks, catalog  # noqa: E402
from matrix import pytest_collection_modifyitems  # noqa: E402, F401

OURS = "snakefish"  # the runtime that runs all


class Bench:
    """Runs python3 -m bench, with the files of `extra` beside the catalog's own."""

    def __init__(self, folder):
        self.extra = folder / "extra"
        self.db = folder / "bench.db"

    def add(self, part, stem, source):
        (self.extra / part).mkdir(parents=True, exist_ok=True)
        (self.extra / part / f"{stem}.py").write_text(source)

    def start(self, *arguments, **options):
        env = {**os.environ, "SNAKEFISH_BENCH_EXTRA": str(self.extra)}
        return subprocess.Popen([sys.executable, "-m", "bench", *map(str, arguments)], cwd=TOP, env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def __call__(self, *arguments, code=0, limit_s=120):
        """Its stdout and stderr, once it has ended with that exit code."""
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)  # it ends its sample
                raise
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        return out, err

    def run(self, *arguments, **options):
        return self("run", "-o", self.db, *arguments, **options)

    def rows(self, query):
        database = sqlite3.connect(self.db)
        database.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in database.execute(query)]
        finally:
            database.close()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def found():
    """What every runtime is and offers, by its name: asked once, because each answer takes a process with its libraries."""
    return {name: blocks.probe(name) for name in catalog.names("runtimes")}


def shared_out(runs):
    """Of what each runtime runs ({runtime: names}) a part: each runtime has one at least, each name is on one at least, and the
    first runtime of this project has all."""
    parts = {runtime: list(names) if runtime == OURS else [] for runtime, names in runs.items()}

    def times(name):
        return sum(name in part for part in parts.values())

    for runtime in sorted(runs, key=lambda runtime: len(runs[runtime])):
        if runs[runtime] and not parts[runtime]:
            parts[runtime].append(min(runs[runtime], key=times))
    for name in sorted({name for names in runs.values() for name in names}):
        others = [runtime for runtime in runs if name in runs[runtime] and runtime != OURS]
        if others and not any(name in parts[runtime] for runtime in others):
            parts[min(others, key=lambda runtime: len(parts[runtime]))].append(name)
    return parts


# A program of one map over four tasks; the injected ones differ in their work function.
PROGRAM = '''
"""injected: a program for the tests"""
import os, signal, time
size, check_size, unit, seconds = 4, 2, "tasks", 0.01
check_output = b"[0, 1]"
MAIN = os.getpid()

def tasks(size, workers):
    return list(range(size))

def combine(size, results):
    return repr(results).encode()

def work(x):
    {work}
    return x
'''


@pytest.fixture
def program():
    """Source of a program whose work function begins with the given statement."""
    return lambda work="pass": PROGRAM.format(work=work)
