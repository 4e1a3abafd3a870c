"""What a session says, in short: is snakefish faster, how sure is that, where did the time go, and what next? And
its comparisons, targets and warnings as JSON.

All numbers are those of the tables of results (bench/run/schema.sql)."""
import json
import os
import shlex
import shutil
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import datetime
from statistics import median
from urllib.parse import quote

from bench.results import plot
from bench.results.comparisons import EXECUTOR, OURS
from bench.results.statistics import FASTER, MOST_BLOCKS, NOT_MEASURED, OPEN, REACHED, SAME, SLOWER
from bench.run.blocks import TRACED
from bench.run.progress import spoken
from bench.run.store import DEFAULT_DB

COMPARISON = ("workers", "runtime", "base", "times_as_fast", "low", "high", "blocks", "verdict", "detectable", "more_blocks",
              "kind", "size")
TARGET = ("size", "workers", "base", "best_peer", "what", "is_floor", "times_as_fast", "low", "high", "blocks", "target", "state")
LONGEST_S = 3600  # what next: no longer than this, if anything is decided by less
LINES = 5  # of what is inconclusive, one by one
WIDEST = 100  # columns of a plot
PLOT_HEAD = "  times as fast, with its interval: right of 1 snakefish is the faster one"
ACTIVITIES = 4  # of a critical path: those that take longest
KINDS = {"program": "programs", "micro": "micro-benchmarks"}
ALL_ARE = {FASTER: "faster", SLOWER: "slower", SAME: "no practical difference"}


class Summary:
    """One session's results, read once."""

    def __init__(self, database, session, path):
        self.database, self.session, self.path = database, session, path
        self.method = self.rows("SELECT * FROM computed WHERE session = ?")[0]
        self.comparisons = self.rows("SELECT * FROM comparison WHERE session = ? "
                                     "ORDER BY kind DESC, runtime, workload, size, workers, verdict IS NULL, base")
        self.targets = self.rows("SELECT * FROM target WHERE session = ? ORDER BY workload, size, best_peer DESC, base")

    def rows(self, query, *values):
        """The first ? of the query is the session."""
        return self.database.execute(query, (self.session["id"], *values)).fetchall()

    def judged(self, kind, runtime=OURS):
        return [row for row in self.comparisons if row["verdict"] and row["kind"] == kind and row["runtime"] == runtime]

    def json(self):
        print(json.dumps({
            "comparisons": [as_dict(row, COMPARISON) for row in self.comparisons],
            "targets": [as_dict(row, TARGET) for row in self.targets],
            "warnings": self.warnings()}, indent=1))

    # -- what must be known first

    def warnings(self):
        found = [row["text"] for row in self.rows("SELECT text FROM warning WHERE session = ?")]
        if self.session["status"] != "complete":
            found.append(f"The session is not finished ({self.session['status']}): `run --resume` goes on with it.")
        found += [f"{row['name']} is absent: {row['reason']}" for row in self.rows(
            "SELECT name, reason FROM runtime WHERE session = ? AND status = 'absent'")]
        failed = self.rows("SELECT status, workload, size, runtime, workers, count(*) AS n, min(error) AS error FROM sample "
                           "WHERE session = ? AND status <> 'ok' GROUP BY 1, 2, 3, 4, 5")
        found += [f"{row['n']} {row['status']}: {row['workload']} {row['size']} {row['runtime']} x{row['workers']}: "
                  f"{row['error']}" for row in failed]
        if self.session["blocks"] < self.method["fewest_blocks"]:
            found.append(f"Fewer than {self.method['fewest_blocks']} blocks: no intervals, and no verdicts. More of them:\n  "
                         f"{self.command(self.method['fewest_blocks'] - self.session['blocks'])}")
        return found

    def command(self, blocks, kind="program"):
        only = " --filter micro" if kind == "micro" and self.judged("program") else ""
        return f"python3 -m bench run --resume --blocks +{blocks}{only}{self.named('-o ')}"

    def named(self, option=""):
        """How a command names this database; "" where it is the default one."""
        return "" if os.path.abspath(self.path) == os.path.abspath(DEFAULT_DB) else f" {option}{shlex.quote(str(self.path))}"

    # -- the questions

    def short(self):
        session = self.session
        print(f"session {session['id']}, {session['started']}, {session['status']}, {session['blocks']} blocks")
        for sentence in self.warnings():
            print(f"Warning: {sentence}")
        print("\nFaster?")
        for kind, runtime, what in (("program", OURS, "programs"), ("program", EXECUTOR, "programs by the Executor"),
                                    ("micro", OURS, "micro-benchmarks"), ("micro", EXECUTOR, "micro-benchmarks by the Executor")):
            rows = self.judged(kind, runtime)
            if rows:
                print(f"  {faster_sentence(rows, what)}")
        if not any(row["verdict"] for row in self.comparisons):
            print("  Nothing has a verdict: that takes snakefish and another library, at the same number of workers.")
        if self.targets:
            print(f"  {target_sentence(self.targets)}")
        rows = [*self.judged("program"), *self.judged("program", EXECUTOR)]
        self.plot(rows)
        self.table(rows)
        print("\nHow sure?")
        for sentence in self.sure():
            print(f"  {sentence}")
        where = self.where()
        if where:
            print("\nWhere did it go?")
        for sentence in where:
            print(f"  {sentence}")
        print("\nWhat next?")
        for sentence in self.next():
            print(f"  {sentence}")

    def plot(self, rows):
        """For who looks at it: a terminal that is wide enough."""
        if sys.stdout and sys.stdout.isatty():
            drawn = plot.lines([(f"  {row['workload']} x{row['workers']}" + (", Executor" if row["runtime"] == EXECUTOR else ""),
                                 row["low"], row["times_as_fast"], row["high"]) for row in rows],
                               min(shutil.get_terminal_size().columns, WIDEST), sys.stdout.encoding)
            for line in ["", PLOT_HEAD, *drawn] if drawn else ():
                print(line)

    def table(self, rows):
        if rows:
            print(f"\n  {'':<22}{'workers':>7}  {'against':<24}{'times as fast':<22}{'seen from':>9}  verdict")
        executor = any(row["runtime"] == EXECUTOR for row in rows)
        for row in rows:
            name = row["workload"] + (", Executor" if executor and row["runtime"] == EXECUTOR else "")
            ratio = f"{row['times_as_fast']:.2f}" + (f" [{row['low']:.2f}, {row['high']:.2f}]" if row["low"] is not None else "")
            seen = "" if row["detectable"] is None else percent(row["detectable"])
            print(f"  {name:<22}{row['workers']:>7}  {row['base']:<24}{ratio:<22}{seen:>9}  {row['verdict']}")
        if rows:
            print("  seen from: a difference of so much would have been found, with a probability of "
                  f"{self.method['power']:.0%}")

    def sure(self):
        level = self.method["level"]
        found = [f"Of {round(1 / (1 - level))} sessions in which nothing differs, one says that anything does."]
        for row in self.rows("SELECT * FROM noise WHERE session = ? AND comparisons > 0 ORDER BY kind DESC"):
            found.append(f"snakefish against itself, {KINDS[row['kind']]}: up to {row['largest']:.1%} apart in "
                         f"{row['comparisons']} comparison{'s' * (row['comparisons'] > 1)}, "
                         f"of which {row['different']} would be called a difference.")
        for workers in sorted({row["workers"] for row in self.judged("program")}):
            sizes = [row["detectable"] for row in self.judged("program") if row["workers"] == workers and row["detectable"]]
            if sizes:
                found.append(f"With {workers} worker{'s' * (workers > 1)} a difference of {percent(median(sizes))} would have "
                             "been found in half of the programs.")
        return found

    def where(self):
        """What the session's own trace says, if that lies beside the database and is analysed. Another's may lie there."""
        path = os.path.join(os.path.dirname(self.path), self.session["trace"] or "")
        if not os.path.isfile(path):
            return []
        try:
            with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as trace:
                ((begun_ns,),) = trace.execute("SELECT value FROM meta WHERE key = 'started_realtime_ns'").fetchall()
                shares = trace.execute("SELECT activity, 100 * share FROM path_activity WHERE share > 0 "
                                       "ORDER BY share DESC LIMIT ?", (ACTIVITIES,)).fetchall()
                advice = trace.execute("SELECT sentence FROM advice ORDER BY rank LIMIT 1").fetchall()
        except (sqlite3.Error, ValueError):  # not analysed, or not a trace any more
            return []
        started, finished = (datetime.fromisoformat(at).timestamp() if at else float("inf")
                             for at in (self.session["started"], self.session["finished"]))
        if not shares or not started <= begun_ns / 1e9 <= finished + 1:  # finished: in whole seconds
            return []
        told = ", ".join(f"{activity} {share:.0f} %" for activity, share in shares)
        return [f"The critical path of {TRACED[0]}, traced once: {told}.", *(f"  {sentence}." for (sentence,) in advice),
                "The other programs: python3 -m bench trace"]

    def next(self):
        found = []
        for kind in ("program", "micro"):
            rows = [row for row in self.comparisons if row["verdict"] == OPEN and row["kind"] == kind]
            if any(row["more_blocks"] for row in rows):
                found += self.undecided(kind, sorted((row for row in rows if row["more_blocks"]),
                                                     key=lambda row: row["more_blocks"]))
            few = sum(row["low"] is None for row in rows)
            if few:
                found.append(f"{few} comparison{'s' * (few > 1)} of {KINDS[kind]}: fewer than {self.method['fewest_blocks']} "
                             "blocks with both.")
        if not found and any(row["verdict"] for row in self.comparisons):
            found.append("Everything is decided.")
        return [*found, f"All times, speedups and comparisons: python3 -m bench show --all{self.named()}"]

    def undecided(self, kind, rows):
        block_s = self.block_seconds(kind)

        def cost(row):
            if row["more_blocks"] + row["blocks"] >= MOST_BLOCKS:
                return f"more than {MOST_BLOCKS} blocks"
            return f"{row['more_blocks']} more block{'s' * (row['more_blocks'] > 1)}, {spoken(row['more_blocks'] * block_s)}"

        found = ["Undecided, and what would decide it, if it is as it looks:"]
        found += [f"  {row['workload']} x{row['workers']}: {cost(row)}" for row in rows[:LINES]]
        if len(rows) > LINES:
            found.append(f"  {len(rows) - LINES} others: more than that")
        short = [row["more_blocks"] for row in rows if row["more_blocks"] * block_s <= LONGEST_S]
        (last,) = self.database.execute("SELECT max(id) FROM session").fetchone()
        if last == self.session["id"]:
            found.append(self.command(max(short, default=rows[0]["more_blocks"]), kind))
        return found

    def block_seconds(self, kind):
        """How long another block takes, which holds what is in the most blocks."""
        (seconds,) = self.rows("""
            WITH own AS (SELECT c.* FROM cell c JOIN workload w ON w.session = c.session AND w.name = c.workload
                         AND w.size = c.size WHERE c.session = ? AND (w.kind = ? OR ? = 'program')),
                 most AS (SELECT max(coalesce(blocks, 9e9)) AS blocks FROM own)
            SELECT sum(seconds) FROM (
              SELECT avg(s.wall_ns) / 1e9 AS seconds FROM own JOIN most ON coalesce(own.blocks, 9e9) = most.blocks
              JOIN sample s ON s.session = own.session AND s.workload = own.workload AND s.size = own.size
                AND s.runtime = own.runtime AND s.workers = own.workers
              GROUP BY own.workload, own.size, own.runtime, own.workers)""", kind, kind)[0]
        return seconds or 0.0


def as_dict(row, names):
    return {"program": row["workload"], **{name: row[name] for name in names}}


def faster_sentence(rows, what):
    """"14 programs: faster in 8 of 9 decided, slower in 1; 5 inconclusive. Best ..., worst ..."""
    counts = Counter(row["verdict"] for row in rows)
    decided = len(rows) - counts[OPEN]
    said = [f"{name} in {counts[verdict]}" for verdict, name in ALL_ARE.items() if counts[verdict]]
    head = f"{len(rows)} comparison{'s' * (len(rows) > 1)}, {what}: " + (
        f"{', '.join(said)} of {decided} decided" if decided else "none is decided")
    if counts[OPEN] and decided:
        head += f"; {counts[OPEN]} inconclusive"
    ends = sorted(rows, key=lambda row: row["times_as_fast"])
    told = [f"{ends[-1]['times_as_fast']:.2f} times as fast in {ends[-1]['workload']} x{ends[-1]['workers']}"]
    if len(ends) > 1:
        told.append(f"{ends[0]['times_as_fast']:.2f} in {ends[0]['workload']} x{ends[0]['workers']}")
    return f"{head}.\n    {', '.join(told)}"


def target_base(row):
    """What a row of `target` is held against."""
    if row["base"] == "floor" and row["what"]:
        return f"{'floor' if row['is_floor'] else 'reference'}: {row['what']}"
    return row["base"] + (" (best peer)" if row["best_peer"] else "")


def target_sentence(rows):
    rows = [row for row in rows if row["target"] is not None]
    states = Counter(row["state"] for row in rows)
    others = [row for row in rows if row["state"] not in (REACHED, NOT_MEASURED)]
    told = "".join(f"\n    {row['state']}: {row['workload']}, {row['times_as_fast']:.2f} times as fast as {target_base(row)}, "
                   f"to be {row['target']:.2f}" for row in others)
    return f"{states[REACHED]} of {len(rows) - states[NOT_MEASURED]} targets reached.{told}"


def percent(share):
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
