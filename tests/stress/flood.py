"""What load the collector can bear: many processes that write steadily lose nothing. If they write as fast as they can, every
loss is counted, and the memory of the collector and of the session stays as small as before.

    python3 tests/stress/flood.py [--processes 8] [--seconds 0] [--rate 100000]

Without --seconds the processes write as fast as they can, for a short time and into small logs: nothing in that depends
on the machine's speed. With --seconds they also write --rate events a second each for that long, and none may be lost;
then they write a hundred times as many events as in the first trial, as fast as they can, in the same memory.
The last line: "N passed, N failed, N skipped".
"""
import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path.insert(0, HERE)

from truth import event_ids, open_trace, wrongs_of  # noqa: E402

TRACER = os.path.join(BUILD, "bin", "snakefish-trace")
WRITERS = os.path.join(BUILD, "tests", "stress", "writers")
RECORD_BYTES, PAGE_BYTES = 32, 4096
COLLECTOR_KIB = 48 << 10  # its peak: SQLite's cache and a batch, whatever there is to collect
ASIDE_LOGS = 64  # COLLECT_ASIDE_LOGS of tracer/collect/collect.h
SPARES = 2  # SPARES_READY of tracer/collect/spares.h
SMALL_LOG, LARGE_LOG = 1 << 12, 1 << 17


def peak_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def session_bytes(pid):
    """What the collector's session holds of /dev/shm now."""
    for entry in os.scandir("/dev/shm"):
        if entry.name.startswith(f"snakefish-{pid}-"):
            return sum(file.stat(follow_symlinks=False).st_blocks * 512 for file in os.scandir(entry.path))
    return 0


def collect(path, processes, events, rate, log_records):
    """Traces the writers. Returns the exit status, and the peaks of the collector and the session."""
    process = subprocess.Popen([TRACER, "record", "-o", path, "--log-records", str(log_records), "--", WRITERS, str(processes),
                                str(events), str(rate)])
    peak = session = 0
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):  # it has just ended, or a log has
            peak, session = max(peak, peak_kib(process.pid)), max(session, session_bytes(process.pid))
        time.sleep(0.01)
    return process.returncode, peak, session


def run(what, processes, events, rate, log_records, may_lose):
    """Runs one trial. Returns what went wrong, as sentences."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.db")
        began = time.monotonic()
        status, peak, session = collect(path, processes, events, rate, log_records)
        seconds = time.monotonic() - began
        db = open_trace(path)
        wrong = wrongs_of(db) + ([f"status {status}"] if status else [])
        emitted, collected, lost = (db.execute("SELECT total(value) FROM stats WHERE name = ?", (name,)).fetchone()[0]
                                    for name in ("emitted", "collected", "lost"))
        size = os.path.getsize(path)
        gaps = db.execute("SELECT count(*) FROM event WHERE kind = :lost", event_ids(db)).fetchone()[0]
        db.close()
    written = processes * (events + 1)  # and the start of each
    if emitted != written + gaps:
        wrong.append(f"{written} events and {gaps} gaps were written, the books say {emitted:.0f}")
    if lost and not may_lose:
        wrong.append(f"{lost:.0f} events are lost")
    if peak > COLLECTOR_KIB:
        wrong.append(f"the collector took {peak} KiB, more than {COLLECTOR_KIB}")
    # The last: what each log may hold when the limit of records set aside is reached.
    logs = processes + 1 + SPARES + ASIDE_LOGS + processes
    spills = (processes + 1) * 2 * PAGE_BYTES  # the page that begins with the header, and a last one that is not full
    most = logs * (PAGE_BYTES + log_records * RECORD_BYTES) + spills + PAGE_BYTES
    if session > most:
        wrong.append(f"the session took {session} bytes, more than {most}")
    print(f"{what}: {emitted:.0f} events of {processes} processes in {seconds:.1f} s with its end, {lost:.0f} lost; collector "
          f"{peak} KiB at most, session {session >> 10} KiB, database {size / max(collected, 1):.1f} bytes an event", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--rate", type=int, default=100_000)
    options = parser.parse_args()
    trials = [("flood", 1_000_000, 0, SMALL_LOG, True)]
    if options.seconds:
        trials += [("steady", int(options.rate * options.seconds), options.rate, LARGE_LOG, False),
                   ("long flood", 100_000_000, 0, SMALL_LOG, True)]
    failed = 0
    for what, events, rate, log_records, may_lose in trials:
        wrong = run(what, options.processes, events, rate, log_records, may_lose)
        failed += bool(wrong)
        for sentence in wrong:
            print(f"FAIL {what}: {sentence}")
    print(f"{len(trials) - failed} passed, {failed} failed, 0 skipped")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
