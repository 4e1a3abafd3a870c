"""One clock: millions of events by processes that are pinned to different CPUs, and none in the wrong order.

    python3 tests/stress/clock.py [--events 200000]

Channels between pairs of pinned processes carry numbers until there are so many events, in sessions of a million; meanwhile
children are forked and merged, and marks are written between two readings of CLOCK_MONOTONIC. No receive may stand before
its send, no child before its fork, no merge before its extract; and each mark's time in the database has to lie between its
two readings, within the error that the session states. The last line: "N passed, N failed, N skipped".
"""
import argparse
import contextlib
import os
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(BUILD, "lib"), HERE]

from snakefish import Channel, Thread, trace  # noqa: E402
from snakefish import map as map_  # noqa: E402
from truth import event_ids, open_trace, wrongs_of  # noqa: E402

TRACER = os.path.join(BUILD, "bin", "snakefish-trace")
PAIRS, OF_A_MESSAGE = 2, 4  # events of one: send and receive, begin and end
WINDOW, MARK_EVERY = 32, 1000
OF_A_SESSION, LOG_RECORDS = 1_000_000, 1 << 19  # so none is lost, however slow the collector is
MARK = struct.Struct("iqq")


def pin(number):
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[number % len(cpus)]})


def marked(fd):
    """Writes a mark between two readings of the clock, and the readings into fd."""
    before = time.monotonic_ns()
    trace.mark("between two readings")
    os.write(fd, MARK.pack(os.getpid(), before, time.monotonic_ns()))


def play(events, readings):
    """The program. A pair starts with WINDOW messages under way, so that neither side has to wait."""
    fd = os.open(readings, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    messages = events // OF_A_MESSAGE // PAIRS // 2

    def exchange(cpu, there, back, first):
        pin(cpu)
        for _ in range(WINDOW if first else 0):
            there.send_pyobj(0, True)
        for n in range(messages):
            if n % MARK_EVERY == 0:
                marked(fd)
            back.receive_pyobj()
            there.send_pyobj(n, True)

    def fork_and_merge(pid):
        marked(fd)

    tasks = []
    for pair in range(PAIRS):
        there, back = Channel(1 << 20), Channel(1 << 20)
        tasks += [Thread(exchange, args=(pair, there, back, True)), Thread(exchange, args=(pair + 1, back, there, False))]
    for task in tasks:
        task.start()
    for _ in range(5):
        map_(fork_and_merge, range(4), lambda g: 1, lambda g, extracted: None, 2, 1)
        marked(fd)
    for task in tasks:
        task.join()
        task.get_result()
    marked(fd)


def clock_wrongs(db, readings):
    """Marks whose time in the database is not the time at which they were written. Returns (sentences, how many marks there
    were, the clock's error)."""
    error_ns = db.execute("SELECT value FROM stats WHERE name = 'clock_error_ns'").fetchone()[0]
    start_ns = db.execute("SELECT monotonic_ns FROM clock_snapshot ORDER BY tsc LIMIT 1").fetchone()[0]
    found = {}
    for pid, ns in db.execute("SELECT p.pid, e.ns FROM event_time e JOIN process p ON p.id = e.process "
                              "WHERE e.kind = :mark ORDER BY e.process, e.seq", event_ids(db)):
        found.setdefault(pid, []).append(start_ns + ns)
    written, wrong, count, most = {}, [], 0, 0
    for pid, before, after in MARK.iter_unpack(readings):
        written.setdefault(pid, []).append((before, after))
    for pid, pairs in written.items():
        if len(found.get(pid, ())) != len(pairs):
            wrong.append(f"pid {pid}: {len(found.get(pid, ()))} marks for {len(pairs)}")
        for (before, after), at in zip(pairs, found.get(pid, ())):
            count += 1
            most = max(most, before - at, at - after)
    if most > error_ns:
        wrong.append(f"a mark is {most} ns outside its readings, and the clock's error is said to be {error_ns}")
    return wrong, count, error_ns


def run_session(events):
    """Traces so many events. Returns (how many there were, marks, the clock's error, what is wrong)."""
    with tempfile.TemporaryDirectory() as folder:
        path, readings = os.path.join(folder, "run.db"), os.path.join(folder, "readings")
        done = subprocess.run([TRACER, "record", "-o", path, "--log-records", str(LOG_RECORDS), "--", sys.executable,
                               os.path.abspath(__file__), "--events", str(events), "--play", readings])
        wrong = [f"the program ended with status {done.returncode}"] if done.returncode else []
        with contextlib.closing(open_trace(path)) as db, open(readings, "rb") as file:
            stored = db.execute("SELECT count(*) FROM event").fetchone()[0]
            more, marks, error_ns = clock_wrongs(db, file.read())
            return stored, marks, error_ns, wrong + wrongs_of(db) + more


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--play", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        play(options.events, options.play)
        return 0
    cpus = len(os.sched_getaffinity(0))
    if cpus < 2:
        print("skip clock: there is one CPU only\n0 passed, 0 failed, 1 skipped")
        return 0
    events = marks = error_ns = failed = 0
    while events < options.events and not failed:
        stored, more, error, wrong = run_session(min(OF_A_SESSION, options.events - events))
        events, marks, error_ns, failed = events + stored, marks + more, max(error_ns, error), bool(wrong)
        for sentence in wrong:
            print(f"FAIL clock: {sentence}")
    print(f"clock: {events} events on {cpus} CPUs, {marks} marks between readings, error at most {error_ns} ns")
    print(f"{int(not failed)} passed, {int(failed)} failed, 0 skipped")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
