"""The source distribution holds all that a build needs: it is built, installed into a new environment, and used there."""

import contextlib
import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEEDED = ["pip", "setuptools", "wheel", "venv"]
PROGRAM = """
import json, os, shutil, sys
import snakefish
def double(n):
    return 2 * n
with snakefish.trace.session("run.db"):
    doubled = snakefish.map(double, range(1000), 2)
print(json.dumps({"package": snakefish.__file__, "right": doubled == [2 * n for n in range(1000)],
                  "collector": snakefish.trace._find_collector()}))
"""


def run(command, cwd, **more):
    """What it says. Neither this build's package nor the network is in reach."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment.update(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_CACHE_DIR="1", CI="true", **more)
    done = subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The path of the archive, built from a copy of the sources without what make has built."""
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"{sys.executable} has no {', '.join(missing)}")
    place = tmp_path_factory.mktemp("sdist")
    copy = place / "source"
    shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns("build", "build-*", ".git", "*.egg-info", "__pycache__"))
    run([sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_sdist({str(place)!r})"], copy)
    archive, = place.glob("snakefish-*.tar.gz")
    return archive


def test_the_sdist_holds_every_source(sdist):
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True).stdout.split()
    if not listed:
        pytest.skip("no git repository to compare with")
    absent = {name for name in listed if os.path.exists(os.path.join(TOP, name))} - there
    assert absent <= {".gitignore"}
    assert not [name for name in there if name.startswith("build/") or name.endswith((".so", ".o", ".pyc"))]


def test_what_is_installed_from_the_sdist_runs_a_traced_map(sdist, tmp_path):
    venv = tmp_path / "venv"
    # with the system's packages: setuptools and wheel, which build it, come from there
    run([sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", str(venv)], tmp_path)
    python = str(venv / "bin" / "python3")
    run([python, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--ignore-installed", str(sdist)], tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    said = run([python, "program.py"], tmp_path, PATH="/usr/bin:/bin")  # found without the PATH
    found = json.loads(said.splitlines()[-1])
    assert found["right"]
    assert found["package"].startswith(str(venv)) and found["collector"].startswith(str(venv))
    command = venv / "bin" / "snakefish-trace"
    assert os.access(command, os.X_OK)
    assert "no losses" in run([str(command), "info", "run.db"], tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "run.db")) as database:
        kinds = dict(database.execute("SELECT kind, count(*) FROM task GROUP BY kind"))
        assert kinds.get("map") == 1, kinds
        assert database.execute("SELECT count(*) FROM process").fetchone()[0] == 3
