"""Prints a session, in short (summary.py) or all of it: times, speedups and verdicts, on 100 columns. All numbers are those of
the tables of results."""
import os
from collections import Counter, defaultdict

from bench.results import compute
from bench.results.comparisons import COMPARED, CONTROL, OURS
from bench.results.statistics import NOT_MEASURED, REACHED
from bench.results.summary import KINDS, Summary, target_base

UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns"))
PURPOSE = {("snakefish-traced", "snakefish"): ": what tracing costs"}


def show(path, number=None, everything=False, as_json=False):
    """Returns the exit code. Raises StoreError where there is no such session."""
    with compute.opened(path, number) as (database, session):
        if as_json:
            Summary(database, session, path).json()
            return 0
        if everything:
            _Shown(database, session, path).all()
        else:
            Summary(database, session, path).short()
    print(f"\n{os.path.abspath(path)}")
    return 0


class _Shown(Summary):
    """One session, printed part by part."""

    def all(self):
        self.head()
        for workload in self.rows("SELECT DISTINCT w.* FROM workload w JOIN cell c ON c.session = w.session "
                                  "AND c.workload = w.name AND c.size = w.size WHERE w.session = ? "
                                  "AND c.series IN ('strong', 'both') ORDER BY w.kind DESC, w.name, w.size"):
            self.workload(workload)
        self.overall()
        self.targets_in_all()
        self.weak()
        self.break_even()
        self.memory()
        self.foot()

    def head(self):
        session = self.session
        print(f"session {session['id']}, {session['started']}, {session['status']}: "
              f"{self.method['samples']} of {session['samples']} samples, {session['blocks']} blocks, "
              f"seed {session['seed']}")
        facts = defaultdict(lambda: "unknown", map(tuple, self.rows("SELECT key, value FROM machine WHERE session = ?")))
        changed = {0: "", 1: " and changes"}.get(facts["dirty"], "")
        print(f"{facts['cpu_model']}, {facts['effective_cpus']} of {facts['cpus']} CPUs, {facts['kernel']}\n"
              f"{facts['python']}, commit {str(facts['commit'])[:12]}{changed}, load {facts['load1']} at the start")
        if facts["environment_left_out"] not in ("", "unknown"):
            print(f"samples ran without {facts['environment_left_out']}")
        for sentence in self.warnings():
            print(f"Warning: {sentence}")

    def workload(self, workload):
        of = workload["name"], workload["size"]
        what = f"{workload['size']} {workload['unit']}"
        if workload["kind"] == "micro":
            (operations,) = self.rows("SELECT max(operations) FROM sample WHERE session = ? AND workload = ? "
                                      "AND size = ? AND runtime <> 'ceiling' AND output_ok = 1", *of)[0]
            what = f"one {workload['operation']} of {operations if operations == workload['size'] else what}"
        else:
            what += ": the parallel region"
        print(f"\n{workload['name']}, {what}")
        if not self.rows("SELECT 1 FROM estimate WHERE session = ? AND workload = ? AND size = ? LIMIT 1", *of):
            print("  no right output: nothing to compare")
            return
        self.times(of, workload["kind"])
        there = {row["base"] for row in self.rows(
            "SELECT base FROM target WHERE session = ? AND workload = ? AND size = ?", *of)}
        for runtime, base in self.pairs(of):
            if runtime != OURS or base not in there:  # else it stands among the targets
                self.comparison(of, runtime, base)
        self.targets_of(of)

    def times(self, of, kind):
        speedups = {(row["runtime"], row["workers"]): row for row in self.rows(
            "SELECT * FROM speedup WHERE session = ? AND workload = ? AND size = ?", *of)} if kind == "program" else {}
        head = f"  {'runtime':<27}{'workers':>7}{'blocks':>8}{'median':>11}   {'95 % interval':<17}"
        print((head + (f"{'speedup':>7}   95 % interval" if speedups else "")).rstrip())
        floor = next((row["is_floor"] for row in self.rows(
            "SELECT is_floor FROM target WHERE session = ? AND workload = ? AND size = ? AND base = 'floor'", *of)), None)
        for row in self.rows("SELECT * FROM estimate WHERE session = ? AND workload = ? AND size = ? "
                             "ORDER BY runtime <> 'sequential', runtime, workers", *of):
            name, ns, bounds = row["runtime"], row["median_ns"], (row["low_ns"], row["high_ns"])
            if name == "floor" and floor:
                name, ns, bounds = "floor (the least)", row["least_ns"], (None, None)
            elif name == "floor" and floor == 0:
                name = "reference"
            scale, unit = next((s, u) for s, u in UNITS if ns >= s or s == 1)
            digits = 2 if ns < 10 * scale else 1
            line = (f"  {name:<27}{row['workers']:>7}{row['blocks']:>8}{ns / scale:>8.{digits}f} {unit:<2}"
                    f"   {interval(*bounds, digits, scale):<17}")
            speedup = speedups.get((row["runtime"], row["workers"]))
            if speedup:
                line += f"{speedup['speedup']:>7.2f}   {interval(speedup['low'], speedup['high'], 2)}"
            print(line.rstrip())

    def pairs(self, of):
        """The pairs of runtimes that are compared there, in the order in which they are printed."""
        there = {(row["runtime"], row["base"]) for row in self.rows(
            "SELECT DISTINCT runtime, base FROM comparison WHERE session = ? AND workload = ? AND size = ?", *of)}
        return [*(pair for pair in COMPARED if pair in there), *sorted(there - {*COMPARED, CONTROL})]

    def comparison(self, of, runtime, base):
        print(f"  {title(runtime, base)}")
        for row in self.rows("SELECT * FROM comparison WHERE session = ? AND workload = ? AND size = ? AND runtime = ? "
                             "AND base = ? ORDER BY workers", *of, runtime, base):
            print(f"  {'':<21}{row['workers']:>13}{row['blocks']:>8}{row['times_as_fast']:>8.3f}      "
                  f"{interval(row['low'], row['high'], 3):<18}{verdict_text(row)}".rstrip())

    def targets_of(self, of):
        rows = self.rows("SELECT * FROM target WHERE session = ? AND workload = ? AND size = ? "
                         "ORDER BY best_peer DESC, base = 'floor', base", *of)
        if rows:
            print(f"  {'snakefish, times as fast as':<40}{'':>8}  {'95 % interval':<18}target")
        for row in rows:
            found = f"{row['times_as_fast']:>8.3f}" if row["times_as_fast"] is not None else f"{'':>8}"
            line = f"  {target_base(row):<40}{found}  {interval(row['low'], row['high'], 3):<18}"
            if row["target"] is not None:
                line += f">= {row['target']:.3f} {row['state']}"
            print(line.rstrip())

    def overall(self):
        rows = self.rows("SELECT * FROM overall WHERE session = ? AND workers IS NULL AND comparisons > 1 "
                         "ORDER BY base <> 'multiprocessing', runtime = 'snakefish', base")
        if rows:
            print("\nall programs at all numbers of workers: the geometric mean")
        for row in rows:
            print(f"  {title(row['runtime'], row['base']):<66}{row['times_as_fast']:>7.3f}  "
                  f"{interval(row['low'], row['high'], 3):<18}of {row['comparisons']}")

    def targets_in_all(self):
        rows = self.rows("SELECT * FROM target WHERE session = ? AND target IS NOT NULL "
                         "ORDER BY workload, base = 'floor', base")
        if not rows:
            return
        states = Counter(row["state"] for row in rows)
        measured = len(rows) - states[NOT_MEASURED]
        head = f"targets: {states[REACHED]} of {measured} reached" + "".join(
            f", {states[state]} {state}" for state in ("missed", "unsure", NOT_MEASURED) if states[state])
        others = [row for row in rows if row["state"] != REACHED]
        print(f"\n{head}" + ("; the others:" if others else ""))
        for row in others:
            found = "" if row["times_as_fast"] is None else f"{row['times_as_fast']:.3f}, "
            print(f"  {row['workload']:<24}{target_base(row):<40}>= {row['target']:.3f}: {found}{row['state']}")

    def weak(self):
        rows = self.rows("SELECT * FROM weak_scaling WHERE session = ? ORDER BY workload, runtime, workers")
        if rows:
            print("\nweak scaling: the sequential time of one share of the work, over the time of all shares\n"
                  f"  {'program':<20}{'runtime':<19}{'workers':>7}{'size':>10}{'efficiency':>12}   95 % interval")
        for row in rows:
            print(f"  {row['workload']:<20}{row['runtime']:<19}{row['workers']:>7}{row['size']:>10}"
                  f"{row['efficiency']:>12.2f}   {interval(row['low'], row['high'], 2)}".rstrip())

    def break_even(self):
        shown = None
        for row in self.rows("SELECT b.*, unit FROM break_even b JOIN workload w ON w.session = b.session "
                             "AND w.name = b.workload AND w.size = b.largest WHERE b.session = ? "
                             "ORDER BY workload, runtime, workers"):
            if row["workload"] != shown:
                shown = row["workload"]
                print(f"\n{shown}: faster than sequential from this size on ({row['unit']})\n"
                      f"  {'runtime':<27}{'workers':>7}{'size':>10}   95 % interval")
            size, low, high = (size_text(row[name], row) for name in ("size", "low", "high"))
            print(f"  {row['runtime']:<27}{row['workers']:>7}{size:>10}   "
                  + (f"[{low}, {high}]" if row["low"] is not None else ""))

    def memory(self):
        rows = self.rows("SELECT m.* FROM memory m JOIN cell c USING(session, workload, size, runtime, workers) "
                         "WHERE session = ? AND peak_pss_bytes IS NOT NULL AND c.series IN ('strong', 'both')")
        if rows:
            print("\npeak memory of the whole tree\n"
                  f"  {'program':<20}{'runtime':<27}{'workers':>7}{'MiB':>9}{'processes':>11}")
        for row in rows:
            print(f"  {row['workload']:<20}{row['runtime']:<27}{row['workers']:>7}"
                  f"{row['peak_pss_bytes'] / 2**20:>9.1f}{row['processes']:>11}")

    def foot(self):
        print()
        for row in self.rows("SELECT * FROM noise WHERE session = ? AND comparisons > 0 ORDER BY kind DESC"):
            print(f"A/A control, {KINDS[row['kind']]}: snakefish differs from itself by up to {row['largest']:.1%} in "
                  f"{row['comparisons']} comparison{'s' * (row['comparisons'] > 1)}, of which {row['different']} would be called "
                  "a difference.")
        print("Times as fast: above 1 the first one is faster. Faster and slower are significant at "
              f"{self.method['level']:.0%} among all\nverdicts of their kind (Holm); no practical difference is an interval "
              f"within {self.method['practical_margin']:.2g} of 1.")


def verdict_text(row):
    """The verdict of a row of `comparison`; "" without one."""
    if row["verdict"] is None:
        return ""
    return row["verdict"] if row["low"] is not None else f"{row['verdict']}: too few blocks"


def title(runtime, base):
    return f"{runtime}, times as fast as {base}{PURPOSE.get((runtime, base), '')}"


def size_text(size, row):
    """A size of `break_even`, in words where it lies outside of the sweep."""
    if size is None:
        return ""
    return f"> {row['largest']}" if size == float("inf") else f"< {row['smallest']}" if size == 0 else f"{size:.0f}"


def interval(low, high, digits, scale=1):
    """"[1.20, 1.30]"; "" where there are too few blocks for one."""
    return "" if low is None else f"[{low / scale:.{digits}f}, {high / scale:.{digits}f}]"
