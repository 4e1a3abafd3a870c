"""pip installs from the sources, with what a fresh machine has: no network, and neither setuptools nor wheel. What takes
longer, other interpreters and users, is in tests/stress/installs.py."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tarfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import installed  # noqa: E402

NEEDS_VENV = pytest.mark.skipif(not importlib.util.find_spec("ensurepip"), reason=f"{sys.executable} has no ensurepip")
MISSING = os.path.join(installed.TOP, ".ci", "missing")
INCLUDE = sysconfig.get_path("include")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """What the source distribution holds, so that a build finds there all that it needs."""
    place = tmp_path_factory.mktemp("a place")
    with tarfile.open(installed.make_sdist(tmp_path_factory.mktemp("sdist"))) as archive:
        archive.extractall(place)
    found, = place.iterdir()
    return str(found)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Of a new environment, without setuptools."""
    found = installed.make_environment(str(tmp_path_factory.mktemp("an environment") / "venv"))
    installed.start([found, "-m", "pip", "uninstall", "-y", "setuptools"], "/")
    return found


@NEEDS_VENV
@pytest.mark.parametrize("options", [[], ["--no-build-isolation"]], ids=["isolated", "not_isolated"])
def test_pip_installs_a_package_and_a_command_and_takes_them_away(sources, python, tmp_path, options):
    before = installed.files(sources)
    installed.install(python, *options, sources)
    assert installed.files(sources) == before
    venv = os.path.dirname(os.path.dirname(python))
    found = installed.use(python, str(tmp_path))
    assert {found[what].startswith(venv) for what in ("package", "module", "collector")} == {True}
    for command in (os.path.join(venv, "bin", "snakefish-trace"), found["collector"]):
        assert installed.loads(command, python, str(tmp_path))
    installed.run([python, "-m", "pip", "check"], "/")
    installed.run([python, "-m", "pip", "uninstall", "-y", "snakefish"], "/")
    assert "No module named 'snakefish'" in installed.start([python, "-c", "import snakefish"], "/").stdout
    assert not os.path.exists(os.path.join(venv, "bin", "snakefish-trace"))


@NEEDS_VENV
def test_an_editable_install_is_built_in_build_and_shows_each_edit(sources, python, tmp_path):
    before = installed.files(sources)
    installed.install(python, "-e", sources)
    assert installed.files(sources) == before  # no compiled module among the sources
    found = installed.use(python, str(tmp_path))
    assert {found[what].startswith(os.path.join(sources, "build")) for what in ("package", "module", "collector")} == {True}
    assert installed.loads(os.path.join(os.path.dirname(python), "snakefish-trace"), python, str(tmp_path))
    with open(os.path.join(sources, "ext", "snakefish", "_wait.py"), "a") as file:
        file.write("\nEDITED = 'yes'\n")
    assert installed.run([python, "-c", "import snakefish._wait as w; print(w.EDITED)"], "/") == "yes\n"
    installed.run([python, "-m", "pip", "uninstall", "-y", "snakefish"], "/")


@NEEDS_VENV
def test_pip_says_in_a_sentence_that_there_is_no_compiler(sources, python):
    done = installed.start([python, "-m", "pip", "install", sources], "/", CC="no-such-compiler")
    assert done.returncode != 0
    assert "snakefish cannot be built without a C compiler (no-such-compiler). On Debian, as root: make deps" in done.stdout
    assert "Traceback" not in done.stdout and "fatal error" not in done.stdout
    done = installed.start([python, "-m", "pip", "install", sources], "/", PATH=os.path.dirname(python))
    assert "snakefish cannot be built without make. On Debian: apt-get install make" in done.stdout
    assert "Traceback" not in done.stdout


def missing(*arguments):
    done = subprocess.run(["sh", MISSING, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0
    return done.stdout


def test_what_a_build_lacks_is_named(tmp_path):
    assert missing("cc", sys.executable, INCLUDE) == "\n"
    assert missing("cc") == "\n"
    assert missing("nocc") == "a C compiler (nocc)\n"
    assert missing("cc", "python3", str(tmp_path)) == "the headers of python3 (Python.h)\n"
    headers = tmp_path / "usr" / "include"  # all of this system's but SQLite's
    headers.mkdir(parents=True)
    for name in os.listdir("/usr/include"):
        if not name.startswith("sqlite3"):
            os.symlink(os.path.join("/usr/include", name), headers / name)
    assert missing(f"cc --sysroot={tmp_path}", sys.executable, INCLUDE) == "the headers of SQLite (sqlite3.h)\n"
    (tmp_path / "empty").mkdir()
    assert missing(f"cc --sysroot={tmp_path}/empty") == "the headers of C (stdio.h), the headers of SQLite (sqlite3.h)\n"


def test_the_version_is_the_same_everywhere():
    sys.path.insert(0, installed.TOP)
    import build_backend

    version = build_backend.project()["version"]
    for path, line in (("ext/snakefish/__init__.py", f'__version__ = "{version}"\n'),
                       ("tracer/base/version.h", f'#define TRACER_VERSION "{version}"\n')):
        with open(os.path.join(installed.TOP, path), encoding="utf-8") as file:
            assert line in file.read(), path
