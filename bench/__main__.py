"""python3 -m bench run | list | output | show | counts | compare | export | trace | simulate | report"""
import argparse
import importlib
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections import Counter

from bench.run import blocks, catalog, choice, counting, counts, machine, plan, traces
from bench.run.choice import Usage
from bench.run.lifeline import Lifeline
from bench.run.progress import spoken
from bench.run.store import DEFAULT_DB, Store, StoreError, exists, header
from bench.run.surroundings import environment, note
from bench.support.paths import TOP

# Not in a docstring: `python3 -OO` has none.
EXIT_CODES = """\
Exit codes:
  0    done, every output right
  1    done, but an output was wrong or a sample failed (crash, timeout), or the trace could not be taken
  2    the command line asks for something that does not exist, or the database is another program's file or another
       run writes to it: nothing was run
  3    could not go on (a full disk): the samples finished so far are kept
  130  Ctrl-C (143: SIGTERM): the samples finished so far are kept
"""
LIMIT_S, OFFICIAL_LIMIT_S = 60, 6 * 3600
LIST_WIDTH = 29  # of the names
TRACE_APPLICATION_ID = 0x534E4B46  # as in tracer/store/schema.sql


def parser():
    def names(text):
        return [name for name in text.split(",") if name]

    def numbers_of(text):
        numbers = [int(n) for n in names(text)]
        if not numbers or min(numbers) < 1:
            raise ValueError
        return sorted(set(numbers))

    def at_least_one(text):
        if int(text) < 1:
            raise ValueError
        return int(text)

    def blocks_or_more(text):
        return choice.More(at_least_one(text[1:])) if text.startswith("+") else at_least_one(text)

    def margin(text):
        share = float(text.rstrip("%")) / 100
        if not 0 < share < 1:
            raise ValueError
        return share

    def minutes(text):
        if not 0 < float(text) < float("inf"):
            raise ValueError
        return float(text)

    top = argparse.ArgumentParser(prog="python3 -m bench", description="Compares runtimes on real programs.",
                                  epilog=EXIT_CODES,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True,
                                  metavar="run|list|output|show|counts|compare|export|trace|simulate|report")

    run = commands.add_parser("run", help="run the samples into a database")
    run.add_argument("-o", "--output", default=DEFAULT_DB, metavar="DB", help=f"default {DEFAULT_DB}; a bench "
                     "database that is there gets another session")
    run.add_argument("--fresh", action="store_true", help="replace the bench database that is there")
    scope = run.add_mutually_exclusive_group()
    scope.add_argument("--quick", action="store_true", help=f"small sizes, {choice.QUICK_BLOCKS} blocks: to see that "
                       "it works, not to compare")
    scope.add_argument("--full", action="store_true", help=f"all workloads, runtimes and worker counts, "
                       f"{choice.FULL_BLOCKS} blocks: hours")
    run.add_argument("--filter", default="", metavar="A,B", help="only workloads with one of these texts in "
                     "program/NAME or micro/NAME; default: the seven of the Benchmarks Game, and micro")
    run.add_argument("--runtimes", type=names, metavar="A,B", help="only these; default: "
                     + ", ".join(choice.STANDARD_RUNTIMES))
    run.add_argument("--workers", type=numbers_of, metavar="1,2", help="default: 1 and all CPUs; --full: up to twice the "
                     "CPUs")
    sizes = run.add_mutually_exclusive_group()
    sizes.add_argument("--size", type=at_least_one, metavar="N", help="of every workload (best with --filter)")
    sizes.add_argument("--official", action="store_true", help="the sizes of the Benchmarks Game's own measurements, "
                       "and only its programs: many hours")
    run.add_argument("--blocks", type=blocks_or_more, metavar="N", help=f"default {choice.BLOCKS}; what needs no "
                     f"verdict is in {choice.OTHER_BLOCKS} of them")
    run.add_argument("--minutes", type=minutes, metavar="M", help="after the first "
                     f"{choice.OTHER_BLOCKS} blocks, begin none with which the run would take more than M minutes; default "
                     f"{choice.MINUTES}; not with --blocks, --quick, --full, --official")
    run.add_argument("--margin", type=margin, default=plan.MARGIN, metavar="PERCENT", help="a difference below this makes no "
                     f"practical difference, default {plan.MARGIN:.0%}".replace("%", "%%"))
    run.add_argument("--seed", type=int, metavar="N", help="of the samples' order; default: a random one, stored")
    run.add_argument("--limit", type=float, metavar="S", help=f"end a sample after S seconds, default {LIMIT_S}; with "
                     f"--official {OFFICIAL_LIMIT_S}")
    run.add_argument("--memory", action=argparse.BooleanOptionalAction, default=None, help="a pass that reads each "
                     "program's peak memory; default: not with --quick")
    run.add_argument("--resume", action="store_true", help="go on with the database's last session, where it was "
                     "interrupted, without a limit of minutes; takes no other option but -o and --trace. With --blocks +N, also "
                     "where it was not: what is in the most blocks gets N more; --filter says of which workloads")
    run.add_argument("--dry-run", action="store_true", help="print the plan, run nothing")
    run.add_argument("--trace", metavar="DB", help="also trace one run of spectral-norm into this trace database")

    commands.add_parser("list", help="list workloads and runtimes")
    output = commands.add_parser("output", help="run one program, and write what it prints to standard output")
    output.add_argument("workload", metavar="WORKLOAD")
    output.add_argument("--size", type=at_least_one, metavar="N", help="default: the one whose output is published")
    output.add_argument("--runtime", default="sequential", metavar="R", help="default sequential")
    output.add_argument("--workers", type=at_least_one, metavar="N", help="default: all CPUs")
    shown = commands.add_parser("show", help="print a session's results: is it faster, how sure is that, and what next")
    form = shown.add_mutually_exclusive_group()
    form.add_argument("--all", action="store_true", help="all times, speedups and comparisons")
    form.add_argument("--json", action="store_true", help="the comparisons, targets and warnings, for other programs")
    shown.add_argument("database", nargs="?", default=DEFAULT_DB)
    shown.add_argument("--session", type=int, metavar="N", help="default: the last one")
    counted = commands.add_parser("counts", help="count the instructions of each program and of the library's operations (needs "
                                  "valgrind): the same on a busy machine")
    counted.add_argument("-o", "--output", default=DEFAULT_DB, metavar="DB", help=f"default {DEFAULT_DB}; a bench database that "
                         "is there gets another session")
    counted.add_argument("--fresh", action="store_true", help="replace the bench database that is there")
    counted.add_argument("--filter", default="", metavar="A,B", help="only workloads with one of these texts in program/NAME or "
                         "micro/NAME")
    counted.add_argument("--runtimes", type=names, metavar="A,B", help="only these; default: " + ", ".join(counts.RUNTIMES))
    counted.add_argument("--size", type=at_least_one, metavar="N", help="of every workload (best with --filter)")
    counted.add_argument("--runs", type=at_least_one, default=counts.RUNS, metavar="N", help=f"of each, default {counts.RUNS}")
    compared = commands.add_parser("compare", help="what the last sessions of two databases differ by")
    compared.add_argument("database", nargs=2)
    compared.add_argument("--most", type=margin, metavar="PERCENT", help="exit code 1 where something in B takes so many more "
                          "instructions than in A")
    exported = commands.add_parser("export", help="write a session's samples to standard output")
    exported.add_argument("database", nargs="?", default=DEFAULT_DB)
    exported.add_argument("--csv", action="store_true", required=True, help="as comma-separated values")
    exported.add_argument("--session", type=int, metavar="N", help="default: the last one")
    traced = commands.add_parser("trace", help="trace programs under snakefish and multiprocessing, a database each")
    traced.add_argument("workload", nargs="*", metavar="WORKLOAD", help="default: the programs of the Benchmarks Game")
    traced.add_argument("--full", action="store_true", help="all programs")
    traced.add_argument("-o", "--output", default="build/traces", metavar="DIRECTORY", help="default build/traces")
    traced.add_argument("--workers", type=at_least_one, metavar="N", help="default: all CPUs")
    traced.add_argument("--kernel", action="store_true", help="with the kernel's view (needs root)")
    simulated = commands.add_parser("simulate", help="how often verdicts are wrong, and what they find: on made-up noise, and on "
                                    "that of databases")
    simulated.add_argument("database", nargs="*", help="their recorded noise too; sessions of ten blocks or more")
    simulated.add_argument("--sessions", type=at_least_one, default=1000, metavar="N", help="for each row, default 1000")
    reported = commands.add_parser("report", help="write the report: an HTML page with figures (needs R)")
    reported.add_argument("database", nargs="*", default=[DEFAULT_DB], help="several: machines or commits beside each other")
    reported.add_argument("--trace", metavar="DB", action="append", default=[], help="also report on this trace; may be repeated")
    reported.add_argument("--beside", metavar="DB", action="append", default=[], help="this trace too, but only in the "
                          "figures that compare traces; may be repeated")
    reported.add_argument("-o", "--output", default="build/report", metavar="DIRECTORY", help="default build/report")
    return top


def print_plan(job, full):
    print(f"{job.samples} samples, {len(job.cells)} in a block, seed {job.seed}; estimated "
          f"{spoken(job.estimate().left_s())}, more where programs do not scale"
          + (f"; after {job.fewest} blocks none that would end after {job.minutes:g} minutes" if job.minutes else ""),
          file=sys.stderr)
    if full:
        for number in range(job.blocks):
            for position, cell in enumerate(plan.block(job.cells, job.seed, number)):
                print(f"block {number} position {position}: {cell}")


def command_line(arguments):
    """The command line, without the folders of this machine."""
    return shlex.join(["python3", "-m", "bench", *(os.path.basename(a) if "/" in a else a for a in arguments)])


def stop(number, _frame):
    raise blocks.Stopped(number)


def refuse_other_files(options):
    """Checks the files before anything runs, because the run would notice only at its end."""
    try:
        there = exists(options.output)
        traced = options.trace and header(options.trace)
    except StoreError as error:
        raise Usage(error) from error
    if options.resume and not there:
        raise Usage(f"{options.output}: there is no bench database to resume")
    if traced and traced[0] != TRACE_APPLICATION_ID:
        raise Usage(f"{options.trace} is not a trace database: choose another path, or move that file away")


def refuse_with_resume(options):
    """Refuses options that --resume would have to ignore: the session goes on as it was planned."""
    asked, plain = vars(options), vars(parser().parse_args(["run"]))
    allowed = {"resume", "output", "trace"} | ({"blocks", "filter"} if isinstance(options.blocks, choice.More) else set())
    for name in sorted(asked.keys() - allowed):
        if asked[name] != plain[name]:
            raise Usage(f"--resume goes on with the session as it was planned: not with --{name.replace('_', '-')}")


def run(options, arguments):
    refuse_other_files(options)
    if options.resume:
        refuse_with_resume(options)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if options.limit is None:
        options.limit = OFFICIAL_LIMIT_S if options.official else LIMIT_S
    if options.memory is None:
        options.memory = not options.quick
    job = None if options.resume else choice.make(options)
    if options.dry_run:
        print_plan(job, full=True)
        return 0
    try:
        store = Store(options.output, fresh=options.fresh)
        if options.resume:
            job = choice.resumed(store, options.blocks, options.filter)
    except StoreError as error:
        raise Usage(error) from error
    with store:
        if options.resume:
            done = len(store.of_session("sample"))
            print(f"{job.samples} samples, {done} of them from before, seed {job.seed}", file=sys.stderr)
            # the database holds the trace's name only; the file is in the same folder
            beside = job.trace and os.path.join(os.path.dirname(options.output), job.trace)
            job.trace = options.trace or beside
        else:
            print_plan(job, full=False)
            blocks.record(job, store, command_line(arguments))
        if note():
            print(f"bench: {note()}", file=sys.stderr)
        code = blocks.run(job, store)
        store_results(store)
        kinds = Counter(failure.split(": ")[1] for failure in job.failures)
    if kinds:
        print("bench: not all went well: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()), file=sys.stderr)
    tell(job, options.output)
    return code


def tell(job, path):
    """Says what the session has found. All is stored: what goes wrong here changes no exit code."""
    try:
        if job.traced:
            traces.analysed(traces.collector(), job.trace)
        results("show").show(path)
        if sys.stdout:
            sys.stdout.flush()
    except (Usage, StoreError) as error:
        print(f"bench: {error}\npython3 -m bench show {path}", file=sys.stderr)
    except BrokenPipeError:
        nobody_reads()


def nobody_reads():
    """The reader of standard output has closed it: what is still to be flushed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def store_results(store):
    """Computes the results. Where that fails, the samples are stored all the same, and a reader computes the results."""
    try:
        results("compute").compute(store.database, store.session)
    except (Usage, sqlite3.Error) as error:
        print(f"bench: the results are not stored yet: {error}", file=sys.stderr)


def list_catalog():
    print("workloads; kind, default size")
    for name in catalog.workload_names():
        try:
            workload = catalog.workload(name)
            lacks = f"; absent: {workload.lacks}" if workload.lacks else ""
            print(f"  {name:<{LIST_WIDTH}}{catalog.about(workload.module)}; {workload.kind}, {workload.size}{lacks}")
        except catalog.Broken as error:
            print(f"  {name:<{LIST_WIDTH}}broken: {error}")
    print("runtimes")
    for name in catalog.names("runtimes"):
        r = blocks.probe(name)
        doc = r.doc + ("; only where --runtimes asks for it" if r.optional else "")
        print(f"  {name:<{LIST_WIDTH}}" + (doc if r.present else f"absent: {r.reason}"))
    return 0


def output(options):
    workload = catalog.workload(options.workload)
    (runtime,) = choice.runtimes([options.runtime])
    if workload.lacks or not workload.runs_on(runtime):
        raise Usage(workload.lacks or f"{runtime.name} does not offer what {workload.name} needs")
    cpus = machine.effective_cpus()
    (workers, *_) = workload.worker_counts(runtime, [options.workers or cpus], cpus) or [runtime.min_workers]
    with Lifeline() as lifeline:
        command = [sys.executable, "-m", "bench.run.sample", "--output", workload.name,
                   str(options.size or workload.check_size), runtime.name, str(workers)]
        return 1 if subprocess.run(command, cwd=TOP, env=environment(lifeline)).returncode else 0


def results(module):
    """A module of bench/results. Imported only where it is used: it needs numpy and scipy, which measuring does not."""
    try:
        return importlib.import_module(f"bench.results.{module}")
    except ImportError as error:
        raise Usage(f"{error}; to have it: apt-get install python3-numpy python3-scipy") from error


def count(options, arguments):
    try:
        tool = counting.tool()
    except counting.CannotCount as error:
        raise Usage(f"instructions cannot be counted: {error}") from error
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    job = counts.make(options)
    try:
        store = Store(options.output, fresh=options.fresh)
    except StoreError as error:
        raise Usage(error) from error
    with store:
        blocks.record(job, store, command_line(arguments))
        print(f"{len(job.cells)} workloads and runtimes, {options.runs} times each, with {tool}", file=sys.stderr)
        code = counts.run(job, store, options.runs, tool)
        any_counted = store.of_session("instruction_count")
    if any_counted:
        results("counted").show(options.output)
    return code


READERS = {
    "show": lambda options: results("show").show(options.database, options.session, options.all, options.json),
    "compare": lambda options: results("compare").compare(options.database, options.most),
    "export": lambda options: results("export").export(options.database, options.session),
    "trace": lambda options: traces.trace(options.workload, options.full, options.output, options.workers,
                                         options.kernel),
    "simulate": lambda options: results("simulate").simulate(options.database, options.sessions),
    "report": lambda options: results("report").report(options.database, options.trace, options.beside, options.output),
}


def open_standard_streams():
    """Opens /dev/null for those that are closed, else the next file that is opened gets a number that a sample takes for its own
    output."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(number, True)
    os.close(number)


def main(arguments):
    open_standard_streams()
    options = parser().parse_args(arguments)
    try:
        if options.command == "list":
            return list_catalog()
        if options.command == "output":
            return output(options)
        if options.command == "counts":
            return count(options, arguments)
        if options.command in READERS:
            return READERS[options.command](options)
        return run(options, arguments)
    except (Usage, catalog.Broken) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except StoreError as error:
        if options.command in READERS:
            print(f"bench: {error}", file=sys.stderr)
            return 2
        print(f"bench: {error}: stopped; the samples that had finished are kept", file=sys.stderr)
        return 3
    except blocks.Stopped as stopped:
        print(f"bench: {stopped}: stopped; the samples that had finished are in {options.output}", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:  # a command that has nothing to keep
        print("bench: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has closed it
        nobody_reads()
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
