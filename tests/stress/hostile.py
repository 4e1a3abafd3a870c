"""The tracer from end to end, given what is hostile: logs beside those of a healthy program, and traces that somebody changed.

    python3 tests/stress/hostile.py [--cases N] [--seed S] [--seconds LIMIT] [--limit SECONDS] [--jobs N] [--reports N]
                                    [--progress]

Each case is a session whose collector died, with healthy and hostile logs; or a recorded program that puts hostile logs
into its own session; or a good trace with changed values, schema or bytes. The real programs run on it: collect, info,
analyze, analyze --json, export, and for one case in --reports what the report's R code reads of it
(analysis/load_trace.R), for some of them the whole report. Each must end in time, with status 0, or 1 and one sentence; it
prints no control character, valid JSON, and no report of a sanitizer. A session can be collected, and what the healthy
processes wrote is there unharmed: events, counts, times, exit status. If build/san-address-undefined has the collector
(make SAN=address,undefined tracer), every second case runs that one. Case i has the seed S + i; for a failing one the
command that repeats it is printed. The last line: "N passed, N failed, N skipped".
"""
import argparse
import contextlib
import glob
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import hostility  # noqa: E402
import run as faults  # noqa: E402  (it also finds the package)
from snakefish import ChildDied, Thread, get_timestamp, timestamp_frequency, trace  # noqa: E402

BUILD = os.environ.get("SF_BUILD", os.path.join(faults.TOP, "build"))
PLAIN = os.path.join(BUILD, "bin", "snakefish-trace")
SANITIZED = os.path.join(BUILD, "san-address-undefined", "bin", "snakefish-trace")
MARKS_OF_DIRECTION = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LOAD = """
source("analysis/report.R")
load_parts("analysis")
path <- commandArgs(TRUE)
tryCatch(invisible(load_trace(path)), report_error = function(e) { message(conditionMessage(e)); quit(status = 1) })
"""


REFUSALS = re.compile(r": (a map on an Executor \(executor=\) cuts|nobody can tell from where) ")  # of predict


class Case:
    """Runs commands, and keeps what is wrong."""

    def __init__(self, folder, tracer, limit):
        self.folder, self.tracer, self.limit, self.wrong = folder, tracer, limit, []
        self.sentences = {}  # name of a command that failed: what it said

    def run(self, name, *command, cwd=None):
        """The command's standard output, or None: it failed."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd,
                                       preexec_fn=self.set_limit)
            try:
                status = process.wait(20 * self.limit + 60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = -signal.SIGXCPU
            texts = []
            for file in out, err:
                file.seek(0)
                texts.append(file.read())
        said = texts[1].decode(errors="replace").strip()
        if status == -signal.SIGXCPU:
            self.wrong.append(f"{name}: did not end in {self.limit} s of CPU time")
        elif status not in (0, 1):
            self.wrong.append(f"{name}: status {status}: {said[-2000:]}")
        elif status == 1 and (not said or len(said.splitlines()) > 1):
            self.wrong.append(f"{name}: failed, and said {said[-2000:]!r}")
        if re.search(r"integer overflow|runtime error|Sanitizer|Assertion|Error in", said):
            self.wrong.append(f"{name}: {said[-2000:]}")
        for text in texts:
            self.check_text(name, text)
        if status:
            self.sentences[name] = said
        return texts[0] if status == 0 else None

    def set_limit(self):
        """In the command's process: of CPU time, because the machine may have other work to do."""
        resource.setrlimit(resource.RLIMIT_CPU, (self.limit, self.limit + 5))

    def check_text(self, name, text):
        try:
            bad = {c for c in text.decode() if unicodedata.category(c) == "Cc" and c != "\n" or c in MARKS_OF_DIRECTION}
        except UnicodeDecodeError as error:
            bad = error
        if bad:
            self.wrong.append(f"{name}: prints {bad!r}")

    def check_json(self, name, text):
        def refuse(constant):
            raise ValueError(f"{constant} is no number of JSON")
        try:
            json.loads(text.decode(), parse_constant=refuse)
        except ValueError as error:
            self.wrong.append(f"{name}: no JSON: {error}")

    def read_trace(self, path, ours, report):
        """Runs what reads a trace. `ours`: a collector has made it, so nothing may fail, but predict may refuse what
        cannot be handed out anew."""
        exported = path + ".json"
        said = {"info": self.run("info", self.tracer, "info", path),
                "analyze": self.run("analyze", self.tracer, "analyze", path),
                "analyze --json": self.run("analyze --json", self.tracer, "analyze", "--json", path),
                "predict --json": self.run("predict --json", self.tracer, "predict", "--json", path),
                "export": self.run("export", self.tracer, "export", path, "-o", exported)}
        for name in ("analyze --json", "predict --json"):
            if said[name] is not None:
                self.check_json(name, said[name])
        if said["export"] is not None:
            with open(exported, "rb") as file:
                self.check_json("export", file.read())
        # As the command report does it: first the schema is looked at, then R reads.
        if report and said["analyze"] is not None:
            said["report"] = self.run("report", "Rscript", "--vanilla", "-e", LOAD, path, cwd=faults.TOP)
        if report == "whole" and ours:
            said["whole report"] = self.run("whole report", self.tracer, "report", path, "-o", path + ".report")
        for name, text in said.items():
            refused = name == "predict --json" and REFUSALS.search(self.sentences.get(name, ""))
            if ours and text is None and not refused:
                self.wrong.append(f"{name}: failed on a trace that our collector made: {self.sentences.get(name)}")


# ---- sessions ----


def compare(case, what, found, right):
    if found != right:
        different = next((pair for pair in zip(found, right) if pair[0] != pair[1]), (len(found), len(right)))
        case.wrong.append(f"{what}: {different[0]} in place of {different[1]}")


def check_healthy(case, path, logs, hz):
    """What the healthy processes wrote is in the trace, and nothing else is said of them."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for log in logs:
        found = db.execute("SELECT process, taken, collected, begun, lost, damaged, pid FROM log WHERE file = ?",
                           (log.file,)).fetchall()
        count = len(log.records)
        compare(case, f"counts of the {log.name} log", [row[1:] for row in found], [(count, count, count, 0, 0, log.pid)])
        if len(found) != 1:
            continue
        process = found[0][0]
        events = db.execute("SELECT tsc, kind, phase, lane FROM event WHERE process = ? ORDER BY seq", (process,)).fetchall()
        compare(case, f"events of the {log.name} process", events,
                [(tsc, kind, flags & 3, flags >> 2) for tsc, kind, flags, *_ in log.records])
        life, status, parent = db.execute(
            "SELECT p.end_ns - p.start_ns, p.exit_status, q.pid FROM process p LEFT JOIN process q ON q.id = p.parent "
            "WHERE p.id = ?", (process,)).fetchone()
        child = log.pid == hostility.HEALTHY_CHILD
        compare(case, f"fate and parent of the {log.name} process", (status, parent),
                (3, hostility.HEALTHY) if child else (None, None))
        end = logs[0].records[-2][0] if child else log.records[-1][0]  # a child's end is its reap
        right = (end - log.start) / hz * 1e9
        if not 0.95 * right < life < 1.05 * right:
            case.wrong.append(f"the {log.name} process lived {life} ns in place of {right:.0f}")
        stats = dict(db.execute("SELECT name, value FROM stats WHERE process = ?", (process,)))
        compare(case, f"stats of the {log.name} process", stats,
                {"emitted": count, "collected": count, "lost": 0, "torn": 0, "damaged": 0})
    db.close()


def run_session(case, chance, report):
    hz, folder, path = timestamp_frequency(), "/dev/shm/snakefish-%d-0" % os.getpid(), os.path.join(case.folder, "run.db")
    logs, sound = hostility.make_session(chance, folder, get_timestamp(), hz)
    try:
        collected = case.run("collect", case.tracer, "collect", folder, "-o", path) is not None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if sound and not collected:
        case.wrong.append("collect: failed")
    if collected:
        case.read_trace(path, True, report)
    if sound and collected:
        check_healthy(case, path, logs, hz)
    return "session"


# ---- a program that is recorded ----


def play(seed):
    """The traced program: while it writes marks and starts children, a child of it fills the session with hostile logs."""
    chance = hostility.draw(seed)
    session = os.environ["SNAKEFISH_TRACE_SESSION"]
    hostile = Thread(hostility.litter, args=(chance, session, get_timestamp(), timestamp_frequency()))
    hostile.start()

    def child(number):
        for _ in range(100):
            trace.mark("counted")
        sys.exit(number)

    children = [Thread(child, args=(number,), name=f"child {number}") for number in range(3)]
    for task in children:
        task.start()
    for n in range(1000):
        trace.mark("counted")
        time.sleep(0.0001 * (n % 10 == 0))
    hostile.join()
    for task in children:
        task.join()
        with contextlib.suppress(ChildDied):
            task.get_result()
    hostile.get_result()
    sys.exit(7)


def run_program(case, seed, report):
    path = os.path.join(case.folder, "run.db")
    said = subprocess.run([case.tracer, "record", "-q", "-o", path, "--log-records", "4096", "--", sys.executable,
                           os.path.abspath(__file__), "--play", str(seed)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=20 * case.limit + 60)
    if said.returncode != 7 or "Traceback" in said.stderr or "rror:" in said.stderr:
        case.wrong.append(f"record: status {said.returncode}: {said.stderr[-2000:]}")
    case.read_trace(path, True, report)
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    counts = db.execute("""
        SELECT p.name, p.exit_status, (SELECT count(*) FROM event e JOIN text x ON x.id = e.object
                                       WHERE e.process = p.id AND e.kind = k.id AND x.text = 'counted'),
               (SELECT group_concat(value) FROM stats WHERE process = p.id AND name IN ('lost', 'damaged', 'torn'))
        FROM process p JOIN event_kind k ON k.name = 'mark'
        WHERE p.id = (SELECT min(id) FROM process) OR p.name LIKE 'child %' ORDER BY p.exit_status, p.name""").fetchall()
    compare(case, "the program and its children", [row[1:] for row in counts],
            [*((number, 100, "0,0,0") for number in range(3)), (7, 1000, "0,0,0")])
    db.close()
    return "program"


# ---- traces ----


def make_good(folder):
    """A trace of a real program, with the analysis in it."""
    path = os.path.join(folder, "good.db")
    for command in (["record", "-q", "-o", path, "--log-records", "1024", "--", sys.executable, os.path.join(HERE, "books.py"),
                     "--play", "threads", "1", folder], ["analyze", path]):
        subprocess.run([PLAIN, *command], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return path


def run_trace(case, chance, report, good):
    path = os.path.join(case.folder, "run.db")
    shutil.copy(good, path)
    what = hostility.make_trace(chance, path)
    case.read_trace(path, False, report)
    return what


def run_case(seed, options, folder, good):
    """(what it was, what is wrong)"""
    chance = hostility.draw(seed)
    tracer = SANITIZED if seed % 2 and os.path.exists(SANITIZED) else PLAIN
    with tempfile.TemporaryDirectory(dir=folder) as own:
        case = Case(own, tracer, options.limit)
        report = None
        if options.reports and seed % options.reports == 0 and shutil.which("Rscript"):
            report = "whole" if seed // options.reports % 8 == 1 else "load"
        kind = chance.random()
        if kind < 0.5:
            what = run_session(case, chance, report)
        elif kind < 0.6:
            what = run_program(case, seed, report)
        else:
            what = run_trace(case, chance, report, good)
        return what, case.wrong


def job(number, options, results):
    """Runs every --jobs'th case, and writes p(assed) or f(ailed) for each to `results`."""
    faults.libc.prctl(faults.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    faults.own_shm.mount()
    end = time.monotonic() + options.seconds if options.seconds else None
    with tempfile.TemporaryDirectory(prefix="sf-hostile-", dir="/dev/shm") as folder:
        good = make_good(folder)
        for index in range(number, options.trials, options.jobs):
            if end and time.monotonic() > end:
                break
            seed = options.seed + index
            what, wrong = run_case(seed, options, folder, good)
            if wrong:
                print(f"FAIL {what}: " + "\n  ".join(wrong) + "\n  again: python3 tests/stress/hostile.py --cases 1 "
                      f"--seed {seed} --reports {options.reports}", flush=True)
            os.write(results, b"f" if wrong else b"p")
            for left in glob.glob("/dev/shm/snakefish-%d-0" % os.getpid()):
                shutil.rmtree(left)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=60, dest="trials")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="begin no case after so long")
    parser.add_argument("--limit", type=int, default=20, help="seconds of CPU time of a command; most take some 50 ms")
    parser.add_argument("--reports", type=int, default=15, help="R reads one case in so many; 0: none")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--progress", action="store_true", help="a line every ten seconds")
    parser.add_argument("--play", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play is not None:
        return play(options.play)
    return faults.run_jobs(lambda number, results: job(number, options, results), options, "hostile")


if __name__ == "__main__":
    sys.exit(main())
