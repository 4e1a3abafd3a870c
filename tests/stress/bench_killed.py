"""The bench, killed at random moments and resumed: no finished sample is lost, none taken twice, and nothing is left.

    python3 tests/stress/bench_killed.py [--seed S] [--rounds 1] [--kills 5] [--filter TEXT] [--runtimes A,B]

A round is a session of the programs and micro-benchmarks in their smallest sizes, with its memory pass. It is started,
interrupted --kills times, resumed after each interruption, and at last runs to its end. An interruption comes a random
time after a random number of rows is stored. It is SIGKILL to the bench alone, to its process group, or to all processes
of the round except the one that cleans up; or SIGINT; or SIGTERM. After it, what was stored before must be unchanged, and
processes, temporary files and files in /dev/shm must be gone soon. At the end the session must hold what `--dry-run`
says, each sample once, and all outputs right.
The last line: "N passed, N failed, N skipped".
"""
import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import own_shm  # noqa: E402
from trial import Failed, check, is_running  # noqa: E402

MARK = "SNAKEFISH_BENCH_KILLED"  # in the environment of every process that a round starts
RUN = [sys.executable, "-m", "bench", "run"]
RUNTIMES = "sequential,snakefish,snakefish-traced,multiprocessing,joblib,ceiling,floor"
MEMORY_PART = 1.2  # rows of both tables against the samples, about: few enough that they are stored
TABLES = ("sample", "memory")
START_S, LATER_S = 2.0, 0.3  # an interruption comes up to so long after the start, or after the row that it waits for
GONE_S, END_S, POLL_S = 20, 600, 0.02
CLEANER = "lifeline.py"


def ours(mark):
    """{pid: command line} of the running processes that a round has started."""
    found = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark.encode() not in file.read():
                    continue
            with open(f"/proc/{pid}/cmdline") as file:
                command = file.read().replace("\0", " ")
        except OSError:
            continue
        if pid != os.getpid() and is_running(pid):
            found[pid] = command
    return found


def stored(path, table):
    """Its rows; none where there is no such table yet."""
    try:
        database = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
    except sqlite3.Error:
        return set()
    try:
        return set(database.execute(f"SELECT * FROM {table}"))
    except sqlite3.OperationalError:
        return set()
    finally:
        database.close()


class Round:
    def __init__(self, folder, options, seed):
        self.chance, self.seed = random.Random(seed), seed
        self.db, self.tmp = os.path.join(folder, "bench.db"), os.path.join(folder, "tmp")
        os.mkdir(self.tmp)
        self.mark = f"{MARK}={os.getpid()}-{seed}"
        self.env = {**os.environ, "TMPDIR": self.tmp, MARK: self.mark.partition("=")[2], "PYTHONDONTWRITEBYTECODE": "1"}
        self.plan = ["--quick", "--blocks", "1", "--workers", "2", "--memory", "--seed", str(seed % (1 << 31)),
                     "--runtimes", options.runtimes, "--filter", options.filter]
        self.options = options
        self.shm = set(os.listdir("/dev/shm"))

    def start(self, *arguments):
        return subprocess.Popen([*RUN, "-o", self.db, *arguments], cwd=TOP, env=self.env, start_new_session=True, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def goes_on(self):
        """The arguments that go on: a bench that was interrupted before it had a session starts again."""
        return ["--resume"] if stored(self.db, "session") else self.plan

    def is_complete(self):
        """Whether all was stored before the last interruption, which came while the bench said what it has found."""
        return any("complete" in row for row in stored(self.db, "session"))

    def interrupt(self, process):
        how = self.chance.choice(("alone", "group", "all", "SIGINT", "SIGTERM"))
        if how == "alone":
            os.kill(process.pid, signal.SIGKILL)
        elif how == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif how == "all":
            for pid in [process.pid, *(pid for pid, command in ours(self.mark).items() if CLEANER not in command)]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        else:
            os.kill(process.pid, signal.Signals[how])
        return how

    def nothing_left(self, how):
        """The collector of a traced program that was killed finishes its work first, so it takes a moment. Where that
        one was killed too, its session stays, for `snakefish-trace collect`; so do loky's semaphores."""
        deadline = time.monotonic() + GONE_S
        while True:
            left = [*ours(self.mark).values(), *os.listdir(self.tmp)]
            if how == "all":
                self.shm.update(os.listdir("/dev/shm"))
            left += set(os.listdir("/dev/shm")) - self.shm
            if not left:
                return
            check(time.monotonic() < deadline, f"after {how} there is still {left}")
            time.sleep(0.05)

    def life(self, rows):
        """Starts the bench, and interrupts it when so many rows are stored. Returns what happened."""
        if self.is_complete():
            return "complete before"
        process = self.start(*self.goes_on())
        deadline = time.monotonic() + END_S
        while sum(len(stored(self.db, table)) for table in TABLES) < rows:
            check(process.poll() is None and time.monotonic() < deadline, f"{rows} rows are never stored")
            time.sleep(POLL_S)
        time.sleep(self.chance.uniform(0, LATER_S if rows else START_S))
        before = {table: stored(self.db, table) for table in TABLES}
        how = self.interrupt(process)
        process.communicate()
        self.nothing_left(how)
        for table, rows in before.items():
            check(rows <= stored(self.db, table), f"{table}: after {how} it lacks {rows - stored(self.db, table)}")
        return f"{how} at {len(before['sample'])} + {len(before['memory'])}"

    def run(self):
        planned = subprocess.run([*RUN, "--dry-run", "-o", self.db, *self.plan], cwd=TOP, env=self.env, check=True,
                                 text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
        lives, planned = [], planned.splitlines()
        moments = sorted(self.chance.randrange(round(len(planned) * MEMORY_PART)) for _ in range(self.options.kills))
        try:
            for rows in moments:
                lives.append(self.life(rows))
            if not self.is_complete():
                process = self.start(*self.goes_on())
                output, _ = process.communicate(timeout=END_S)
                check(process.returncode == 0, f"resumed to its end, it ended with {process.returncode}:\n{output}")
                self.nothing_left("its end")
            self.complete(planned)
        except Failed as failed:
            raise Failed(f"{', '.join(lives)}: {failed}") from failed
        return ", ".join(lives)

    def complete(self, planned):
        database = sqlite3.connect(self.db)
        try:
            check(database.execute("SELECT status FROM session").fetchall() == [("complete",)], "no complete session")
            rows = database.execute("SELECT block, position, workload, size, runtime, workers, status FROM sample "
                                    "ORDER BY block, position").fetchall()
            check(database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "the database is damaged")
            memory = database.execute("SELECT count(*) FROM memory WHERE peak_pss_bytes > 0").fetchone()[0]
            wanted = database.execute("SELECT count(*) FROM cell JOIN workload w ON w.name = cell.workload "
                                      "WHERE kind = 'program' AND runtime NOT IN ('ceiling', 'snakefish-traced')").fetchone()[0]
        finally:
            database.close()
        found = ["block {} position {}: {} {} {} x{}".format(*row) for row in rows]
        check(found == planned, f"not what was planned: {set(found) ^ set(planned) or 'another order'}")
        check({row[-1] for row in rows} == {"ok"}, f"not all ok: {[row for row in rows if row[-1] != 'ok']}")
        check(memory == wanted, f"memory of {memory}, not of {wanted}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--filter", default="")
    parser.add_argument("--runtimes", default=RUNTIMES)
    options = parser.parse_args()
    own_shm.mount()  # where this user may not, what others leave there counts as ours
    failed = 0
    for seed in range(options.seed, options.seed + options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"ok seed {seed}: {Round(folder, options, seed).run()}", flush=True)
            except Failed as why:
                failed += 1
                print(f"FAILED seed {seed}: {why}", flush=True)
    print(f"{options.rounds - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
