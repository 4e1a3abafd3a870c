"""The re-entrancy fuzzer: every public method is called at every place where a program can be while the library works.

    python3 tests/stress/reentrancy.py [--cases N] [--seed S] [--first NUMBER] [--seconds LIMIT] [--limit SECONDS] [--jobs N]
                                       [--case JSON] [--smaller] [--show] [--progress]

Places are signal handlers, another Python thread, pickling and unpickling, destructors, weakref callbacks, extract, merge,
progress, sources, hooks of forks, flush() of a replaced sys.stdout, conversions of arguments, profile functions; and os.fork()
in all of them. A case makes some objects and calls methods on them; meanwhile it makes other calls at one or two places
(reentry/case.py). Each call has to end, and either to return what is right, or to raise RuntimeError or what its
documentation names. Afterwards no result, item or message may be lost or there twice, and no process, descriptor, mapping
or value may be left (reentry/subject.py, reentry/left.py).

Case number i of a seed is always the same one. For a failing one its steps are printed, and the command that repeats it (a
race may need several repetitions: --cases with --case repeats it). --smaller leaves out steps while it fails. The last line:
"N passed, N failed, N skipped".
"""
import argparse
import faulthandler
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import run as faults  # noqa: E402  (it also finds the package)
from reentry import case as cases  # noqa: E402
from reentry import play as player  # noqa: E402
from reentry.world import Book  # noqa: E402
from own_shm import mount as mount_own_shm  # noqa: E402

import snakefish  # noqa: E402

REPETITIONS = 5  # of a smaller case, before it counts as passed
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


def warm_up():
    """Once in a job: what the library and the interpreter keep for ever is there before the first case looks."""
    def items():
        yield 1

    with snakefish.Generator(items) as generator:
        generator.start()
        next(generator)
    with snakefish.Channel(1 << 20) as channel:
        channel.send_pyobj(1)
        channel.receive_pyobj()
    snakefish.map(int, [1], progress=lambda done, total: None)
    list(snakefish.imap(int, iter([1])))
    with snakefish.Thread(int, lambda g: 1, lambda g, e: None) as thread:
        thread.start()  # the last of them: its result memory is kept for the next one
    snakefish.wait([], 0)
    del thread, generator, channel
    gc.collect()


def start(case, book, output, folder):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        faults.libc.prctl(faults.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        faulthandler.enable()
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        owner = os.getpid()
        player.play(case, book, folder)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        if os.getpid() == owner:
            sys.stdout.flush()
        os._exit(status)


def reap_orphans(wrong):
    """Reaps what the case has left to this process, its subreaper. Crashes of them count."""
    end = time.monotonic() + faults.GONE_WITHIN_S
    while time.monotonic() < end:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.001)
        elif -os.waitstatus_to_exitcode(status) in CRASHES:
            wrong.append(f"process {pid} ended with status {os.waitstatus_to_exitcode(status)}")
    wrong.append(f"processes were left: {faults.kill_all()}")
    faults.reap_the_rest(faults.GONE_WITHIN_S)


def run_case(case, options, private_shm):
    """What went wrong (a list of texts), and what the processes wrote."""
    book, wrong = Book(), []
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory(prefix="sf-reentry-") as folder:
        pid = start(case, book, output, folder)
        in_time = faults.wait_for_end(pid, options.limit)
        if not in_time:
            wrong.append(f"it did not end in {options.limit} s; these ran: {faults.kill_all()}")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if in_time and status != 0:
            wrong.append(f"it ended with status {status}")
        reap_orphans(wrong)
        for name in os.listdir("/dev/shm") if private_shm else ():
            if in_time:  # else its collector was killed too
                wrong.append(f"left in /dev/shm: {name}")
            shutil.rmtree(os.path.join("/dev/shm", name))
        output.seek(0)
        said = output.read().decode(errors="replace")
    lines = book.lines()
    for index, line in enumerate(lines):
        if line.startswith("wrong "):
            more = [line[6:]]
            while index + 1 < len(lines) and lines[index + 1].startswith("    "):
                index += 1
                more.append(lines[index])
            wrong.append("\n".join(more))
    if wrong or options.show:
        said += "".join(f"  | {line}\n" for line in lines if not line.startswith(("wrong ", "    ")))
    book.close()
    return wrong, said


def make_smaller(case, options, private_shm):
    """The smallest case found that still fails."""
    tried_all = False
    while not tried_all:
        tried_all = True
        for less in cases.smaller(case):
            if any(run_case(less, options, private_shm)[0] for _ in range(REPETITIONS)):
                case, tried_all = less, False
                break
    return case


def report(case, wrong, said, again):
    indented = "\n".join("    " + line for line in cases.text(case).splitlines())
    found = "\n".join("  " + line for text in wrong for line in text.splitlines())
    return f"FAIL\n{indented}\n{found}\n{said}  again: python3 tests/stress/reentrancy.py {again}\n"


def job(number, options, results):
    """Runs every --jobs'th case, and writes p(assed) or f(ailed) for each to `results`."""
    faults.libc.prctl(faults.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    faults.libc.prctl(faults.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    private_shm = mount_own_shm()
    warm_up()
    end = time.monotonic() + options.seconds if options.seconds else None
    for index in range(number, options.cases, options.jobs):
        if end and time.monotonic() > end:
            break
        case = json.loads(options.case) if options.case else cases.draw(options.seed, options.first + index)
        again = f"--case '{options.case}'" if options.case else f"--cases 1 --seed {options.seed} --first {options.first + index}"
        wrong, said = run_case(case, options, private_shm)
        if wrong and options.smaller:
            case = make_smaller(case, options, private_shm)
            wrong, said = run_case(case, options, private_shm)
            again = f"--cases 20 --case '{cases.dump(case)}'  (made of {again})"
        if wrong:
            sys.stdout.write(report(case, wrong, said, again))
        elif options.show:
            sys.stdout.write(cases.text(case) + "\n" + said + "\n")
        sys.stdout.flush()
        os.write(results, b"f" if wrong else b"p")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--seconds", type=float, help="begin no case after so long")
    parser.add_argument("--limit", type=float, default=20, help="seconds of one case; they take some 50 ms")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--case", metavar="JSON", help="this case, as --smaller prints it")
    parser.add_argument("--smaller", action="store_true", help="leave out steps of failing cases")
    parser.add_argument("--show", action="store_true", help="print the steps of passing cases too")
    parser.add_argument("--progress", action="store_true", help="a line every ten seconds")
    options = parser.parse_args()
    options.trials = options.cases
    return faults.run_jobs(lambda number, results: job(number, options, results), options, "reentrancy")


if __name__ == "__main__":
    sys.exit(main())
