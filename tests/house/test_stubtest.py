"""mypy's stubtest, which imports the package, finds that it is as the stubs say."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("SF_BUILD", os.path.join(TOP, "build")))


def stubtest(lib, cwd):
    if not importlib.util.find_spec("mypy"):
        pytest.skip(f"{sys.executable} has no mypy")
    env = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEFISH_")}
    return subprocess.run([sys.executable, "-m", "mypy.stubtest", "snakefish"], cwd=cwd, text=True, timeout=300,
                          env={**env, "PYTHONPATH": str(lib)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_the_package_is_as_its_stubs_say(tmp_path):
    done = stubtest(os.path.join(BUILD, "lib"), tmp_path)
    assert done.returncode == 0, done.stdout


def test_it_finds_what_is_not_so(tmp_path):
    shutil.copytree(os.path.join(BUILD, "lib"), tmp_path / "lib")
    with open(tmp_path / "lib" / "snakefish" / "__init__.pyi", "a", encoding="utf-8") as stub:
        stub.write("def is_not_there() -> int: ...\n")
    done = stubtest(tmp_path / "lib", tmp_path)
    assert done.returncode != 0 and "is_not_there" in done.stdout
