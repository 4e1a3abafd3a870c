"""The counts of a trace balance, whichever process is killed: runs small traced programs, and kills their processes and
their collector at random moments that follow from a seed.

    python3 tests/stress/books.py [--trials N] [--seed S] [--program NAME] [--jobs N] [--limit SECONDS] [--progress]

Each trial is a traced program (Threads, Generators, map, Channels, os.fork, exec), under `snakefish-trace record` or by
trace.start(). SIGKILL hits the program, a child or the collector a few times. Where the collector died,
`snakefish-trace collect` recovers, sometimes while the program still runs, sometimes into another file. Then every
process's emitted = collected + lost + torn, no mark that was written is missing, nothing stands in the wrong order, the
database is whole, and no process and nothing in /dev/shm is left. Trial i has the seed S + i; for a failing one the
command that repeats it is printed (a race may need several repetitions). The last line: "N passed, N failed, N skipped".
"""
import argparse
import collections
import contextlib
import glob
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import run as faults  # noqa: E402  (it also finds the package)
from snakefish import Channel, Generator, Thread, trace  # noqa: E402
from snakefish import map as map_  # noqa: E402
from trial import descendants, is_running  # noqa: E402
from truth import event_ids, open_trace, wrongs_of  # noqa: E402

BUILD = os.environ.get("SF_BUILD", os.path.join(faults.TOP, "build"))
TRACER = os.path.join(BUILD, "bin", "snakefish-trace")
os.environ["PYTHONPATH"] = os.path.join(BUILD, "lib")  # for what is exec'ed
PROGRAMS = {}


class Counts:
    """How many marks each process has written, in a file that outlives it: its pid, once for each mark."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "counts")
        self.fd = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def mark(self):
        """Writes a mark, and counts it if the session is open."""
        trace.mark("counted")
        if trace.enabled():
            os.write(self.fd, struct.pack("i", os.getpid()))

    def by_process(self):
        with open(self.path, "rb") as file:
            return collections.Counter(pid for pid, in struct.iter_unpack("i", file.read()))


# ---- the traced programs: each gets the counts and a random.Random ----


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def work(counts, chance):
    for _ in range(chance.choice((1, 3, 30, 300))):
        counts.mark()
    time.sleep(chance.uniform(0, 0.004))


@program
def threads(counts, chance):
    def run(depth):
        with trace.span("work"):
            work(counts, chance)
        if depth:
            start(depth - 1)
        return b"x" * chance.choice((1, 100000))

    def start(depth):
        tasks = [Thread(run, lambda g: 1, lambda g, extracted: None, args=(depth,)) for _ in range(3)]
        for task in tasks:
            task.start()
        for task in tasks:
            task.join()

    start(1)


@program
def generators(counts, chance):
    def items():
        while True:
            work(counts, chance)
            yield chance.random()

    for prefetch in 0, 3:
        with Generator(items, prefetch=prefetch) as generator:
            generator.start()
            for _ in range(6):
                next(generator)


@program
def maps(counts, chance):
    map_(lambda n: work(counts, chance), range(12), 3, 1)
    map_(lambda n: work(counts, chance), range(8), lambda g: 1, lambda g, extracted: None, 4, 1)


@program
def channels(counts, chance):
    channel = Channel(1 << 14)

    def send():
        for n in range(150):
            channel.send_pyobj((n, b"x" * (n % 700)), True, 0.2)
            counts.mark()

    def receive():
        for _ in range(100):
            # With a timeout: where the senders are dead, it would wait for the program, which could send too.
            channel.receive_pyobj(True, 0.2)
            counts.mark()

    tasks = [Thread(send), Thread(send), Thread(receive), Thread(receive), Thread(receive)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()


@program
def forks(counts, chance):
    """os.fork, two levels deep; the lower processes wait for no other."""
    for depth in range(2):
        for _ in range(4):
            if os.fork() == 0:
                work(counts, chance)
                if depth == 1 or chance.random() < 0.5:
                    os._exit(chance.choice((0, 0, 3)))
                break
    work(counts, chance)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


@program
def execs(counts, chance):
    """Forked children that exec another traced program."""
    code = "import snakefish\nfor n in range(100):\n    snakefish.trace.mark('after its exec')\n"
    for _ in range(2):
        if os.fork() == 0:
            work(counts, chance)
            os.execv(sys.executable, [sys.executable, "-c", code])
    subprocess.run([sys.executable, "-c", code], check=False)
    work(counts, chance)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def play(name, seed, folder, path=None):
    """The program itself; with a path it starts its trace. Errors that killed children cause are not looked at here."""
    counts, chance = Counts(folder), random.Random(f"play {name} {seed}")
    with contextlib.suppress(Exception):
        if path:
            trace.start(path)
        counts.mark()
        end = time.monotonic() + 0.15
        while time.monotonic() < end:
            PROGRAMS[name](counts, chance)
    counts.mark()
    with contextlib.suppress(Exception):
        if path:
            trace.stop()


# ---- the trial ----


def launch(name, seed, folder, path, chance):
    """Starts the program, and returns its pid or that of its `record`."""
    recorded = chance.random() < 0.4
    records = chance.choice(("256", "1024", "131072"))
    output = os.open(os.path.join(folder, "output"), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    pid = os.fork()
    if pid:
        os.close(output)
        return pid
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        if recorded:
            os.execv(TRACER, [TRACER, "record", "-o", path, "--log-records", records, "--", sys.executable,
                              os.path.abspath(__file__), "--play", name, str(seed), folder])
        play(name, seed, folder, path)
        sys.stdout.flush()
    finally:
        os._exit(0)


def sessions():
    return glob.glob("/dev/shm/snakefish-*")


def collector_of(session):
    return int(os.path.basename(session).split("-")[1])


def kill_one(role, program_pid, before, chance):
    """Kills a process of that role, if there is one."""
    there = descendants()
    collectors = {collector_of(s) for s in set(sessions()) - before}.intersection(there)
    if role == "collector":
        found = list(collectors)
    elif role == "program":
        found = [pid for pid in there if pid == program_pid]
    else:
        found = [pid for pid in there if pid != program_pid and pid not in collectors]
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(found), signal.SIGKILL)


def recover(session, path):
    """Collects the session of a collector that is gone. Returns what went wrong."""
    done = subprocess.run([TRACER, "collect", session, "-o", path], capture_output=True, text=True, timeout=60)
    return [] if done.returncode == 0 else [f"collect: {done.stderr.strip()}"]


def state_of(db):
    """The trace's meta.state; None: the collector was killed before it stored one."""
    with contextlib.suppress(sqlite3.OperationalError):
        for state, in db.execute("SELECT value FROM meta WHERE key = 'state'"):
            return state
    return None


def missing_marks(db, counts):
    """Sentences about marks that were written and are neither stored nor counted as lost."""
    stored = dict(db.execute("""
        SELECT p.pid, count(*) FROM event e JOIN process p ON p.id = e.process JOIN text t ON t.id = e.object
        WHERE e.kind = :mark AND t.text IN ('counted', '(lost text)') GROUP BY p.pid""", event_ids(db)))
    lost = dict(db.execute("SELECT p.pid, sum(s.value) FROM stats s JOIN process p ON p.id = s.process "
                           "WHERE s.name IN ('lost', 'torn') GROUP BY p.pid"))
    return [f"pid {pid} wrote {n} marks: {stored.get(pid, 0)} are stored, {lost.get(pid, 'none')} counted as lost"
            for pid, n in counts.items() if n > stored.get(pid, 0) + lost.get(pid, 0)]


def look_at(path, counts):
    """What is wrong with the database at `path`. counts: what must be in it; None: it may be unfinished or missing."""
    if not os.path.exists(path):
        return ["there is no database"] if counts else []
    with contextlib.closing(open_trace(path)) as db:
        if state_of(db) not in ("complete", "recovered"):
            return [f"it was never finished: {state_of(db)}"] if counts else []
        wrong = wrongs_of(db)
        if counts and not db.execute("SELECT value FROM stats WHERE name = 'lost_logs'").fetchone()[0]:
            wrong += missing_marks(db, counts)
        return wrong


def recover_all(path, before):
    """Recovers the sessions whose collectors are gone. Returns how many there were, and what went wrong."""
    count, wrong = 0, []
    for session in set(sessions()) - before:
        if is_running(collector_of(session)):
            continue
        if os.path.exists(os.path.join(session, "session")):
            count += 1
            wrong += recover(session, path)
        else:
            with contextlib.suppress(FileNotFoundError):  # it was about to remove it
                os.rmdir(session)  # its collector was killed between two system calls
    return count, wrong


def run_trial(name, seed, options, private_shm):
    """Runs a trial. Returns what went wrong, and what the program printed."""
    chance = random.Random(f"books {name} {seed}")
    before = set() if private_shm else set(sessions())
    with tempfile.TemporaryDirectory() as folder:
        path, other = os.path.join(folder, "run.db"), os.path.join(folder, "other.db")
        target = other if chance.random() < 0.3 else path
        counts = Counts(folder)
        pid = launch(name, seed, folder, path, chance)
        reach = chance.choice((0.03, 0.1, 0.3))
        plan = sorted((chance.uniform(0, reach), chance.choice(("program", "child", "child", "collector")))
                      for _ in range(chance.randint(0, 4)))
        if chance.random() < 0.8:  # otherwise its start may be hit too
            while not os.path.getsize(counts.path) and is_running(pid):
                time.sleep(0.001)
        started, early, recovered, wrong = time.monotonic(), chance.random() < 0.3, 0, []
        for at, role in plan:
            time.sleep(max(0, started + at - time.monotonic()))
            kill_one(role, pid, before, chance)
            if early:  # while the program runs on
                count, more = recover_all(target, before)
                recovered, wrong = recovered + count, wrong + more
        if not faults.reap_the_rest(options.limit):
            wrong.append(f"these were still there after {options.limit} s: {faults.kill_all()}")
            faults.reap_the_rest(5)
        count, more = recover_all(target, before)
        recovered, wrong = recovered + count, wrong + more
        if private_shm and os.listdir("/dev/shm"):
            wrong.append(f"left in /dev/shm: {os.listdir('/dev/shm')}")
        wrong += look_at(path, None if recovered and target == other else counts.by_process())
        wrong += look_at(other, None)
        os.close(counts.fd)
        with open(os.path.join(folder, "output"), errors="replace") as said:
            return wrong, said.read()


def job(number, options, results):
    """Runs every --jobs'th trial, and writes a letter for each to `results`: p(assed) or f(ailed)."""
    faults.libc.prctl(faults.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    faults.libc.prctl(faults.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    private_shm = faults.own_shm.mount()
    names = sorted(PROGRAMS)
    for index in range(number, options.trials, options.jobs):
        seed = options.seed + index
        name = options.program or names[seed % len(names)]
        wrong, said = run_trial(name, seed, options, private_shm)
        if wrong:
            print(f"FAIL {name}: " + "; ".join(wrong) + f"\n{said}  again: python3 tests/stress/books.py --program {name} "
                  f"--trials 1 --seed {seed}", flush=True)
        os.write(results, b"f" if wrong else b"p")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", choices=sorted(PROGRAMS), metavar="NAME")
    parser.add_argument("--limit", type=float, default=20, help="seconds until all of a trial has to have ended")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--progress", action="store_true", help="a line every ten seconds")
    parser.add_argument("--play", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        name, seed, folder = options.play
        return play(name, int(seed), folder)
    return faults.run_jobs(lambda number, results: job(number, options, results), options, "books")


if __name__ == "__main__":
    sys.exit(main())
