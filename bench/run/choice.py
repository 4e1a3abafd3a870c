"""Which workloads and runtimes a run takes, and how much of them: standard, --quick or --full."""
import random
import sys
from dataclasses import dataclass, replace

from bench.run import blocks, catalog, machine, plan

STANDARD_RUNTIMES = ("sequential", "snakefish", "snakefish-traced", "snakefish-again", "multiprocessing", "ceiling",
                     "floor")
TRACED = "snakefish-traced"
# In a standard run, with all CPUs, in the fewer blocks, for two programs: those of README's table.
PEERS = ("concurrent-futures", "joblib", "mpire", "pebble")
PEERS_PROGRAMS = ("binary-trees", "spectral-norm")
SWEPT_RUNTIMES = ("sequential", "snakefish", "multiprocessing")
BLOCKS = 10  # of what gets a verdict: programs under snakefish and its rivals, and the A/A control
MINUTES = 8  # for these blocks in a standard run: on a slow machine they are fewer, down to OTHER_BLOCKS
OTHER_BLOCKS = 6  # of all else in a standard run: in micro-benchmarks, runtimes differ by much more
FULL_BLOCKS = 10
QUICK_BLOCKS = 2
SAME = ("cpu_model", "effective_cpus", "kernel", "python", "numpy_version", "joblib_version", "extension_sha256",
        "code_sha256")  # in all samples of a session


class Usage(Exception):
    """The command line asks for what is not there."""


@dataclass(frozen=True)
class More:
    """So many blocks more than a session has."""

    blocks: int


def workloads(options):
    """All that the filter matches; without a filter the Benchmarks Game's programs and the micro-benchmarks, or all."""
    names = [name for name in catalog.workload_names() if matches(options.filter, f"{catalog.kind(name)}/{name}")]
    if not names:
        raise Usage(f"no workload has '{options.filter}' in its name: there are {', '.join(catalog.workload_names())}")
    found = [catalog.workload(name) for name in names]
    if not (options.filter or options.full):
        found = [w for w in found if not w.full_only]
    if options.official:
        found = [w for w in found if w.official]
    for workload in found:
        if workload.lacks:
            print(f"{workload.name} is absent: {workload.lacks}", file=sys.stderr)
    found = [workload for workload in found if not workload.lacks]
    if not found:
        raise Usage("no workload is left to run")
    return found


def matches(wanted, name):
    """Whether one of the texts in a list with commas is in the name; an empty list matches all."""
    return any(text in name for text in wanted.split(",") if text) or not wanted


def runtimes(wanted):
    """Those that are asked for; if none is, all but the optional ones."""
    known = catalog.names("runtimes")
    for name in wanted or ():
        if name not in known:
            raise Usage(f"there is no runtime {name}: there are {', '.join(known)}")
    found = [blocks.probe(name) for name in known if not wanted or name in wanted]
    found = [r for r in found if wanted or not r.optional]
    if not any(r.present for r in found):
        raise Usage("no runtime is left to run")
    return found


def takes(options, workload, runtime):
    """Whether a run takes that workload under that runtime. A micro-benchmark adds the runtimes that its targets or `also`
    name."""
    if options.full or options.runtimes:
        return True
    if workload.sweep:
        return runtime.name in SWEPT_RUNTIMES
    if runtime.name == plan.CONTROL:
        return workload.kind == "program"
    if runtime.name == TRACED and not getattr(workload.module, "traced", True):
        return False
    if runtime.name in PEERS and workload.name in PEERS_PROGRAMS:
        return not options.quick
    return any(runtime.name in names for names in (
        STANDARD_RUNTIMES, getattr(workload.module, "targets", ()), getattr(workload.module, "also", ())))


def sizes_of(options, workload):
    """The sizes to run; None stands for the workload's own, or all of its sweep."""
    if options.official:
        return (workload.official,)
    if options.size or not options.full:
        return (options.size or (workload.check_size if options.quick else None),)
    return workload.sizes


def make(options):
    """The plan of a run."""
    if isinstance(options.blocks, More):
        raise Usage(f"--blocks +{options.blocks.blocks} is for a session that is there: with --resume")
    standard = not (options.blocks or options.quick or options.full or options.official)
    if options.minutes and not standard:
        raise Usage("--minutes is for a standard run: not with --blocks, --quick, --full or --official")
    taken, found = workloads(options), runtimes(options.runtimes)
    found = [r for r in found if any(takes(options, w, r) for w in taken)]
    for r in found:
        if not r.present:
            print(f"{r.name} is absent: {r.reason}", file=sys.stderr)
    cpus = machine.effective_cpus()
    workers = options.workers or (plan.worker_counts(cpus) if options.full else sorted({1, cpus}))
    cells = []
    for workload in taken:
        for runtime in (r for r in found if r.present and takes(options, workload, r)):
            # the standard run takes these at the largest number of workers only
            few = (plan.CONTROL, TRACED) if options.runtimes else (plan.CONTROL, TRACED, *PEERS)
            counts = workers if options.full or runtime.name not in few else workers[-1:]
            for size in sizes_of(options, workload):
                cells += plan.cells(workload, [runtime], counts, size, cpus,
                                    weak=options.full and workload.kind == "program")
    if not cells:
        raise Usage("none of these runtimes offers what these workloads need")
    for cell in cells:
        try:
            plan.guess_s(cell, next(w for w in taken if w.name == cell.workload), cpus)
        except OverflowError as error:
            raise Usage(f"{cell.workload} {cell.size} would never end: a smaller --size, or --filter") from error
    seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    block_count = options.blocks or (QUICK_BLOCKS if options.quick else FULL_BLOCKS if options.full else None)
    if block_count is None:
        programs = {workload.name for workload in taken if workload.kind == "program"}
        few = () if options.runtimes else PEERS
        cells = [cell if cell.workload in programs and plan.is_compared(cell.runtime) and cell.runtime not in few
                 else replace(cell, blocks=OTHER_BLOCKS) for cell in cells]
        block_count = max(cell.blocks or BLOCKS for cell in cells)
    return blocks.Plan(taken, found, cells, block_count, seed, options.limit, memory=options.memory, trace=options.trace,
                       margin=options.margin, minutes=(options.minutes or MINUTES) if standard else None, fewest=OTHER_BLOCKS)


def resumed(store, more=None, wanted=""):
    """The plan of the last session of the store; only what is needed to go on. more: a More, for the workloads that the filter
    `wanted` matches."""
    session = store.continue_session(even_complete=more is not None)
    known = {row["key"]: row["value"] for row in store.of_session("machine")}
    changed = [key for key in SAME if known.get(key) != machine.shown(getattr(machine, key)())]
    if changed:
        raise Usage(f"the session was measured with another {' and another '.join(changed)}: samples of both would not "
                    "compare; start a new one")
    planned = [plan.Cell(**{key: value for key, value in row.items() if key != "session"})
               for row in store.of_session("cell")]
    if more:
        planned = with_more(planned, session["blocks"], more.blocks, wanted)
    names = sorted({cell.workload for cell in planned})
    found = [blocks.probe(name) for name in sorted({cell.runtime for cell in planned})]
    for r in found:
        if not r.present:
            raise Usage(f"{r.name} was there when the session started, and is absent now: {r.reason}")
    job = blocks.Plan([catalog.workload(name) for name in names], found, planned, session["blocks"], session["seed"],
                      session["limit_s"], memory=bool(session["memory"]), trace=session["trace"], margin=session["margin"])
    if more:
        job.blocks = max(cell.blocks for cell in planned)
        store.change_blocks(planned, job.blocks, job.samples)
        if session["status"] == "complete":
            job.trace = None  # it is there
    return job


def with_more(planned, block_count, more, wanted):
    """The cells, of which those that have so many more blocks that are in the most of them, of the workloads that the filter
    matches: in a standard session, those that a verdict needs."""
    chosen = [cell for cell in planned if matches(wanted, f"{catalog.kind(cell.workload)}/{cell.workload}")]
    if not chosen:
        raise Usage(f"no workload of the session has '{wanted}' in its name")
    # where a session was shortened, those that are in all blocks are in no more of them than the others
    most = None if any(cell.blocks is None for cell in chosen) else max(cell.blocks for cell in chosen)
    more += most or block_count
    return [replace(cell, blocks=more if cell in chosen and cell.blocks == most else cell.blocks or block_count)
            for cell in planned]
