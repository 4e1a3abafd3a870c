"""The fault harness: runs tiny programs (programs/) and breaks them at random moments, by a seed.

    python3 tests/stress/run.py [--trials N] [--seed S] [--program NAME | --file NAME] [--seconds LIMIT] [--limit SECONDS]
                                 [--jobs N] [--list]

Each trial is a process that runs a program: its processes are killed, stopped or interrupted at random moments, and the
survivors check what they see. The harness checks that the trial ends in time and that no process, no zombie and nothing
in /dev/shm is left. Trial i has the seed S + i; for a failing one the command that repeats it is printed (a race may need
several repetitions). The last line: "N passed, N failed, N skipped".

A job (a process of the harness) forks the trials and is their subreaper, so that every process that a trial leaves
becomes its child. Where it is allowed to, it mounts a /dev/shm of its own.
"""
import argparse
import ctypes
import faulthandler
import gc
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(os.environ.get("SF_BUILD", os.path.join(TOP, "build")), "lib"), HERE, os.path.dirname(HERE)]

import own_shm  # noqa: E402
import programs  # noqa: E402, F401
import trial as trials  # noqa: E402

GONE_WITHIN_S = 8      # until all of a trial is gone
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SKIPPED = 77
libc = ctypes.CDLL(None, use_errno=True)


def play(function, name, seed):
    """In the trial's own process."""
    gc.collect()
    trial = trials.Trial(name, seed)
    if trial.chance.random() < 0.25:  # like a profiler's timer: it interrupts each wait before the wait looks for dead processes
        signal.signal(signal.SIGALRM, lambda number, frame: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.002)
    try:
        function(trial)
        trial.end_killer()
        left = trials.children()
        trials.check(not left, "children are left:", left)
    except trials.Skipped as reason:
        print(reason)
        return SKIPPED
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def start(function, name, seed, output):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        status = play(function, name, seed)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def kill_all():
    """Kills all descendants of this process, after printing a backtrace of each. Returns their pids."""
    found = [pid for pid in trials.descendants() if trials.is_running(pid)]
    for pid in found if shutil.which("gdb") else ():
        backtrace = subprocess.run(["gdb", "-p", str(pid), "-batch", "-ex", "bt 12"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        print(f"process {pid}:", *[line for line in backtrace.splitlines() if line.startswith("#")], sep="\n  ")
    for number, pause in ((signal.SIGUSR1, 0.5), (signal.SIGKILL, 0)):
        for pid in trials.descendants():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        time.sleep(pause)
    return found


def reap_the_rest(limit_s):
    """Waits until this process has no children. False: some are still there."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.001)
        except ChildProcessError:
            return True
    return False


def wait_for_end(pid, limit_s):
    fd = os.pidfd_open(pid)
    try:
        return bool(select.select([fd], [], [], limit_s)[0])
    finally:
        os.close(fd)


def run_trial(name, seed, options, private_shm):
    """Runs a trial. Returns what went wrong (a list), what it printed, and whether it was skipped."""
    function, wrong = trials.PROGRAMS[name], []
    with tempfile.TemporaryFile() as output:
        chance = trials.random.Random(f"doom {name} {seed}")
        pid = start(function, name, seed, output)
        if function.killed_within_s:
            wait_for_end(pid, chance.uniform(0, function.killed_within_s))
            os.kill(pid, signal.SIGKILL)
        in_time = wait_for_end(pid, options.limit)
        if not in_time:
            wrong.append(f"it did not end in {options.limit} s; these ran: {kill_all()}")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if in_time and status not in ((-signal.SIGKILL,) if function.killed_within_s else (0, SKIPPED)):
            wrong.append(f"it ended with status {status}")
        if not reap_the_rest(GONE_WITHIN_S):
            wrong.append(f"processes were left: {kill_all()}")
            reap_the_rest(GONE_WITHIN_S)
        if private_shm and os.listdir("/dev/shm"):
            wrong.append(f"left in /dev/shm: {os.listdir('/dev/shm')}")
        output.seek(0)
        return wrong, output.read().decode(errors="replace"), status == SKIPPED


def job(number, options, names, results):
    """Runs every --jobs'th trial, and writes a letter for each to `results`: p(assed), f(ailed) or s(kipped)."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    private_shm = own_shm.mount()
    end = time.monotonic() + options.seconds if options.seconds else None
    for index in range(number, options.trials, options.jobs):
        if end and time.monotonic() > end:
            break
        seed = options.seed + index
        name = options.program or names[seed % len(names)]
        wrong, said, skipped = run_trial(name, seed, options, private_shm)
        word = "failed" if wrong else "skipped" if skipped else "passed"
        text = ""
        if wrong:
            text = (f"FAIL {name}: {'; '.join(wrong)}\n{said}"
                    f"  again: python3 tests/stress/run.py --program {name} --trials 1 --seed {seed}\n")
        elif skipped:
            text = f"skip {name}: {said}"
        elif said:
            text = f"  {name}, seed {seed}, said:\n{said}"
        sys.stdout.write(text)
        sys.stdout.flush()
        os.write(results, word[:1].encode())


def run_jobs(work, options, title):
    """Runs work(number, results) in options.jobs processes. It writes a letter for each trial: p(assed), f(ailed) or
    s(kipped). Prints the sums, and returns the exit status."""
    started, counts = time.monotonic(), {"p": 0, "f": 0, "s": 0}
    results, writing = os.pipe()
    jobs = []
    for number in range(options.jobs):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(results)
                work(number, writing)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        jobs.append(pid)
    os.close(writing)
    shown_at = started
    while True:
        ready = select.select([results], [], [], 1)[0]
        words = os.read(results, 4096).decode() if ready else None
        if words == "":
            break
        for word in words or "":
            counts[word] += 1
        if options.progress and time.monotonic() - shown_at > 10:
            shown_at = time.monotonic()
            print(f"  {title}: {sum(counts.values())} of {options.trials} trials, {counts['f']} failed, "
                  f"{shown_at - started:.0f} s", flush=True)
    broken = sum(os.waitpid(pid, 0)[1] != 0 for pid in jobs)
    counts["f"] += broken  # a job that died has printed why
    print("{p} passed, {f} failed, {s} skipped".format(**counts))
    return 1 if counts["f"] or not counts["p"] else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", choices=sorted(trials.PROGRAMS), metavar="NAME")
    parser.add_argument("--file", metavar="NAME", help="only the programs of this file of programs/, such as executors")
    parser.add_argument("--seconds", type=float, help="begin no trial after so long")
    parser.add_argument("--limit", type=float, default=30, help="seconds of one trial; they take some 50 ms")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--progress", action="store_true", help="a line every ten seconds")
    parser.add_argument("--list", action="store_true", help="the programs")
    options = parser.parse_args()
    names = sorted(name for name, function in trials.PROGRAMS.items()
                   if options.file in (None, function.__module__.rpartition(".")[2]))
    if not names:
        parser.error(f"no file {options.file} in programs/ has programs")
    if options.list:
        print("\n".join(names))
        return 0
    return run_jobs(lambda number, results: job(number, options, names, results), options, "faults")


if __name__ == "__main__":
    sys.exit(main())
