"""`bench counts`: how many instructions each program and the library's operations take, in a session of their own."""
import tempfile
import time
from types import SimpleNamespace

from bench.run import blocks, choice, counting, plan
from bench.run.choice import Usage
from bench.run.lifeline import Lifeline
from bench.run.progress import Progress
from bench.run.surroundings import environment

RUNTIMES = ("snakefish", "snakefish-executor")
RUNS = 5
WORKERS = 2  # of programs and of maps, on every machine
LIMIT_S = 300


def size_of(workload, size=None):
    """The size that is counted; None where it is not."""
    counted = getattr(workload.module, "counted", workload.check_size if workload.kind == "program" else None)
    return counted and (size or counted)


def takes(workload, runtime, asked):
    """Whether they are counted together: of the Executor, without being asked, only what its map or submit costs."""
    return workload.runs_on(runtime) and (asked or runtime.name == plan.OURS or
                                          runtime.name in getattr(workload.module, "also", ()))


def cells(workloads, runtimes, asked, size=None):
    return [plan.Cell(w.name, size_of(w, size), r.name, w.worker_counts(r, [WORKERS], WORKERS)[0])
            for w in workloads if size_of(w, size) for r in runtimes if r.present and takes(w, r, asked)]


def make(options):
    """The plan of a session that has counts and no samples."""
    everything = SimpleNamespace(filter=options.filter, full=True, official=False)
    workloads = [w for w in choice.workloads(everything) if size_of(w)
                 and (options.filter or w.kind == "micro" or not w.full_only)]
    found = choice.runtimes(options.runtimes or RUNTIMES)
    planned = cells(workloads, found, bool(options.runtimes), options.size)
    if not planned:
        raise Usage("none of these workloads and runtimes is counted: of micro-benchmarks, those that state `counted`")
    used = {cell.runtime for cell in planned}
    return blocks.Plan(workloads, [r for r in found if r.name in used or not r.present], planned, 0, 0, LIMIT_S)


def run(job, store, runs, tool):
    """Counts what is planned. Returns the exit code. Raises Stopped and StoreError."""
    store.mark_running()
    progress = Progress(len(job.cells) * runs)
    with Lifeline() as lifeline:
        try:
            for place, cell in enumerate(job.cells):
                failure = count(cell, job, store, runs, tool, lifeline, lambda done: show(progress, place * runs + done, cell))
                if failure:
                    blocks.fail(job, progress, f"{cell}: {failure}")
            show(progress, progress.total, "done")
        except blocks.Stopped:
            progress.end()
            store.finish_session("interrupted")
            raise
        progress.end()
    store.finish_session("complete")
    return 1 if job.failures else 0


def show(progress, done, what):
    left_s = (time.monotonic() - progress.start) / done * (progress.total - done) if done else 0
    progress.show(done, left_s, what)


def count(cell, job, store, runs, tool, lifeline, tell):
    """Counts one cell so many times. Says what went wrong; None: nothing."""
    tell(0)
    failure = right(job.workload(cell.workload), cell, lifeline, job)
    for number in range(0 if failure else runs):
        tell(number)
        counted, failure = once(cell, lifeline, job.limit_s)
        if failure:
            break
        store.add("instruction_count", workload=cell.workload, size=cell.size, runtime=cell.runtime, workers=cell.workers,
                  run=number, tool=tool, processes=counted.processes, instructions=counted.instructions,
                  own_instructions=counted.own_instructions)
    return failure


def right(workload, cell, lifeline, job):
    """Runs the cell once without counting, after which its modules are compiled. Says what was wrong; None: nothing."""
    sha256 = blocks.reference(workload, cell.size, job.limit_s, lifeline)[1]
    row = blocks.measure(cell, job.limit_s, lifeline, expected=sha256)
    blocks.judge(row, sha256, lambda: blocks.right_output(workload, cell.size, job.limit_s, lifeline))
    return None if row["status"] == "ok" else f"{row['status']}: {row['error']}"


def once(cell, lifeline, limit_s):
    """(Counted, None), or (None, why it could not be counted)."""
    with tempfile.TemporaryDirectory(dir=lifeline.folder) as folder:
        env = counting.environment(environment(lifeline))
        ended, answer = blocks.ask(["--count", cell.workload, cell.size, cell.runtime, cell.workers], limit_s, lifeline,
                                   under=counting.command(folder), env=env)
        if not answer:
            return None, "timeout" if ended.timed_out else ended.failure or "left without a result"
        counted = counting.read(folder)
    return (counted, None) if counted.instructions else (None, "valgrind has written no counts")
