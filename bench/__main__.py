"""python3 -m bench run | list | show

Exit codes:
  0    done, every output right
  1    done, but an output was wrong or a sample failed (crash, timeout), or the trace could not be taken
  2    the command line asks for what is not there, or the database's path is not one of ours: nothing was run
  3    could not go on (a full disk): the samples finished so far are kept
  130  Ctrl-C (143: SIGTERM): the samples finished so far are kept
"""
import argparse
import os
import random
import shlex
import signal
import sys
from collections import Counter

from bench import catalog, machine, plan, runner, show
from bench.progress import clock
from bench.store import Store, StoreError, exists, header

DEFAULT_DB = "build/bench.db"
DEFAULT_BLOCKS = 7
QUICK_BLOCKS = 2
LIST_WIDTH = 29  # of the names
TRACE_APPLICATION_ID = 0x534E4B46  # as in tracer/schema.sql


class Usage(Exception):
    """The command line asks for what is not there."""


def parser():
    def names(text):
        return [name for name in text.split(",") if name]

    def counts(text):
        numbers = [int(n) for n in names(text)]
        if not numbers or min(numbers) < 1:
            raise ValueError
        return sorted(set(numbers))

    def at_least_one(text):
        if int(text) < 1:
            raise ValueError
        return int(text)

    top = argparse.ArgumentParser(prog="python3 -m bench", description="Compares runtimes on real programs.",
                                  epilog=__doc__[__doc__.index("Exit codes"):],
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True, metavar="run|list|show")

    run = commands.add_parser("run", help="run the samples into a database")
    run.add_argument("-o", "--output", default=DEFAULT_DB, metavar="DB", help=f"default {DEFAULT_DB}; a bench "
                     "database that is there gets another session")
    run.add_argument("--fresh", action="store_true", help="replace the bench database that is there")
    run.add_argument("--quick", action="store_true", help=f"small sizes, {QUICK_BLOCKS} blocks, 1 and all CPUs: to "
                     "see that it works, not to compare")
    run.add_argument("--filter", default="", metavar="TEXT", help="only workloads with this in program/NAME or "
                     "micro/NAME")
    run.add_argument("--runtimes", type=names, metavar="A,B", help="only these")
    run.add_argument("--workers", type=counts, metavar="1,2", help="default: 1 to twice the CPUs")
    run.add_argument("--size", type=at_least_one, metavar="N", help="of every workload (best with --filter)")
    run.add_argument("--blocks", type=at_least_one, metavar="N", help=f"default {DEFAULT_BLOCKS}")
    run.add_argument("--seed", type=int, metavar="N", help="of the samples' order; default: a random one, stored")
    run.add_argument("--limit", type=float, default=60, metavar="S", help="end a sample after S seconds, default 60")
    run.add_argument("--dry-run", action="store_true", help="print the plan, run nothing")
    run.add_argument("--trace", metavar="DB", help="also trace one run of spectral-norm into this trace database")

    commands.add_parser("list", help="list workloads and runtimes")
    shown = commands.add_parser("show", help="print a session's results")
    shown.add_argument("database", nargs="?", default=DEFAULT_DB)
    shown.add_argument("--session", type=int, metavar="N", help="default: the last one")
    return top


def load_workloads(text):
    names = [name for name in catalog.workload_names() if text in f"{catalog.kind(name)}/{name}"]
    if not names:
        raise Usage(f"no workload has '{text}' in its name: there are {', '.join(catalog.workload_names())}")
    found = [catalog.workload(name) for name in names]
    for workload in found:
        if workload.lacks:
            print(f"{workload.name} is absent: {workload.lacks}", file=sys.stderr)
    found = [workload for workload in found if not workload.lacks]
    if not found:
        raise Usage("no workload is left to run")
    return found


def load_runtimes(wanted):
    known = catalog.names("runtimes")
    for name in wanted or ():
        if name not in known:
            raise Usage(f"there is no runtime {name}: there are {', '.join(known)}")
    found = [runner.probe(name) for name in known if not wanted or name in wanted]
    found = [r for r in found if wanted or not r.optional]
    for r in found:
        if not r.present:
            print(f"{r.name} is absent: {r.reason}", file=sys.stderr)
    if not any(r.present for r in found):
        raise Usage("no runtime is left to run")
    return found


def make_plan(options):
    workloads, runtimes = load_workloads(options.filter), load_runtimes(options.runtimes)
    cpus = machine.effective_cpus()
    workers = options.workers or (sorted({1, cpus}) if options.quick else plan.worker_counts(cpus))

    def size_of(workload):
        return options.size or (workload.check_size if options.quick else workload.size)

    cells = plan.cells(workloads, [r for r in runtimes if r.present], workers, size_of, cpus)
    if not cells:
        raise Usage("none of these runtimes offers what these workloads need")
    seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    return runner.Plan(workloads, runtimes, cells, options.blocks or (QUICK_BLOCKS if options.quick else
                       DEFAULT_BLOCKS), seed, options.limit, options.trace)


def print_plan(job, full):
    print(f"{job.samples} samples: {job.blocks} blocks of {len(job.cells)}, seed {job.seed}, "
          f"estimated {clock(job.estimate().left_s())} min", file=sys.stderr)
    if full:
        for number in range(job.blocks):
            for position, cell in enumerate(plan.block(job.cells, job.seed, number)):
                print(f"block {number} position {position}: {cell}")


def command_line(arguments):
    """As it was given, without the folders of this machine."""
    return shlex.join(["python3", "-m", "bench", *(os.path.basename(a) if "/" in a else a for a in arguments)])


def stop(number, _frame):
    raise runner.Stopped(number)


def refuse_other_files(options):
    """Before anything runs: the run would find out at its end."""
    try:
        exists(options.output)
        traced = options.trace and header(options.trace)
    except StoreError as error:
        raise Usage(error) from error
    if traced and traced[0] != TRACE_APPLICATION_ID:
        raise Usage(f"{options.trace} is not a trace database: choose another path, or move that file away")


def run(options, arguments):
    refuse_other_files(options)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    job = make_plan(options)
    print_plan(job, full=options.dry_run)
    if options.dry_run:
        return 0
    try:
        store = Store(options.output, fresh=options.fresh)
    except StoreError as error:
        raise Usage(error) from error
    with store:
        code = runner.run(job, store, command_line(arguments))
        kinds = Counter(failure.split(": ")[1] for failure in job.failures)
    if kinds:
        print("bench: not all went well: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()), file=sys.stderr)
    print(f"python3 -m bench show {options.output}", file=sys.stderr)
    return code


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
        r = runner.probe(name)
        doc = r.doc + ("; only where --runtimes asks for it" if r.optional else "")
        print(f"  {name:<{LIST_WIDTH}}" + (doc if r.present else f"absent: {r.reason}"))
    return 0


def main(arguments):
    options = parser().parse_args(arguments)
    try:
        if options.command == "list":
            return list_catalog()
        if options.command == "show":
            return show.show(options.database, options.session)
        return run(options, arguments)
    except (Usage, catalog.Broken) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except StoreError as error:
        if options.command == "show":
            print(f"bench: {error}", file=sys.stderr)
            return 2
        print(f"bench: {error}: stopped; the samples that had finished are kept", file=sys.stderr)
        return 3
    except runner.Stopped as stopped:
        print(f"bench: {stopped}: stopped; the samples that had finished are in {options.output}", file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
