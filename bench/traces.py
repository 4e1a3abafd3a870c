"""`python3 -m bench trace`: programs traced under snakefish and, instrumented, under multiprocessing, a database each, so
that the report can show beside each other where their time went."""
import os
import subprocess
import sys

from bench import catalog, machine, runner
from bench.choice import Usage
from bench.lifeline import Lifeline

RUNTIMES = ("snakefish", "multiprocessing")
SAMPLE = os.path.join(catalog.TOP, "bench", "sample.py")


def collector():
    path = os.path.join(os.path.dirname(str(machine.library())), "bin", "snakefish-trace")
    if not os.access(path, os.X_OK):
        raise Usage(f"there is no collector at {path}: make tracer")
    return path


def trace(names, directory, workers, kernel):
    """0, or 1 when a program failed: its own words are on stderr."""
    tracer, workloads = collector(), [catalog.workload(name) for name in names]
    os.makedirs(directory, exist_ok=True)
    failed = 0
    with Lifeline() as lifeline:
        for workload in workloads:
            for runtime in RUNTIMES:
                path = os.path.abspath(os.path.join(directory, f"{workload.name}-{runtime}.db"))
                env = runner.environment(lifeline)
                if runtime == "multiprocessing":
                    env["SNAKEFISH_TRACE_INSTRUMENT"] = runtime
                count = workers or machine.effective_cpus()
                command = [tracer, "record", *["--kernel"] * kernel, "-o", path, "--", sys.executable, "-m", "snakefish",
                           SAMPLE, workload.name, workload.size, runtime, count]
                done = subprocess.run([str(word) for word in command], cwd=catalog.TOP, env=env, stdout=subprocess.DEVNULL)
                failed += done.returncode != 0 or subprocess.run([tracer, "analyze", path],
                                                                 stdout=subprocess.DEVNULL).returncode != 0
                print(path)
    return 1 if failed else 0
