"""`python3 -m bench trace`: programs traced under snakefish and, instrumented, under multiprocessing, a database each, so
that the report can show beside each other where their time went."""
import os
import subprocess
import sys

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
            for runtime in (runtime for runtime in runtimes if workload.runs_on(runtime)):
                path = os.path.abspath(os.path.join(directory, f"{workload.name}-{runtime.name}.db"))
                env = environment(lifeline)
                if runtime.name == "multiprocessing":
                    env["SNAKEFISH_TRACE_INSTRUMENT"] = runtime.name
                (count, *_) = workload.worker_counts(runtime, [workers or cpus], cpus) or [runtime.min_workers]
                command = [tracer, "record", *["--kernel"] * kernel, "-o", path, "--", sys.executable,
                           SAMPLE, workload.name, workload.size, runtime.name, count]
                done = subprocess.run([str(word) for word in command], cwd=TOP, env=env, stdout=subprocess.DEVNULL)
                # what the report shows of it: where the time went, and the time on other numbers of CPUs
                failed += done.returncode != 0 or any(
                    subprocess.run([tracer, *words, path], stdout=subprocess.DEVNULL).returncode
                    for words in (["analyze"], ["predict", "--store"]))
                print(path)
    return 1 if failed else 0
