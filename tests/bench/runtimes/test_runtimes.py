"""Every runtime runs the same workloads and comes to the same output."""
import hashlib

import pytest

from bench.run import blocks, catalog, plan
from bench.support import ready
from conftest import shared_out

PROGRAMS = [name for name in catalog.workload_names() if catalog.kind(name) == "program"]
FOR_MICRO = ("floor", "multiprocessing-simplequeue", "multiprocessing-manager", "multiprocessing-shared-memory")
RUNTIMES = [name for name in catalog.names("runtimes") if name not in FOR_MICRO]
OTHERS = [name for name in RUNTIMES if name != "sequential"]
SMALL = {"binary-trees": 6, "fannkuch-redux": 6, "fasta": 300, "k-nucleotide": 300, "regex-redux": 300, "mandelbrot": 40,
         "spectral-norm": 20, "monte-carlo": 3, "memoised-search": 1000, "image-filter": 40, "life": 10}
SLOW_TO_START = {"joblib": ("spectral-norm", "memoised-search")}  # a second for each sample


@pytest.fixture(scope="module")
def right():
    """The sequential program's output hashes."""
    return {name: sample(name, SMALL.get(name, catalog.workload(name).check_size), "sequential", 1)["output_sha256"]
            for name in PROGRAMS if not catalog.workload(name).lacks}


def sample(*arguments):
    ended, answer = blocks.ask(arguments, limit_s=60)
    assert answer, ended.stderr
    return answer


def runs(found, right):
    """The programs that each runtime can run."""
    return {name: [program for program in SLOW_TO_START.get(name, right) if catalog.workload(program).runs_on(found[name])]
            for name in OTHERS if found[name].present}


def check_outputs(found, right, runtime, programs):
    assert programs
    for workload in map(catalog.workload, programs):
        for workers in workload.worker_counts(found[runtime], (1, 3) if workload.name == "spectral-norm" else (2,), 2):
            size = SMALL.get(workload.name, workload.check_size)
            assert sample(workload.name, size, runtime, workers)["output_sha256"] == right[workload.name], workload.name


@pytest.mark.parametrize("runtime", OTHERS)
def test_output_is_that_of_the_sequential_program(found, right, runtime):
    """Every program and every runtime, but not every pair."""
    if not found[runtime].present:
        pytest.skip(found[runtime].reason)
    check_outputs(found, right, runtime, shared_out(runs(found, right))[runtime])


CHUNKED = '''
"""chunked: how many chunks 64 tasks came in: those of one chunk share what they shared before they were sent"""
import os
size, check_size, unit, seconds = 64, 64, "tasks", 0.01
check_output = b"4"
kept = []

def tasks(size, workers):
    shared = ["shared"]
    return [shared] * size

def chunksize(size, workers):
    return 16

def work(shared):
    kept.append(shared)  # so that no other gets its address
    return os.getpid(), id(shared)

def combine(size, chunks):
    return b"%d" % len(set(chunks))
'''


@pytest.mark.parametrize("runtime, chunks", [("multiprocessing", 4), ("multiprocessing-default", 8), ("concurrent-futures", 4),
                                             ("concurrent-futures-default", 64)])
def test_the_default_runtimes_leave_the_size_of_chunks_to_the_library(bench, runtime, chunks):
    bench.add("workloads", "chunked", CHUNKED)
    assert bench("output", "chunked", "--runtime", runtime, "--workers", 2)[0] == str(chunks)


@pytest.mark.long
@pytest.mark.parametrize("runtime", OTHERS)
def test_output_of_every_program_is_that_of_the_sequential_one(found, right, runtime):
    if not found[runtime].present:
        pytest.skip(found[runtime].reason)
    check_outputs(found, right, runtime, runs(found, right)[runtime])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_runtime_says_what_it_is(found, runtime):
    if not found[runtime].present:
        pytest.skip(found[runtime].reason)
    assert found[runtime].doc and set(found[runtime].offers) & {"pool", "warm", "fold", "copies", "programs"}


def test_programs_of_the_published_style_are_run_instead_of_a_map_of_the_workloads_tasks(found, monkeypatch):
    runtime, mandelbrot = found["multiprocessing-published"], catalog.workload("mandelbrot")
    assert set(runtime.programs) <= set(PROGRAMS) and "mandelbrot" in runtime.programs
    assert [name for name in PROGRAMS if catalog.workload(name).runs_on(runtime)] == sorted(runtime.programs)
    assert set(found["snakefish-own"].programs) <= set(runtime.programs)
    published = catalog.load("runtimes", "multiprocessing-published")
    monkeypatch.setattr(mandelbrot.module, "tasks", None)
    with ready.program(published, mandelbrot, 40, 2) as run:
        assert hashlib.sha256(run()).hexdigest() == sample("mandelbrot", 40, "sequential", 1)["output_sha256"]


def test_programs_that_change_globals_are_not_for_one_memory(found):
    words = catalog.workload("word-count")
    assert words.runs_on(found["multiprocessing"]) and not words.runs_on(found["threading"])
    assert catalog.workload("pipeline").runs_on(found["threading"])
    assert not catalog.workload("pipeline").runs_on(found["multiprocessing"])


def test_the_ceiling_counts_its_copies_and_needs_two():
    row = sample("fannkuch-redux", 6, "ceiling", 3)
    assert row["operations"] == 3
    assert catalog.workload("pipeline").worker_counts(blocks.probe("ceiling"), [1, 2, 4], 2) == [2, 4]


def test_the_ceiling_refuses_copies_that_differ(bench, program):
    bench.add("workloads", "injected", program("x = os.getpid()"))
    bench.run("--quick", "--filter", "injected", "--runtimes", "ceiling", "--blocks", 1, "--workers", 2, code=1)
    (row,) = bench.rows("SELECT * FROM sample")
    assert row["status"] == "crash" and "2 copies have 2 different outputs" in row["error"]


def test_output_prints_what_the_program_does_and_nothing_else(bench):
    for runtime in ("sequential", "snakefish"):
        out, err = bench("output", "spectral-norm", "--size", 100, "--runtime", runtime)
        assert (out, err) == ("1.274219991\n", "")
    assert bench("output", "regex-redux")[0].endswith("\n10245\n10000\n5262\n")
    assert "does not offer" in bench("output", "pipeline", "--runtime", "joblib", code=2)[1]
    assert "no workload named x" in bench("output", "x", code=2)[1]


def test_the_three_times_contain_each_other():
    row = blocks.measure(plan.Cell("mandelbrot", 40, "multiprocessing", 2), limit_s=60, lifeline=None)
    assert 0 < row["region_ns"] < row["run_ns"] < row["wall_ns"]
    assert 0 < row["import_ns"] < row["run_ns"]
    assert row["user_ns"] > 0 and row["minor_faults"] > 0


def test_traced_runtime_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    sample("mandelbrot", 16, "snakefish-traced", 2)
    assert not list(tmp_path.iterdir())
