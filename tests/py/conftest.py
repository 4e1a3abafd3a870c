"""What the tests of the Python package share: programs in a fresh interpreter, a time limit for every test, and a check
after it that no child, no descriptor and nothing in /dev/shm is left behind."""
import ctypes
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

__import__("own_shm").mount()  # where that is not permitted, other programs can disturb the tests
pytest_collection_modifyitems = __import__("matrix").pytest_collection_modifyitems
snakefish = __import__("snakefish")  # so that what the import opens is open before the first test

LIMIT_S = 60
LONG_LIMIT_S = 300  # of a test with the marker long, which `make stress` runs beside others, at the lowest priority
PYPY = sys.implementation.name == "pypy"


class TimeLimit(BaseException):
    """A test took too long. `except Exception` does not catch it, and it is raised again each second."""


class Ended(NamedTuple):
    status: int
    stdout: str
    stderr: str


def environment(**more):
    """The environment of a program: it uses this build, and inherits no SNAKEFISH_ variable."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEFISH_")}
    inherited = os.environ.get("PYTHONPATH")  # tests/pythons.py passes pytest that way to an interpreter without it
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
    """Waits until it and all processes that hold its output have ended. After the limit its process group is killed."""
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
    """Runs it, checks that its status is 0 and that it wrote nothing to stderr, and returns its stdout."""
    ended = run_the_program(source, *arguments, **more)
    assert ended.status == 0 and ended.stderr == "", f"status {ended.status}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture
def run_program():
    return run_the_program


@pytest.fixture
def check_program():
    return check_the_program


@pytest.fixture
def executor():
    with snakefish.Executor(2) as one:
        yield one


@pytest.fixture
def gate():
    """A Channel for what a test and its children say to each other."""
    with snakefish.Channel(1 << 16) as one:
        yield one


def check_refused_in_a_fork(results):
    """An iterator over results belongs to the process that has made it: a fork is told so, and may close it."""

    def child():
        with pytest.raises(RuntimeError, match=f"process {os.getppid()}"):
            next(results)
        results.close()
        return "done"

    with snakefish.Thread(child) as thread:
        thread.start()
    assert thread.get_result() == "done"


def collect():
    """Frees everything that nothing refers to. PyPy, which counts no references, needs several rounds for objects written
    in C: one to find them, and one to run what their end calls."""
    for _ in range(4 if PYPY else 1):
        gc.collect()


def children():
    """Pids of this process's children, zombies included. Those of a thread that ends meanwhile go to another thread, which
    may have been looked at before: so this looks again until all threads were there."""
    while True:
        found, tasks = set(), os.listdir("/proc/self/task")
        try:
            for task in tasks:
                found.update(map(int, Path(f"/proc/self/task/{task}/children").read_text().split()))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.listdir("/proc/self/task") == tasks:
            return found


def descriptors():
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            pass  # the descriptor that listdir itself used
    return found


def shared_memory():
    return set(os.listdir("/dev/shm"))


def settles(look, limit_s=5):
    """Calls look() until it returns something empty or the limit has passed. Its last result."""
    end = time.monotonic() + limit_s
    while True:
        seen = look()
        if not seen or time.monotonic() > end:
            return seen
        time.sleep(0.05)


def is_running(pid):
    """Whether it is there and no zombie: a zombie stays until its new parent reaps it, which may take long."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def group_members(group):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(pid)) == group and is_running(pid):
                found.append(pid)
        except ProcessLookupError:
            pass
    return found


@pytest.fixture(autouse=True, scope="session")
def collections_are_quick():
    """Excludes from collections what exists before the first test: visiting it each time would take half of the run."""
    collect()
    if not PYPY:
        gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def forks_are_quick():
    """Gives the memory that earlier modules have freed back to the kernel, because each fork copies the tables of all pages."""
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)


_in_test = False  # else TimeLimit would end pytest itself, and all tests after this one would be lost


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call():
    global _in_test
    _in_test = True
    yield
    _in_test = False


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request):
    before = children(), descriptors(), shared_memory()

    limit_s = LONG_LIMIT_S if request.node.get_closest_marker("long") else LIMIT_S
    begun = time.monotonic()

    def too_long(signal_number, frame):
        if _in_test and time.monotonic() - begun > limit_s - 1:  # else it is the alarm of a test, which comes late
            raise TimeLimit(f"after {limit_s} s")

    old = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, limit_s, 1)
    faulthandler.dump_traceback_later(limit_s + 15, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        faulthandler.cancel_dump_traceback_later()

    def new_descriptors():
        return {fd: to for fd, to in descriptors().items() if before[1].get(fd) != to}

    if not PYPY or children() - before[0] or new_descriptors():  # a collection takes PyPy most of a second
        collect()
    new = children() - before[0]
    assert not new, f"children left: {new}"
    assert new_descriptors() == {}, "descriptors left"
    left = settles(lambda: shared_memory() - before[2])
    assert not left, f"left in /dev/shm: {left}"
