"""What a run takes of the catalog: standard, quick, full, official."""
from collections import defaultdict
from types import SimpleNamespace

import pytest

from bench.run import catalog, choice
from bench.run.choice import STANDARD_RUNTIMES

DEFAULTS = dict(filter="", quick=False, full=False, official=False, size=None, runtimes=None, workers=None, blocks=None,
                seed=1, limit=60, memory=False, trace=None, margin=0.03, minutes=None)
GAME = {"binary-trees", "fannkuch-redux", "fasta", "k-nucleotide", "mandelbrot", "regex-redux", "spectral-norm"}


@pytest.fixture(scope="module")
def probed():
    return {name: choice.blocks.probe(name) for name in catalog.names("runtimes")}


@pytest.fixture
def job(monkeypatch, probed):
    """The plan that these options make on a machine of four CPUs."""
    monkeypatch.setattr(choice.blocks, "probe", probed.get)
    monkeypatch.setattr(choice.machine, "effective_cpus", lambda: 4)
    return lambda **options: choice.make(SimpleNamespace(**{**DEFAULTS, **options}))


@pytest.fixture
def peers(probed):
    """Those that are installed."""
    return [name for name in choice.PEERS if probed[name].present]


def programs(job):
    found = defaultdict(set)
    for cell in job.cells:
        if catalog.kind(cell.workload) == "program":
            found[cell.workload].add((cell.runtime, cell.workers, cell.size))
    return found


def test_standard_is_the_seven_programs_with_the_standard_runtimes_and_one_and_all_cpus_and_peers_in_two(job, peers):
    plan = job()
    assert set(programs(plan)) == GAME
    for name, cells in programs(plan).items():
        size = catalog.workload(name).size
        assert cells == {("sequential", 1, size), ("ceiling", 4, size), ("snakefish-again", 4, size),
                         ("snakefish-traced", 4, size), *((r, n, size) for r in ("snakefish", "multiprocessing") for n in (1, 4)),
                         *((r, 4, size) for r in peers if name in ("binary-trees", "spectral-norm"))}
    assert plan.blocks == 10
    assert {c.runtime for c in plan.cells if c.blocks is None} == {"snakefish", "snakefish-again", "multiprocessing"}
    assert {catalog.kind(c.workload) for c in plan.cells if c.blocks is None} == {"program"}
    assert {c.blocks for c in plan.cells} == {None, 6}


def test_peers_that_are_asked_for_run_with_every_number_of_workers(job):
    cells = programs(job(runtimes=["snakefish", "concurrent-futures"]))["spectral-norm"]
    assert {(r, n) for r, n, _ in cells} == {(r, n) for r in ("snakefish", "concurrent-futures") for n in (1, 4)}
    assert not {r for cells in programs(job(quick=True)).values() for r, _, _ in cells} & set(choice.PEERS)


def test_a_peer_that_is_not_installed_is_left_out_with_what_to_install(job, monkeypatch, probed, capsys):
    absent = choice.catalog.Runtime(name="mpire", reason="No module named 'mpire'; to have it: pip install mpire")
    monkeypatch.setattr(choice.blocks, "probe", lambda name: absent if name == "mpire" else probed[name])
    assert "mpire" not in {c.runtime for c in job().cells}
    assert "mpire is absent: No module named 'mpire'; to have it: pip install mpire" in capsys.readouterr().err


def test_a_standard_run_traces_no_micro_benchmark_beside_which_an_event_costs_nothing(job):
    traced = {c.workload for c in job().cells if c.runtime == "snakefish-traced"}
    assert GAME | {"spawn-join", "stream-int", "map-again"} <= traced
    assert "map-large-arrays" not in traced and "map-large-arrays" in {c.workload for c in job().cells}
    assert "map-large-arrays" in {c.workload for c in job(full=True).cells if c.runtime == "snakefish-traced"}


def test_default_chunks_are_in_full_runs_and_of_programs_only(job):
    defaults = {"snakefish-default", "multiprocessing-default", "concurrent-futures-default"}
    cells = job(full=True).cells
    assert {c.runtime for c in cells if c.runtime.endswith("-default")} == defaults
    assert {catalog.kind(c.workload) for c in cells if c.runtime in defaults} == {"program"}
    assert not defaults & {c.runtime for c in job().cells}


def test_more_blocks_are_of_what_is_in_the_most_of_them(job, peers):
    plan = job()
    more = choice.with_more(plan.cells, plan.blocks, 12, "")
    assert {(c.runtime, c.blocks) for c in more if catalog.kind(c.workload) == "program"} == {
        *((name, 22) for name in ("snakefish", "snakefish-again", "multiprocessing")),
        *((name, 6) for name in ("sequential", "snakefish-traced", "ceiling", *peers))}
    assert {c.blocks for c in more if catalog.kind(c.workload) == "micro"} == {6}
    more = choice.with_more(more, 22, 3, "micro/spawn,program/fasta")
    assert {(c.workload, c.blocks) for c in more if c.runtime == "snakefish" and c.blocks != 22} >= {("fasta", 25)}
    more = choice.with_more(plan.cells, plan.blocks, 3, "micro/spawn")
    assert {(c.workload, c.blocks) for c in more if c.blocks == 9} == {("spawn-join", 9)}


def test_blocks_that_are_asked_for_are_those_of_every_workload(job):
    plan = job(blocks=20)
    assert plan.samples == 20 * len(plan.cells)
    assert job(filter="micro").blocks == 6 and job(quick=True).blocks == 2


def test_a_standard_run_takes_less_than_the_eight_minutes_that_are_promised(monkeypatch, probed):
    monkeypatch.setattr(choice.blocks, "probe", probed.get)
    monkeypatch.setattr(choice.machine, "effective_cpus", lambda: 2)
    plan = choice.make(SimpleNamespace(**{**DEFAULTS, "memory": True}))
    assert plan.estimate().left_s() < 480


def test_a_micro_benchmark_brings_the_runtimes_that_it_names(job):
    cells = {(c.workload, c.runtime) for c in job().cells}
    assert ("map-ints", "multiprocessing-warm") in cells and ("map-skewed", "multiprocessing-warm") not in cells
    assert {w for w, r in cells if r not in STANDARD_RUNTIMES and catalog.kind(w) == "micro"} == {
        "map-again", "map-ints", "submit-result"}
    assert {w for w, r in cells if r == "snakefish-executor"} == {"map-again", "map-ints"}


def test_full_is_everything_but_the_optional(job, probed):
    plan = job(full=True)
    present = {r.name for r in probed.values() if r.present and not r.optional}
    assert {c.runtime for c in plan.cells} == present
    assert set(programs(plan)) == {name for name in catalog.workload_names() if catalog.kind(name) == "program"
                                   and not catalog.workload(name).lacks}
    assert {c.series for c in plan.cells} == {"strong", "weak", "both", "sweep"}
    assert plan.blocks == 10
    assert {c.size for c in plan.cells if c.workload == "share-one"} == {1000, 100_000, 1_000_000}
    assert {c.size for c in job(filter="share-one").cells} == {1_000_000}
    assert "share-one" not in {c.workload for c in job().cells}  # it takes long
    for c in plan.cells:  # they take seconds to start
        assert c.runtime not in ("dask", "mpi") or (c.workload in ("mandelbrot", "many-tasks") and c.workers > 1)
    assert "many-tasks" in {c.workload for c in plan.cells} - {c.workload for c in job().cells}


def test_quick_is_small_and_official_is_as_large_as_the_site(job):
    quick, official = job(quick=True), job(official=True)
    assert {c.size for c in quick.cells if c.workload == "fasta"} == {1000}
    assert {(c.workload, c.size) for c in official.cells} == {
        ("binary-trees", 21), ("fannkuch-redux", 12), ("fasta", 25_000_000), ("k-nucleotide", 25_000_000),
        ("mandelbrot", 16000), ("regex-redux", 5_000_000), ("spectral-norm", 5500)}


def test_a_filter_finds_what_the_standard_leaves_out(job):
    assert set(programs(job(filter="life", runtimes=["snakefish", "joblib"], workers=[2]))) == {"life"}


def test_a_filter_of_several_texts_finds_what_matches_one_of_them(job):
    plan = job(filter="life,spawn,", runtimes=["snakefish"], workers=[2])
    assert {cell.workload for cell in plan.cells} == {"life", "spawn-join"}
