"""What there is to run: programs, micro-benchmarks and runtimes, found by their files.

A workload that cannot be imported raises Broken. A runtime is imported in a fresh process only (bench/run/sample.py),
because an extension that crashes at import would end the whole bench.
"""
import functools
import hashlib
import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Optional

from bench.support.ready import NEEDS

HERE = Path(__file__).resolve().parents[1]  # bench/, where workloads, micro and runtimes are
EXTRA = "SNAKEFISH_BENCH_EXTRA"  # names a folder with workloads/, micro/ and runtimes/ to add: tests use it
KINDS = {"workloads": "program", "micro": "micro"}


class Broken(Exception):
    """A file of the catalog that cannot be used, and why."""


def folders():
    extra = os.environ.get(EXTRA)
    return [HERE] + ([Path(extra)] if extra else [])


def names(part):
    """The names in one part of the catalog ('workloads', 'micro' or 'runtimes'), sorted."""
    return list(names_in(part, tuple(folders())))


@functools.lru_cache(maxsize=None)  # asked for each workload, and files do not come and go meanwhile
def names_in(part, places):
    found = {p.stem for folder in places for p in (folder / part).glob("[a-z]*.py")}
    return sorted(stem.replace("_", "-") for stem in found)


def load(part, name):
    """The module of that name. Raises what its import raises."""
    stem = name.replace("-", "_")
    module = f"bench.{part}.{stem}"
    if (HERE / part / f"{stem}.py").exists():
        return importlib.import_module(module)
    for folder in folders()[1:]:
        path = folder / part / f"{stem}.py"
        if path.exists():
            spec = importlib.util.spec_from_file_location(module, path)
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[module] = loaded  # where pickle looks for a work function
            spec.loader.exec_module(loaded)
            return loaded
    raise Broken(f"there is no {name} in {part}")


def about(module):
    """The first line of a module's docstring, without its name."""
    line = (module.__doc__ or "").strip().partition("\n")[0]
    return line.partition(": ")[2] or line


@dataclass(frozen=True)
class Workload:
    """A program or micro-benchmark, as the rest of the bench sees it."""

    name: str
    kind: str  # program | micro
    module: ModuleType

    @property
    def size(self):
        return self.module.size

    @property
    def check_size(self):
        return self.module.check_size

    @property
    def official(self):
        """The size that the Benchmarks Game measures; None where it is not one of its programs."""
        return getattr(self.module, "official", None)

    @property
    def sweep(self):
        """The sizes of a workload that is measured in several; else ()."""
        return getattr(self.module, "sweep", ())

    @property
    def sizes(self):
        """The sizes that a full run takes; None stands for the workload's own, or all of its sweep."""
        return getattr(self.module, "sizes", (None,))

    @property
    def full_only(self):
        """Whether a standard run leaves it out."""
        return not (self.kind == "micro" or self.official) or getattr(self.module, "full_only", False)

    @property
    def unit(self):
        return self.module.unit

    @property
    def operation(self):
        return getattr(self.module, "operation", "run")

    @property
    def same_tasks(self):
        """Whether the program has the same tasks and chunks with any number of workers."""
        return getattr(self.module, "same_tasks", False)

    @property
    def needs(self):
        """What a runtime must offer. pool means pool or warm; fold means fold, or a pool or warm to make one of."""
        return getattr(self.module, "needs", "pool")

    @property
    def lacks(self):
        """How to install the packages that are missing on this machine; None where none is."""
        packages = getattr(self.module, "packages", {})
        missing = [debian for name, debian in packages.items() if importlib.util.find_spec(name) is None]
        return f"to have it: apt-get install {' '.join(missing)}" if missing else None

    def runs_on(self, runtime):
        """Whether that runtime offers what this needs. The runtime floor runs what states a floor."""
        if self.kind == "program" and "copies" in runtime.offers:
            return True
        if (runtime.only and not {self.name, self.kind} & set(runtime.only)) or (self.needs == "fold" and runtime.one_memory):
            return False
        if getattr(self.module, "own_chunks", False) and not runtime.own_chunks:
            return False
        if self.name in runtime.programs:
            return True
        return (any(offer in runtime.offers for offer in NEEDS.get(self.needs, (self.needs,)))
                or ("floor" in runtime.offers and hasattr(self.module, "floor")))

    def worker_counts(self, runtime, counts, cpus):
        """The numbers of workers it runs with, of those that are asked for."""
        if runtime.max_workers == 1:
            return [1]
        if self.kind == "micro":
            return [cpus if getattr(self.module, "parallel", False) else 1]
        if "copies" not in runtime.offers and hasattr(self.module, "fixed_workers"):
            return [self.module.fixed_workers]
        return [n for n in counts if n >= runtime.min_workers]

    def operations(self, size):
        """How many operations a sample makes; a program counts as one."""
        if self.kind == "program":
            return 1
        return getattr(self.module, "operations", lambda size: size)(size)

    def output_of(self, value, size):
        """The output, as bytes, of what a micro-benchmark returned."""
        return getattr(self.module, "output", lambda value, size: value)(value, size)

    def published_sha256(self, size):
        """The SHA-256 of the right output at this size; None where it is not known beforehand."""
        m = self.module
        if hasattr(m, "expected"):
            return hashlib.sha256(m.expected(size)).hexdigest()
        if size != m.check_size:
            return None
        if hasattr(m, "check_output"):
            return hashlib.sha256(m.check_output).hexdigest()
        return getattr(m, "check_sha256", None)

    def chunksize(self, size, workers, count):
        """How many tasks of a map over count of them a worker takes at a time: the same for every runtime."""
        if hasattr(self.module, "chunksize"):
            return self.module.chunksize(size, workers)
        return max(1, -(-count // workers))

    def prepare(self, size):
        """Makes what must be there before the program begins. It is not timed."""
        getattr(self.module, "prepare", lambda size: None)(size)
        getattr(self.module, "begin", lambda carried: None)(None)

    def output(self, size, workers, call):
        """Runs the program. call: the function of the runtime that the program needs."""
        m = self.module

        def even(f, args, chunksize=0):
            return call(f, args, chunksize or self.chunksize(size, workers, len(args)))

        if hasattr(m, "program"):
            return m.program(size, workers, call if self.needs == "pipeline" else even)
        return m.combine(size, even(m.work, m.tasks(size, workers)))


def workload_part(name):
    part = next((part for part in KINDS if name in names(part)), None)
    if part is None:
        raise Broken(f"there is no workload named {name}")
    return part


def kind(name):
    """program or micro."""
    return KINDS[workload_part(name)]


def workload(name) -> Workload:
    """Raises Broken."""
    part = workload_part(name)
    try:
        module = load(part, name)
        for attribute in ("size", "check_size", "unit", "seconds"):
            getattr(module, attribute)
    except Exception as error:
        raise Broken(f"{name}: {type(error).__name__}: {error}") from error
    return Workload(name, kind(name), module)


def workload_names():
    """Programs first, then micro-benchmarks."""
    return [name for part in KINDS for name in names(part)]


@dataclass(frozen=True)
class Runtime:
    """What a fresh process found out about a runtime: see bench.run.sample.probe."""

    name: str
    reason: Optional[str]  # why it is absent; None: it is present
    version: Optional[str] = None
    doc: str = ""
    offers: tuple = ()
    programs: tuple = ()  # the workloads that it has programs of its own for
    max_workers: Optional[int] = None
    min_workers: int = 1
    one_memory: bool = False
    only: tuple = ()  # the workloads that it runs, or kinds of them; empty: all
    own_chunks: bool = False
    optional: bool = False

    @property
    def present(self):
        return self.reason is None
