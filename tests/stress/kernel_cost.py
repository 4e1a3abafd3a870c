"""What the kernel's view costs a program that forks all the time: the same spawns under `record` and under `record --kernel`,
run by run, one after the other, in alternating order.

    python3 tests/stress/kernel_cost.py [--pairs 30] [--spawns 300] [--programs]

Says the ratio of the two medians with its 95 % interval (bench/results/statistics.py): of the time, which means
something only where nothing else runs, and of the CPU time of the program and its children, which other programs disturb
less. With --programs it makes one run more, and says what each of the kernel's programs took in it, by the kernel's
statistics (kernel.bpf_stats_enabled, which add some 50 ns to each call; needs root and bpftool).
The last line counts pairs, "N passed, N failed, N skipped": one fails when a trace is not what it has to be, never for its time.
"""
import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(BUILD, "lib"), HERE, TOP]

from bench.results import statistics  # noqa: E402
from truth import open_trace, wrongs_of  # noqa: E402

TRACER = os.path.join(BUILD, "bin", "snakefish-trace")
STATISTICS = "/proc/sys/kernel/bpf_stats_enabled"
WARM_UP = 20


def programs():
    """Name -> (ns, calls) of the collector's programs so far."""
    shown = subprocess.run(["bpftool", "prog", "show", "-j"], capture_output=True, check=True).stdout
    return {p["name"]: (p.get("run_time_ns", 0), p.get("run_cnt", 0)) for p in json.loads(shown)
            if p["type"] == "tracing" and p.get("name", "").startswith("on_")}


def cpu_s():
    """Of this process and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def play(spawns, look):
    """The program. Prints seconds, and with `look` what the kernel's programs did meanwhile."""
    from snakefish import Thread

    def spawn():
        t = Thread(int)
        t.start()
        t.join()

    for _ in range(WARM_UP):
        spawn()
    before = programs() if look else {}
    begin, cpu_begin = time.perf_counter_ns(), cpu_s()
    for _ in range(spawns):
        spawn()
    taken_ns, taken_cpu_s = time.perf_counter_ns() - begin, cpu_s() - cpu_begin
    after = programs() if look else {}
    found = {name: [now - then for now, then in zip(after[name], before.get(name, (0, 0)))] for name in after}
    print(json.dumps({"time": taken_ns / 1e9, "CPU time": taken_cpu_s, "programs": found}))


def record(spawns, kernel, look=False):
    """What the program printed, whether the kernel's view was there, and what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.db")
        done = subprocess.run([TRACER, "record", *["--kernel"] * kernel, "-o", path, "--", sys.executable,
                               os.path.abspath(__file__), "--play", "--spawns", str(spawns), *["--programs"] * look],
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            return None, True, [f"the program ended with status {done.returncode}"]
        with contextlib.closing(open_trace(path)) as db:
            view = db.execute("SELECT value FROM meta WHERE key = 'kernel_view'").fetchone()[0]
            wrong = wrongs_of(db)
            lost = db.execute("SELECT name, value FROM stats WHERE severity <> 'info' AND name <> 'kernel_view'").fetchall()
            if kernel and view == "complete":
                forks = db.execute("SELECT count(*) FROM process WHERE parent = 1").fetchone()[0]
                ran = db.execute("SELECT count(DISTINCT process) FROM sched_slice").fetchone()[0]
                if forks < spawns + WARM_UP or ran != forks + 1:
                    wrong.append(f"{forks} children, {ran} processes that ran, of {spawns + WARM_UP} spawns")
            return json.loads(done.stdout), not kernel or view == "complete", wrong + [f"{name}: {value}" for name, value in lost]


def switch_statistics(value):
    """What it was before."""
    with open(STATISTICS, encoding="ascii") as there:
        before = there.read()
    with open(STATISTICS, "w", encoding="ascii") as there:
        there.write(value)
    return before


def show_programs(spawns):
    before = switch_statistics("1")
    try:
        said, _, wrong = record(spawns, True, look=True)
    finally:
        switch_statistics(before)
    for sentence in wrong:
        print(f"FAIL programs: {sentence}")
    if not said:
        return bool(wrong)
    print(f"{'program':24} {'calls':>8} {'ns':>8} {'us':>8}  for each spawn, each call, each spawn")
    for name, (ns, calls) in sorted(said["programs"].items(), key=lambda item: -item[1][0]):
        print(f"{name:24} {calls / spawns:8.1f} {ns / max(calls, 1):8.0f} {ns / spawns / 1000:8.2f}")
    return bool(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--spawns", type=int, default=300)
    parser.add_argument("--programs", action="store_true", help="also what each of the kernel's programs took")
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        play(options.spawns, options.programs)
        return 0
    taken, passed, failed = {what: {False: {}, True: {}} for what in ("time", "CPU time")}, 0, 0
    for pair in range(options.pairs):
        wrong = []
        for kernel in (False, True) if pair % 2 else (True, False):
            said, there, found = record(options.spawns, kernel)
            if not there:
                print("skip kernel_cost: there is no kernel's view\n0 passed, 0 failed, 1 skipped")
                return 0
            wrong += found
            for what in taken if said else ():
                taken[what][kernel][pair] = said[what]
        for sentence in wrong:
            print(f"FAIL pair {pair}: {sentence}", flush=True)
        passed, failed = passed + (not wrong), failed + bool(wrong)
    for what, by_kernel in taken.items():
        found = statistics.times_as_fast(by_kernel[True], by_kernel[False])  # above 1: longer with the view
        if not found:
            break
        without_us = statistics.median(list(by_kernel[False].values())).value / options.spawns * 1e6
        low_high = "(too few pairs for an interval)" if found.low is None else f"[{found.low:.3f}, {found.high:.3f}]"
        print(f"kernel_cost: a spawn takes {without_us:.1f} us of {what}, "
              f"with the kernel's view {found.value:.3f} {low_high} of it; {found.blocks} pairs of {options.spawns} spawns")
    if options.programs:
        failed += show_programs(options.spawns)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
