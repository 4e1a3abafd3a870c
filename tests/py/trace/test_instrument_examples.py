"""The programs of tracer/README.md, which are in examples/: each gives the same both ways, and the trace tells these apart."""
import pathlib
import subprocess
import sys

import pytest
from conftest import PYPY, environment
from databases import TRACER, Database
from instrumented import needs_collector

pytestmark = [needs_collector, pytest.mark.skipif(PYPY, reason="its processes take seconds to start")]

EXAMPLES = pathlib.Path(__file__).parent / "examples"
HOW = {"grid_search": ("copies", "slices", 5_000), "pipeline": ("lines", "chunks", 1_000), "spawned": ("processes", "pool", 4)}
SAYS = {
    "grid_search": "SELECT total(calls), min(pickling_ns) > 0 FROM submission",
    "pipeline": "SELECT count(*), total(calls) FROM submission WHERE pickling_ns > 0",
    "spawned": "SELECT count(*), 4 FROM process WHERE parent = 1 AND name LIKE 'Spawn%'",
}
FINDS = {"grid_search": [(32, 1), (32, 1)], "pipeline": [(1000, 1000), (2, 1000)], "spawned": [(4, 4), (2, 4)]}


@pytest.mark.parametrize("name", HOW)
def test_an_example_gives_the_same_before_and_after_its_change_and_the_trace_tells_them_apart(name, tmp_path):
    if name == "grid_search":
        pytest.importorskip("joblib"), pytest.importorskip("numpy")
    *ways, size = HOW[name]
    said, found = [], []
    for way in ways:
        path = tmp_path / f"{way}.db"
        done = subprocess.run([TRACER, "record", "-q", "--instrument", "all", "-o", path, "--", sys.executable,
                               EXAMPLES / f"{name}.py", way, str(size)],
                              env=environment(), capture_output=True, text=True, timeout=50)
        assert (done.returncode, done.stderr) == (0, "")
        said.append(done.stdout)
        with Database(path) as db:
            found += db.rows(SAYS[name])
    assert said[0] == said[1] and said[0] and found == FINDS[name]
