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
from matrix import pytest_collection_modifyitems  # noqa: E402, F401


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
