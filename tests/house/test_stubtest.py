"""mypy's stubtest, which imports the package, finds that it is as the stubs say."""

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("SF_BUILD", os.path.join(TOP, "build")))


def stubtest(lib, cwd, *packages):
    if not importlib.util.find_spec("mypy"):
        pytest.skip(f"{sys.executable} has no mypy")
    env = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEFISH_")}
    return subprocess.run([sys.executable, "-m", "mypy.stubtest", *packages], cwd=cwd, text=True, timeout=300,
                          env={**env, "PYTHONPATH": str(lib)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_the_package_is_as_its_stubs_say_and_another_is_not(tmp_path):
    """In one run, because what takes long is to read the stubs of the standard library."""
    shutil.copytree(os.path.join(BUILD, "lib", "snakefish"), tmp_path / "lib" / "snakefish")
    (tmp_path / "lib" / "other").mkdir()
    for name, text in (("py.typed", ""), ("__init__.py", ""), ("__init__.pyi", "def is_not_there() -> int: ...\n")):
        (tmp_path / "lib" / "other" / name).write_text(text, encoding="utf-8")
    done = stubtest(tmp_path / "lib", tmp_path, "snakefish", "other")
    assert done.returncode != 0 and "error: other.is_not_there is not present" in done.stdout, done.stdout
    assert done.stdout.count("error: ") == 1, done.stdout
