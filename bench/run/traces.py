"""`python3 -m bench trace`: programs traced under snakefish and, instrumented, under multiprocessing, a database each, so
that the report can show beside each other where their time went.

Traced is the region, as bench/run/sample.py has it. The input is made before, in a process of its own: else the first
runtime would make it for the other one.
"""
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

from bench.run import blocks, catalog, machine
from bench.run.choice import Usage
from bench.run.lifeline import Lifeline
from bench.run.surroundings import environment
from bench.support.paths import TOP, library

RUNTIMES = ("snakefish", "multiprocessing")
SAMPLE = os.path.join(TOP, "bench", "run", "sample.py")


def collector():
    path = os.path.join(os.path.dirname(str(library())), "bin", "snakefish-trace")
    if not os.access(path, os.X_OK):
        raise Usage(f"there is no collector at {path}: make tracer")
    return path


def programs(full):
    """The programs of the Benchmarks Game, or all."""
    found = [catalog.workload(name) for name in catalog.workload_names() if catalog.kind(name) == "program"]
    return [workload for workload in found if full or workload.official]


def trace(names, full, directory, workers, kernel):
    """Returns 0, or 1 when a program failed; the program's own message is on stderr."""
    if full and names:
        raise Usage("--full takes all programs: not with names")
    tracer, cpus, failed = collector(), machine.effective_cpus(), 0
    workloads = [catalog.workload(name) for name in names] or programs(full)
    runtimes = [blocks.probe(name) for name in RUNTIMES]
    os.makedirs(directory, exist_ok=True)
    with Lifeline() as lifeline:
        for workload in workloads:
            if workload.lacks:
                print(f"{workload.name} is absent: {workload.lacks}", file=sys.stderr)
                continue
            if not sample(lifeline, "--prepare", workload.name, workload.size):
                failed += 1
                continue
            for runtime in (runtime for runtime in runtimes if workload.runs_on(runtime)):
                path = os.path.abspath(os.path.join(directory, f"{workload.name}-{runtime.name}.db"))
                (count, *_) = workload.worker_counts(runtime, [workers or cpus], cpus) or [runtime.min_workers]
                went_well = sample(lifeline, workload.name, workload.size, runtime.name, count, path, *["--kernel"] * kernel)
                went_well = went_well and analysed(tracer, path)
                if went_well:
                    note_cell(path, workload, runtime.name, count)
                    print(f"bench: {workload.name}, {runtime.name}: {told(path)}", file=sys.stderr)
                failed += not went_well
                print(path)
    return 1 if failed else 0


def sample(lifeline, *arguments):
    """Whether it went well."""
    command = [sys.executable, SAMPLE, *map(str, arguments)]
    return subprocess.run(command, cwd=TOP, env=environment(lifeline), stdout=subprocess.DEVNULL).returncode == 0


def analysed(tracer, path):
    """Whether the trace now has what the report shows of it: where the time went, and the time on other numbers of CPUs."""
    return not any(subprocess.run([tracer, *words, path], stdout=subprocess.DEVNULL).returncode
                   for words in (["analyze"], ["predict", "--store"]))


def note_cell(path, workload, runtime, workers):
    """Which cell of the bench the trace is of, so that the report can draw it beside what was measured."""
    cell = {"workload": workload.name, "size": workload.size, "runtime": runtime, "workers": workers,
            "same_tasks": int(workload.same_tasks)}
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany("INSERT OR REPLACE INTO meta VALUES(?, ?)", [(f"bench_{key}", value) for key, value in cell.items()])


def told(path):
    """What the trace says first, and before that what is missing in it."""
    with closing(sqlite3.connect(path)) as db:
        lost = db.execute("SELECT name FROM stats WHERE severity <> 'info' GROUP BY name").fetchall()
        advice = db.execute("SELECT sentence FROM advice ORDER BY rank LIMIT 1").fetchall()
    return "; ".join([*(f"{name}: see snakefish-trace info {path}" for (name,) in lost), *(said for (said,) in advice)])
