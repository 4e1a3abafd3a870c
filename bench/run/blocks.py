"""Runs a plan: randomised complete blocks, a fresh process for every sample, each stored as soon as it is done."""
import json
import os
import shlex
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Optional

from bench.run import advice, catalog, difference, machine, plan, process
from bench.run.disturbance import Disturbance
from bench.run.lifeline import Lifeline
from bench.run.memory import PeakPss
from bench.run.progress import Progress
from bench.run.store import StoreError
from bench.run.surroundings import environment
from bench.support.paths import TOP

PROBE_LIMIT_S = 30
# 40 maps of about 2 ms: few enough to see each in a timeline. It uses Channels, so that the trace holds messages.
TRACED = ("spectral-norm", 100, "snakefish-channels")
# they use as much as snakefish, as it and its log, and as several sequential programs
NO_MEMORY = ("snakefish-again", "snakefish-traced", "ceiling")


class Stopped(BaseException):
    """A signal asks the run to end. Not an Exception, because no handler of failures may catch it."""

    def __init__(self, number):
        self.exit_code = 128 + number
        super().__init__(signal.Signals(number).name)


@dataclass
class Plan:
    """All that a run needs to know."""

    workloads: list
    runtimes: list  # of catalog.Runtime, including absent ones
    cells: list
    blocks: int
    seed: int
    limit_s: float
    memory: bool = False
    trace: Optional[str] = None
    traced: bool = False  # whether the trace was taken
    margin: float = plan.MARGIN
    minutes: Optional[float] = None  # after the first `fewest`, no block begins with which the run would take longer
    fewest: int = 1
    failures: list = field(default_factory=list)

    def workload(self, name):
        return next(w for w in self.workloads if w.name == name)

    @property
    def samples(self):
        return sum(cell.blocks or self.blocks for cell in self.cells)

    @property
    def cells_of_memory(self):
        """The cells whose memory is measured: programs, under the runtimes that differ in it."""
        return [cell for cell in self.cells if self.memory and self.workload(cell.workload).kind == "program"
                and cell.runtime not in NO_MEMORY]

    def estimate(self):
        cpus = machine.effective_cpus()
        estimate = plan.Estimate(self.cells, self.blocks, lambda c: plan.guess_s(c, self.workload(c.workload), cpus),
                                 once_more=self.cells_of_memory)
        for cell in self.reference_runs.values():
            estimate.more(cell)
        return estimate

    @property
    def reference_runs(self):
        """{(workload, size): the cell whose run gives the right output}, where that is not published."""
        return {(c.workload, c.size): plan.Cell(c.workload, c.size, "sequential", 1) for c in self.cells
                if not self.workload(c.workload).published_sha256(c.size)}


def ask(arguments, limit_s, lifeline=None, under=(), env=None):
    """Runs bench.run.sample with these arguments. Returns how it ended and its answer, {} without one. under: a command that
    runs the interpreter."""
    with process.memory_file("answer") as file:
        command = [*under, sys.executable, "-m", "bench.run.sample", "--answer", str(file.fileno()), *map(str, arguments)]
        ended = process.run(command, cwd=TOP, env=env or environment(lifeline), limit_s=limit_s, watch=lifeline,
                            keep=(file.fileno(),))
        answer = json.loads(process.text(file)) if ended.exit_status == 0 and not ended.timed_out else {}
    return ended, answer


def probe(name):
    """Asks a fresh process whether a runtime is present and what it offers."""
    ended, answer = ask(["--probe", name], PROBE_LIMIT_S)
    if ended.timed_out:
        answer = {"reason": f"its import takes more than {PROBE_LIMIT_S} s"}
    elif not answer:
        answer = {"reason": ended.failure or "its import ended the process"}
    tuples = {key: tuple(answer.pop(key, ())) for key in ("offers", "programs", "only")}
    return catalog.Runtime(name=name, **tuples, **answer)


def measure(cell, limit_s, lifeline, trace=None, expected=None):
    """Runs one sample; returns columns of the table `sample`, without a judgement of the output. expected: the SHA-256 of the
    right output; one that is not right is returned too."""
    load1, disturbance = os.getloadavg()[0], Disturbance()
    trace, expected = [trace] if trace else [], ["--expect", expected] if expected else []
    try:
        ended, answer = ask([*expected, cell.workload, cell.size, cell.runtime, cell.workers, *trace], limit_s, lifeline)
    except ValueError:  # it ended well, without an answer
        return {"status": "crash", "error": "left without a result", "load1": load1, **disturbance.since()}
    usage = ended.rusage
    return {
        "status": "timeout" if ended.timed_out else "ok" if answer else "crash",
        "error": f"ended at its limit of {limit_s:g} s" if ended.timed_out else ended.failure,
        "exit_status": ended.exit_status,
        "wall_ns": ended.wall_ns,
        "user_ns": round(usage.ru_utime * 1e9),
        "system_ns": round(usage.ru_stime * 1e9),
        "minor_faults": usage.ru_minflt,
        "major_faults": usage.ru_majflt,
        "voluntary_switches": usage.ru_nvcsw,
        "involuntary_switches": usage.ru_nivcsw,
        "load1": load1,
        **disturbance.since(),
        **answer,
    }


def judge(row, right_sha256, right_output):
    """Sets output_ok, and the status where the output is wrong or cannot be checked. right_output() -> bytes, or None where they
    are not known."""
    row["output_ok"], output = None, row.pop("output", None)
    if row["status"] == "ok":
        if right_sha256 is None:
            row.update(status="unchecked", error="the right output is not known")
        elif row["output_sha256"] == right_sha256:
            row["output_ok"] = 1
        else:
            where = difference.first(right_output(), output.encode("latin-1"))
            row.update(status="wrong", output_ok=0, error=f"the output is not the right one: {where}")


def reference(workload, size, limit_s, lifeline):
    """Finds the right output: (source, sha256, None) or (source, None, why it is not known).

    Where it is not published, the sequential program computes it, after a check against its published output of another
    size."""
    published = workload.published_sha256(size)
    if published:
        return "published", published, None
    check = workload.published_sha256(workload.check_size)
    for at, right in ((workload.check_size, check), (size, None)):
        row = measure(plan.Cell(workload.name, at, "sequential", 1), limit_s, lifeline)
        if row["status"] != "ok":
            return "sequential", None, f"sequential, size {at}: {row['status']}: {row['error']}"
        if right and row["output_sha256"] != right:
            return "sequential", None, f"sequential, size {at}: the output is not the published one"
    return "sequential", row["output_sha256"], None


def right_output(workload, size, limit_s, lifeline):
    """The right output, or as much of it as a sample hands over; None where it is not known."""
    module = workload.module
    if hasattr(module, "expected"):
        return module.expected(size)
    if size == workload.check_size and hasattr(module, "check_output"):
        return module.check_output
    row = measure(plan.Cell(workload.name, size, "sequential", 1), limit_s, lifeline, expected="any other")
    return row["output"].encode("latin-1") if "output" in row else None


class Judge:
    """Judges the samples of a session. It finds out the right output when it first needs it, which is seldom."""

    def __init__(self, job, right, lifeline):
        self.job, self.right, self.lifeline, self.outputs = job, right, lifeline, {}

    def measured(self, cell, lifeline=None):
        """Columns of the table `sample`."""
        right = self.right[cell.workload, cell.size]
        row = measure(cell, self.job.limit_s, lifeline or self.lifeline, expected=right)
        judge(row, right, lambda: self.output(cell.workload, cell.size))
        return row

    def output(self, name, size):
        if (name, size) not in self.outputs:
            self.outputs[name, size] = right_output(self.job.workload(name), size, self.job.limit_s, self.lifeline)
        return self.outputs[name, size]


def record(job, store, command):
    """Begins a session: stores all that is planned."""
    facts = machine.facts()
    with store.transaction():
        store.start_session(command=command, seed=job.seed, blocks=job.blocks, samples=job.samples, limit_s=job.limit_s,
                            memory=int(job.memory), trace=job.trace and os.path.basename(job.trace), margin=job.margin)
        store.add_machine(facts)
        for r in job.runtimes:
            store.add("runtime", name=r.name, status="present" if r.present else "absent", reason=r.reason,
                      version=r.version, doc=r.doc)
        for name, size in dict.fromkeys((c.workload, c.size) for c in job.cells):
            workload = job.workload(name)
            store.add("workload", name=name, size=size, kind=workload.kind, unit=workload.unit,
                      operation=workload.operation, doc=catalog.about(workload.module))
        for cell in job.cells:
            store.add("cell", **asdict(cell))


def run(job, store):
    """Runs what the store's session does not have yet. Returns the exit code. Raises Stopped and StoreError."""
    store.mark_running()
    progress = Progress(job.samples)
    with Lifeline() as lifeline:
        try:
            estimate = job.estimate()
            before(store, estimate)
            right = references(job, store, progress, lifeline, estimate)
            blocks(job, store, progress, lifeline, right, estimate)
            memory(job, store, progress, lifeline, right, estimate)
            progress.show(job.samples, 0, "done")
        except (Stopped, StoreError) as error:
            progress.end()
            with suppress(StoreError):  # a full disk may have no room for this either
                store.finish_session("interrupted" if isinstance(error, Stopped) else "failed")
            raise
        progress.end()
        if job.trace:
            trace(job, progress, lifeline)
        for sentence in advice.of_session(store):
            store.add("warning", text=sentence)
            progress.say(sentence)
        store.finish_session("complete")
    return 1 if job.failures else 0


def before(store, estimate):
    """Takes from the estimate what the store has from before the session was resumed; its times improve the estimate."""
    for row in store.of_session("sample"):
        if row["wall_ns"] and row["status"] != "timeout":
            estimate.add(cell_of(row), row["wall_ns"] / 1e9)
        else:
            estimate.skip(cell_of(row))
    for row in store.of_session("memory"):
        estimate.skip_once_more(cell_of(row))
    for row in store.of_session("sample"):
        if row["status"] == "timeout":
            estimate.give_up(cell_of(row))


def references(job, store, progress, lifeline, estimate):
    """Finds the right outputs that the store does not have; returns {(workload, size): sha256 or None}."""
    right, reference_runs = {}, job.reference_runs
    done = len(store.of_session("sample"))
    for row in store.of_session("workload"):
        name, size, sha256 = row["name"], row["size"], row["output_sha256"]
        run_of = reference_runs.get((name, size))
        if sha256 is None:
            if run_of:
                progress.show(done, estimate.left_s(), f"the right output of {name} {size}")
            begin = time.monotonic()
            source, sha256, failure = reference(job.workload(name), size, job.limit_s, lifeline)
            store.set_right_output(name, size, source, sha256)
            if failure:
                fail(job, progress, f"{name}: the right output is not known: {failure}")
            if run_of:
                estimate.add(run_of, time.monotonic() - begin)
        elif run_of:
            estimate.skip(run_of)
        right[name, size] = sha256
    return right


def fail(job, progress, sentence):
    job.failures.append(sentence)
    progress.say(sentence)


def blocks(job, store, progress, lifeline, right, estimate):
    """Runs every cell once in each of its blocks, except those that the store has from before."""
    judging = Judge(job, right, lifeline)
    there = {(row["block"], cell_of(row)): row["status"] for row in store.of_session("sample")}
    timed_out = {cell: block for (block, cell), status in there.items() if status == "timeout"}
    begun = datetime.fromisoformat(store.rows("SELECT started FROM session WHERE id = ?", store.session)[0]["started"])
    offset_ns = round(begun.timestamp() * 1e9)
    for (number, cell), status in there.items():
        if status not in ("ok", "skipped"):
            job.failures.append(f"{cell}, block {number}: {status}: before it was resumed")
    done, begun_s = len(there), time.monotonic()
    for number in range(job.blocks):
        if job.minutes and number >= job.fewest:
            each_s = estimate.block_s(plan.block(job.cells, job.seed, number))
            end_s = time.monotonic() - begun_s + estimate.left_s() - each_s * (job.blocks - number - 1)
            if end_s > 60 * job.minutes:
                shorten(job, store, progress, estimate, number)
                return
        there_before = sum(block == number for block, _ in there)
        left = [cell for cell in plan.block(job.cells, job.seed, number) if (number, cell) not in there]
        for position, cell in enumerate(left, there_before):
            progress.show(done, estimate.left_s(), cell)
            begin, begin_ns = time.monotonic(), time.time_ns() - offset_ns
            if cell in timed_out:
                # The limit is long. To wait for it in every block would cost more than the rest of the run.
                row = {"status": "skipped", "error": f"timed out in block {timed_out[cell]}"}
            else:
                row = judging.measured(cell)
            store.add("sample", block=number, position=position, workload=cell.workload, size=cell.size,
                      runtime=cell.runtime, workers=cell.workers, start_ns=begin_ns, **row)
            done += 1
            if row["status"] == "timeout":
                timed_out[cell] = number
                estimate.give_up(cell)
            elif row["status"] != "skipped":
                estimate.add(cell, time.monotonic() - begin)
            if row["status"] not in ("ok", "skipped"):
                fail(job, progress, f"{cell}, block {number}: {row['status']}: {row['error']}")


def shorten(job, store, progress, estimate, number):
    """Ends the blocks before the one with that number, because the time is over. Cells that are in all blocks stay so: they are
    what a resumed session takes more of."""
    progress.say(f"{number} of {job.blocks} blocks fit into {job.minutes:g} minutes; for the others: "
                 f"python3 -m bench run -o {shlex.quote(str(store.path))} --resume --blocks +{job.blocks - number}")
    estimate.no_more_blocks()
    job.blocks = number
    job.cells = [replace(cell, blocks=cell.blocks and min(cell.blocks, number)) for cell in job.cells]
    store.change_blocks(job.cells, number, job.samples)
    progress.total = job.samples


def cell_of(row):
    return plan.Cell(row["workload"], row["size"], row["runtime"], row["workers"])


def memory(job, store, progress, lifeline, right, estimate):
    """Runs each program once more while its memory is read from outside. These times are not kept."""
    judging = Judge(job, right, lifeline)
    there = {cell_of(row) for row in store.of_session("memory")}
    timed_out = {cell_of(row) for row in store.of_session("sample") if row["status"] == "timeout"}
    for cell in job.cells_of_memory:
        if cell in there or cell in timed_out:
            continue
        progress.show(job.samples, estimate.left_s(), f"memory of {cell}")
        begin = time.monotonic()
        peak = PeakPss(lifeline)
        row = judging.measured(cell, peak)
        well = row["status"] == "ok"
        store.add("memory", workload=cell.workload, size=cell.size, runtime=cell.runtime, workers=cell.workers,
                  peak_pss_bytes=peak.peak_bytes if well else None, processes=peak.processes if well else None,
                  readings=peak.readings)
        estimate.add_once_more(cell, time.monotonic() - begin)
        if not well:
            fail(job, progress, f"memory of {cell}: {row['status']}: {row['error']}")


def trace(job, progress, lifeline):
    """Runs a program once more, traced into a database that is kept."""
    cell = plan.Cell(*TRACED, machine.effective_cpus())
    runtime = probe(cell.runtime)
    if not runtime.present:
        why = f"{runtime.name} is absent: {runtime.reason}"
    else:
        row = measure(cell, job.limit_s, lifeline, os.path.abspath(job.trace))
        why = None if row["status"] == "ok" else f"{row['status']}: {row['error']}"
    job.traced = not why
    if why:
        fail(job, progress, f"{cell}: no trace: {why}")
