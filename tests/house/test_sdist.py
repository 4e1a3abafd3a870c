"""The source distribution holds all that a build needs. test_install.py builds from what it holds; that pip takes the archive
itself is long, because everything is compiled once more."""

import importlib.util
import os
import subprocess
import sys
import tarfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import installed  # noqa: E402


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return installed.make_sdist(tmp_path_factory.mktemp("sdist"))


def test_the_sdist_holds_every_source(sdist):
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=installed.TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True).stdout.split()
    if not listed:
        pytest.skip("no git repository to compare with")
    absent = {name for name in listed if os.path.exists(os.path.join(installed.TOP, name))} - there
    assert absent <= {".gitignore"}
    assert "PKG-INFO" in there
    assert not [name for name in there if name.startswith("build/") or name.endswith((".so", ".o", ".pyc"))]


@pytest.mark.long
def test_what_is_installed_from_the_sdist_runs_a_traced_map(sdist, tmp_path):
    if not importlib.util.find_spec("ensurepip"):
        pytest.skip(f"{sys.executable} has no ensurepip")
    python = installed.make_environment(str(tmp_path / "venv"))
    installed.install(python, sdist)
    found = installed.use(python, str(tmp_path))
    assert {found[what].startswith(str(tmp_path / "venv")) for what in ("package", "module", "collector")} == {True}
