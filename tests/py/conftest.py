"""What the tests of the Python package share: programs in a fresh interpreter, a limit of time for every test, and the
look around after it: no child, no descriptor and nothing in /dev/shm may be left behind."""
import faulthandler
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SF_BUILD", TOP / "build")).absolute()
sys.path[:0] = [str(BUILD / "lib"), str(TOP / "tests")]

__import__("own_shm").mount()  # where this user may not, others on this machine can disturb
__import__("snakefish")  # so that what the import opens is there before the first test

LIMIT_S = 60
PYPY = sys.implementation.name == "pypy"


class TimeLimit(BaseException):
    """A test took too long. No `except Exception` swallows it, and it comes again each second."""


class Ended(NamedTuple):
    status: int
    stdout: str
    stderr: str


def environment(**more):
    """What a program is started with: this build, and no trace of ours."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEFISH_")}
    inherited = os.environ.get("PYTHONPATH")  # pytest may be there, for an interpreter that has none
    env["PYTHONPATH"] = os.pathsep.join([str(BUILD / "lib"), str(Path(__file__).parent), *([inherited] if inherited else ())])
    env.update({k: str(v) for k, v in more.items()})
    return env


def start_program(source, *arguments, env=None, options=(), **more):
    """Popen of a fresh interpreter, in a process group of its own, that runs `source`."""
    command = [sys.executable, "-X", "faulthandler", *options, "-c", textwrap.dedent(source), *map(str, arguments)]
    more.setdefault("stdout", subprocess.PIPE)
    more.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen(command, text=True, env=environment(**(env or {})), start_new_session=True, **more)


def finish_program(program, limit_s=30):
    """Waits for its end and that of all who hold its output; past the limit its whole group is killed."""
    try:
        out, err = program.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        out, err = program.communicate()
        pytest.fail(f"the program was still there after {limit_s} s\nstdout:\n{out}\nstderr:\n{err}")
    return Ended(program.returncode, out or "", err or "")


def run_the_program(source, *arguments, limit_s=30, **more):
    return finish_program(start_program(source, *arguments, **more), limit_s)


def check_the_program(source, *arguments, **more):
    """Runs it; it has to end well and say nothing on stderr. Its stdout."""
    ended = run_the_program(source, *arguments, **more)
    assert ended.status == 0 and ended.stderr == "", f"status {ended.status}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture
def run_program():
    return run_the_program


@pytest.fixture
def check_program():
    return check_the_program


def collect():
    """Everything that nobody refers to is gone after it. PyPy counts no references, and wants several rounds for objects
    written in C: one to find them, one to run what their end calls."""
    for _ in range(4 if PYPY else 1):
        gc.collect()


def children():
    """Pids of this process's children, zombies included."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        try:
            found.update(map(int, Path(f"/proc/self/task/{task}/children").read_text().split()))
        except FileNotFoundError:
            pass
    return found


def descriptors():
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            pass  # the one that listed them
    return found


def shared_memory():
    return set(os.listdir("/dev/shm"))


def settles(look, limit_s=5):
    """The last of what look() says, once it is empty or the limit has passed."""
    end = time.monotonic() + limit_s
    while True:
        seen = look()
        if not seen or time.monotonic() > end:
            return seen
        time.sleep(0.05)


def is_running(pid):
    """A process that is no zombie: whoever inherits those may take his time."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(autouse=True, scope="session")
def collections_are_quick():
    """What is here before the first test is garbage in none: collecting it each time would take half of the run."""
    collect()
    if not PYPY:
        gc.freeze()


@pytest.fixture(autouse=True)
def leaves_nothing_behind():
    before = children(), descriptors(), shared_memory()

    def too_long(signal_number, frame):
        raise TimeLimit(f"after {LIMIT_S} s")

    old = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S, 1)
    faulthandler.dump_traceback_later(LIMIT_S + 15, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        faulthandler.cancel_dump_traceback_later()

    def new_descriptors():
        return {fd: to for fd, to in descriptors().items() if before[1].get(fd) != to}

    if not PYPY or children() - before[0] or new_descriptors():  # PyPy takes most of a second
        collect()
    new = children() - before[0]
    assert not new, f"children left: {new}"
    assert new_descriptors() == {}, "descriptors left"
    left = settles(lambda: shared_memory() - before[2])
    assert not left, f"left in /dev/shm: {left}"
