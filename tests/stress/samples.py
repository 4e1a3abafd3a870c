"""How true samples of Python's stacks are (trace.start(sample_hz=199)), and what they cost.

    python3 tests/stress/samples.py [--rounds N] [--cost-rounds N] [--program NAME ...]

Truth: a program spends 10, 30 and 60 hundredths of its CPU time in three functions, in one process and in eight, in loops of
several lengths; each run takes some 2,000 samples. So few have a standard deviation of up to 1.1 hundredths. A run fails where
a share of the three functions' time is more than 3.5 hundredths off, or where the samples together are more than 2 % off the
CPU time that the functions have measured; and all runs with as many processes fail where their mean is more than 1 off.
Cost: the time that taking a stack of 20 frames takes, by the trace's own stamps; and the CPU time of the bench's programs
traced with samples over that without, by turns: the median of the ratios. And the floor: the CPU time that 199 signals of a timer
in a second cost, whose handler is a function of the C library that does nothing. These mean something only where nothing else
runs, and fail nothing.
The last line counts runs: "N passed, N failed, N skipped".
"""
import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(BUILD, "lib"), HERE, TOP]

from bench.run import catalog  # noqa: E402
from bench.run.surroundings import environment  # noqa: E402
from truth import open_trace, wrongs_of  # noqa: E402

SHARES = {"ten": 10, "thirty": 30, "sixty": 60}
PROGRAM = """
import sys, time
import snakefish
path, processes, seconds, turns = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
def ten():
    for _ in range(turns): pass
def thirty():
    for _ in range(3 * turns): pass
def sixty():
    for _ in range(6 * turns): pass
def work(_):
    before = now = time.thread_time()
    while now < before + seconds:
        for _ in range(max(1, 100000 // turns)):
            ten(); thirty(); sixty()
        now = time.thread_time()
    return now - before
with snakefish.trace.session(path, sample_hz=199):
    print(work(0) if processes == 1 else sum(snakefish.map(work, range(processes), processes, 1)))
"""
DEEP = """
import sys, time
import snakefish
def deep(n):
    if n:
        return deep(n - 1)
    end = time.thread_time() + 3
    while time.thread_time() < end:
        for _ in range(1000): pass
with snakefish.trace.session(sys.argv[1], sample_hz=199):
    deep(18)
"""
FLOOR = """
import ctypes, signal, statistics, time
def work():
    before = time.thread_time()
    for _ in range(4000000): pass
    return time.thread_time() - before
libc = ctypes.CDLL(None)
libc.signal.argtypes = ctypes.c_int, ctypes.c_void_p
libc.signal(signal.SIGALRM, ctypes.cast(libc.abs, ctypes.c_void_p))
def signalled(hz):
    signal.setitimer(signal.ITIMER_REAL, 1 / hz, 1 / hz)
    took = work()
    signal.setitimer(signal.ITIMER_REAL, 0)
    return took
work()
print(statistics.median((signalled(1990) / work() - 1) / 10 for _ in range(31)))
"""  # ten times as many signals, because 199 a second can hardly be told from none


def run(command, **more):
    env = {**environment(), "PYTHONPATH": os.pathsep.join([os.path.join(BUILD, "lib"), TOP]), **more}
    return subprocess.run(command, cwd=TOP, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


def check_truth(path, processes, turns):
    """(the shares that were found, what is wrong)"""
    used = float(run([sys.executable, "-c", PROGRAM, path, str(processes), str(10.4 / processes), str(turns)]))
    with contextlib.closing(open_trace(path)) as db:
        wrong = wrongs_of(db)
        samples, seconds = db.execute("""
            SELECT count(*), total(cpu_ns) / 1e9 FROM sample WHERE process > 1 OR ? = 1""", (processes,)).fetchone()
        times = dict(db.execute("SELECT function, sum(self_ns) FROM function_time WHERE function IN ('ten', 'thirty', 'sixty') "
                                "GROUP BY function"))
    found = {name: 100 * ns / sum(times.values()) for name, ns in times.items()}
    shares = ", ".join(f"{name} {found.get(name, 0):.1f}" for name in SHARES)
    print(f"samples: {processes} processes, loops of {turns:6}: {samples} samples, {shares}; {seconds:.3f} s of {used:.3f} s",
          flush=True)
    wrong += [f"{name} has {found.get(name, 0):.2f} hundredths" for name, share in SHARES.items()
              if abs(found.get(name, 0) - share) > 3.5]
    if abs(seconds / used - 1) > 0.02:
        wrong.append(f"the samples stand for {seconds:.3f} s of {used:.3f} s")
    return found, wrong


def cpu_seconds(command, **more):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show_depth(path):
    run([sys.executable, "-c", DEEP, path])
    with contextlib.closing(open_trace(path)) as db:
        hz = db.execute("SELECT value FROM meta WHERE key = 'tsc_hz'").fetchone()[0]
        took = [(tsc - begin) * 1e6 / hz for tsc, begin in db.execute(
            "SELECT tsc, b FROM event WHERE kind = (SELECT id FROM event_kind WHERE name = 'sample') AND object NOT NULL")]
    print(f"samples: a stack of 20 frames takes {statistics.median(took):.2f} us, the median of {len(took)}", flush=True)


def show_floor():
    print(f"samples: 199 signals of a timer in a second cost {float(run([sys.executable, '-c', FLOOR])) * 100:.2f} % of the "
          "CPU time on this machine, whatever they are for", flush=True)


def show_cost(folder, workload, rounds):
    ratios = []
    command = [sys.executable, "-m", "bench.run.sample", workload.name, str(workload.size), "snakefish", "2"]
    for turn in range(rounds):
        took = {}
        for hz in ("0", "199") if turn % 2 else ("199", "0"):
            took[hz] = cpu_seconds(command, SNAKEFISH_TRACE=os.path.join(folder, "cost.db"), SNAKEFISH_TRACE_SAMPLE=hz)
        ratios.append(took["199"] / took["0"])
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    print(f"samples: {workload.name:16} {quartiles[1]:.4f} of the CPU time without samples "
          f"[{quartiles[0]:.4f}, {quartiles[2]:.4f}: the middle half of {rounds}]", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=1, help="of the runs for the truth")
    parser.add_argument("--cost-rounds", type=int, default=5, help="0: no cost is measured")
    parser.add_argument("--program", action="append")
    options = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for processes in (1, 8):
            runs = []
            for turns in (500, 3700, 20000, 100000) * options.rounds:
                found, wrong = check_truth(os.path.join(folder, "truth.db"), processes, turns)
                runs.append(found)
                for sentence in wrong:
                    print(f"FAIL {processes} processes, loops of {turns}: {sentence}", flush=True)
                passed, failed = passed + (not wrong), failed + bool(wrong)
            means = {name: statistics.mean(run.get(name, 0) for run in runs) for name in SHARES}
            within = sum(all(abs(run.get(name, 0) - share) <= 2 for name, share in SHARES.items()) for run in runs)
            wrong = any(abs(means[name] - share) > 1 for name, share in SHARES.items())
            print(f"{'FAIL' if wrong else 'samples:'} {processes} processes: {within} of {len(runs)} runs are within 2 "
                  "hundredths; means: " + ", ".join(f"{name} {mean:.2f}" for name, mean in means.items()), flush=True)
            passed, failed = passed + (not wrong), failed + wrong
        if options.cost_rounds:
            show_depth(os.path.join(folder, "deep.db"))
            show_floor()
        names = [name for name in options.program or catalog.workload_names() if catalog.kind(name) == "program"]
        for workload in map(catalog.workload, names):
            if options.cost_rounds and not workload.lacks and (options.program or workload.official):
                show_cost(folder, workload, options.cost_rounds)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
