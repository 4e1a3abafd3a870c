"""What the tests of pip share: a copy of the sources, environments without network, and a program that uses what was
installed."""

import contextlib
import glob
import json
import os
import shutil
import sqlite3
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = """
import json, snakefish
def double(n):
    return 2 * n
with snakefish.trace.session("run.db"):
    doubled = snakefish.map(double, range(1000), 2)
print(json.dumps({"package": snakefish.__file__, "module": snakefish._snakefish.__file__,
                  "right": doubled == [2 * n for n in range(1000)], "collector": snakefish.trace._find_collector()}))
"""


def copy_sources(to):
    """A checkout without what make, Python or pip have written."""
    shutil.copytree(TOP, to, ignore=shutil.ignore_patterns("build", "build-*", ".git", "*.egg-info", "__pycache__"))
    return to


def make_sdist(place):
    """The path of the archive, built from a copy of the sources without what make has built."""
    copy = copy_sources(os.path.join(place, "source"))
    run([sys.executable, "-c", f"import build_backend; print(build_backend.build_sdist({str(place)!r}))"], copy)
    archive, = glob.glob(os.path.join(glob.escape(str(place)), "snakefish-*.tar.gz"))
    return archive


def files(checkout):
    """The files of a checkout besides those under build/."""
    return {os.path.relpath(os.path.join(folder, name), checkout) for folder, _, names in os.walk(checkout) for name in names
            if os.path.relpath(folder, checkout).split(os.sep)[0] not in ("build", "__pycache__")}


def start(command, cwd, **more):
    """The process at its end; its output is text. Neither this build's package nor the network is in reach."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment.update(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_CACHE_DIR="1", CI="true", CFLAGS="-O0", **more)
    return subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=500)


def run(command, cwd, **more):
    """What it says."""
    done = start(command, cwd, **more)
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}"
    return done.stdout


def loads(collector, python, directory):
    """Whether a program that does not import snakefish does so when this command records it."""
    code = "import sys; print('snakefish' in sys.modules)"
    return run([collector, "record", "-q", "-o", "loaded.db", python, "-c", code], directory) == "True\n"


def make_environment(place, python=sys.executable):
    """A virtual environment with pip, and with no more than this interpreter puts into each. The path of its python3."""
    run([python, "-m", "venv", str(place)], os.path.dirname(place))
    return os.path.join(place, "bin", "python3")


def install(python, *arguments, **more):
    return run([python, "-m", "pip", "install", "--no-deps", *map(str, arguments)], "/", **more)


def use(python, place):
    """Runs a traced map, with no more on the PATH than a bare system has. Where it found the package, the compiled module
    and the collector."""
    with open(os.path.join(place, "program.py"), "w") as file:
        file.write(PROGRAM)
    found = json.loads(run([python, "program.py"], place, PATH="/usr/bin:/bin").splitlines()[-1])
    assert found["right"]
    command = os.path.join(os.path.dirname(python), "snakefish-trace")
    assert "no losses" in run([command, "info", "run.db"], place)
    with contextlib.closing(sqlite3.connect(os.path.join(place, "run.db"))) as database:
        kinds = dict(database.execute("SELECT kind, count(*) FROM task GROUP BY kind"))
        assert kinds.get("map") == 1, kinds
        assert database.execute("SELECT count(*) FROM process").fetchone()[0] == 3
    return found
