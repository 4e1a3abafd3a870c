"""Counts the instructions of a sample's region, with those of its forked processes, under valgrind's callgrind.

Counted is from the making of the pool or Channel to its end: not the start of the interpreter, imports, and the making of the
input. What a process does while it waits depends on how long that takes, so it is left out: WAITS names the functions of the
library in which that is. The sample runs on one CPU, where the library does not spin, and where the kernel allows it (to root)
under SCHED_FIFO: then a process runs until it waits, whatever else the machine does, so they always meet in the same order.

Programs that the sample starts other than by a fork (joblib's workers, the floor's programs) are not counted.
"""
import ctypes
import functools
import os
import re
import shutil
import subprocess
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.support.paths import library

WAITS = ("wait_at_ring*", "sf_process_wait_any")  # none of them calls another
OURS = "_snakefish."  # how the name of the extension's file begins
NAMED = re.compile(r"(c?ob)=\((\d+)\)(?: (.*))?")
PASSED_ON = re.compile(r"PATH|PYTHONPATH|TMPDIR|SF_BUILD|SNAKEFISH_BENCH_EXTRA|LD_LIBRARY_PATH")


class CannotCount(Exception):
    """Why this machine cannot count instructions."""


@dataclass(frozen=True)
class Counted:
    """processes: how many were counted. own: the instructions that are in the extension itself."""

    processes: int
    instructions: int
    own_instructions: int


def marker():
    """The path of the library that starts and ends the counting in a sample: bench/floor/counting.c."""
    return library().parent / "bin" / "bench-counting.so"


def tool():
    """The name and version of what counts. Raises CannotCount."""
    if not shutil.which("valgrind"):
        raise CannotCount(f"valgrind is not installed: apt-get install valgrind; {hardware()}")
    if not marker().exists():
        raise CannotCount(f"{marker().name} is not built: make bench-floor")
    if not ctypes.CDLL(str(marker())).bench_count_is_built():
        raise CannotCount(f"{marker().name} was built without valgrind/callgrind.h: install valgrind, and make it anew")
    said = subprocess.run(["valgrind", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return f"callgrind {said.strip().rpartition('-')[2]}, {schedule()[0]}"


@functools.lru_cache(maxsize=None)
def schedule():
    """(name of the policy, the command that sets it)"""
    fifo = ["chrt", "--fifo", "1"]
    if subprocess.run([*fifo, "true"], stderr=subprocess.DEVNULL).returncode == 0:
        return "SCHED_FIFO", fifo
    return "SCHED_BATCH", ["chrt", "--batch", "0"]


def hardware():
    """Why the counters of the CPU are no way out, in a few words."""
    if not shutil.which("perf"):
        return "perf is not installed either"
    ended = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"], stderr=subprocess.PIPE, text=True)
    return ("this machine has a counter of instructions (perf stat -e instructions:u), which counts the interpreter's start and "
            "all waiting too: the bench does not use it" if ended.stderr[:1].isdigit() else
            "this machine has no counter of instructions either (perf stat -e instructions:u)")


def command(folder):
    """What comes before the interpreter on the command line; the counts are written into the folder."""
    cpu = min(os.sched_getaffinity(0))
    waits = [f"--toggle-collect={name}" for name in WAITS]
    # --collect-atstart after --toggle-collect, which says no: these functions turn the counting off, not on.
    return ["taskset", "-c", str(cpu), *schedule()[1], "setarch", "-R", "valgrind", "-q", "--tool=callgrind",
            "--instr-atstart=no", *waits, "--collect-atstart=yes", "--dump-line=no",
            f"--callgrind-out-file={folder}/%p", f"--log-file={folder}/log.%p"]


def environment(env):
    """The least that a sample needs, so that no variable of the user's moves what it reads and where that lies."""
    kept = {name: value for name, value in env.items() if PASSED_ON.fullmatch(name)}
    return {**kept, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}


@contextmanager
def counted():
    """In the sample: counts what is in it, where the sample runs under callgrind."""
    marks = ctypes.CDLL(str(marker()))
    if marks.bench_count_start():
        raise CannotCount("a function to call after a fork could not be registered")
    try:
        yield
    finally:
        marks.bench_count_stop()


def read(folder):
    """The Counted of all processes that have written into the folder."""
    parts = [by_object(path) for path in Path(folder).iterdir() if path.name.isdigit()]
    return Counted(len(parts), sum(sum(part.values()) for part in parts),
                   sum(count for part in parts for name, count in part.items() if name.startswith(OURS)))


def by_object(path):
    """{file's name: instructions in the code of that file} of one process."""
    names, found, here, called = {}, defaultdict(int), None, False
    with open(path, errors="replace") as file:
        for line in file:
            if named := NAMED.match(line):
                kind, number, name = named.groups()
                if name:
                    names[number] = os.path.basename(name.strip())
                here = number if kind == "ob" else here
            elif line.startswith("calls="):
                called = True
            elif line[0].isdigit() or line[0] in "+-*":
                if not called:  # else it is what the called function took
                    found[names[here]] += sum(map(int, line.split()[1:2]))
                called = False
    return dict(found)
