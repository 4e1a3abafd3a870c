"""The order of the samples, and the time they take."""
from collections import Counter
from dataclasses import replace
from itertools import groupby

from bench.run import catalog, plan

RUNTIMES = [
    catalog.Runtime("sequential", None, offers=("pool",), max_workers=1),
    catalog.Runtime("other", None, offers=("pool", "spawn_join", "echo")),
    catalog.Runtime("floor", None, offers=("floor",)),
]
CPUS = 2


def cells(workers=(1, 2, 3)):
    workloads = [catalog.workload(name) for name in catalog.workload_names()]
    return [cell for workload in workloads for cell in plan.cells(workload, RUNTIMES, list(workers), None, CPUS)]


def test_a_block_holds_every_cell_once():
    all_cells = cells()
    for number in range(20):
        assert Counter(plan.block(all_cells, 7, number)) == Counter(all_cells)


def test_order_is_a_function_of_the_seed():
    all_cells = cells()
    order = [plan.block(all_cells, 7, n) for n in range(5)]
    assert order == [plan.block(list(reversed(all_cells)), 7, n) for n in range(5)]
    assert order != [plan.block(all_cells, 8, n) for n in range(5)]
    assert len(set(map(tuple, order))) == 5


def test_order_for_a_seed_stays_what_it_was():
    """A stored seed is worth something only as long as it gives the same order."""
    letters = [plan.Cell(c, 1, "r", 1) for c in "abcdef"]
    assert "".join(c.workload for c in plan.block(letters, 42, 0)) == "efbadc"
    one = [plan.Cell("a", 1, r, 2) for r in ("ceiling", "multiprocessing", "snakefish", "snakefish-again")]
    assert [c.runtime for c in plan.block(one, 42, 0)] == ["ceiling", "snakefish-again", "snakefish", "multiprocessing"]


def group_of(cell):
    return cell.workload, cell.size, cell.workers


def test_runtimes_of_one_workload_and_number_of_workers_are_next_to_each_other():
    all_cells = cells()
    for number in range(20):
        groups = [key for key, _ in groupby(plan.block(all_cells, 3, number), group_of)]
        assert len(groups) == len(set(groups))


RIVALS = ("multiprocessing", "snakefish-again", "joblib", "snakefish-executor")


def places(runtimes, blocks=400):
    """In each block, the place of each runtime."""
    one = [plan.Cell("a", 1, name, 2) for name in runtimes]
    return [{cell.runtime: k for k, cell in enumerate(plan.block(one, 1, number))} for number in range(blocks)]


def test_snakefish_is_in_the_middle_of_those_that_it_is_compared_with():
    for count in range(1, 5):
        for of in places(("ceiling", "sequential", "snakefish", "snakefish-traced", *RIVALS[:count])):
            apart = sorted(of[rival] - of["snakefish"] for rival in RIVALS[:count])
            assert len(apart) == len(set(apart)) and max(map(abs, apart)) <= (count + 1) // 2


def test_either_of_a_pair_is_the_first_as_often_as_not():
    for count in range(1, 5):
        found = places(("ceiling", "snakefish", "snakefish-traced", *RIVALS[:count]))
        for rival in (*RIVALS[:count], "ceiling", "snakefish-traced"):
            assert abs(sum(of[rival] < of["snakefish"] for of in found) / len(found) - 0.5) < 0.1


def test_a_cell_with_fewer_blocks_is_in_the_first_of_them():
    whole, part = plan.Cell("a", 1, "r", 1), replace(plan.Cell("b", 1, "r", 1), blocks=2)
    assert [part in plan.block([whole, part], 1, number) for number in range(3)] == [True, True, False]
    assert plan.Estimate([whole, part], 5, lambda cell: 1.0).left_s() == 7


def test_no_cell_is_always_first():
    all_cells = cells()[:50]
    first = Counter(plan.block(all_cells, 1, n)[0] for n in range(1000))
    assert len(first) == len(all_cells)
    assert max(first.values()) < 5 * 1000 / len(all_cells)


def test_sequential_runs_with_one_worker_and_so_do_micro_benchmarks_that_are_not_parallel():
    parallel = {name for name in catalog.workload_names() if getattr(catalog.workload(name).module, "parallel", False)}
    assert {"map-ints", "task-size"} < parallel and "stream-int" not in parallel
    for cell in cells():
        if cell.runtime == "sequential":
            assert cell.workers == 1
        elif catalog.kind(cell.workload) == "micro":
            assert cell.workers == (CPUS if cell.workload in parallel else 1)
        elif cell.workload == "pipeline":
            assert cell.workers == 3
    assert plan.Cell("mandelbrot", catalog.workload("mandelbrot").size, "other", 3) in cells()


def test_what_a_runtime_does_not_offer_is_not_planned():
    assert not [c for c in cells() if c.workload == "channel-round-trip" and c.runtime == "sequential"]
    assert not [c for c in cells() if c.workload == "stream-int" and c.runtime == "other"]


def test_the_floor_is_of_micro_benchmarks_that_have_one_and_of_no_program():
    assert {c.workload for c in cells() if c.runtime == "floor"} == {
        name for name in catalog.workload_names() if hasattr(catalog.workload(name).module, "floor")}


def test_worker_counts_reach_twice_the_cpus():
    assert plan.worker_counts(1) == [1, 2]
    assert plan.worker_counts(2) == [1, 2, 3, 4]
    for cpus in (4, 6, 8, 64, 96):
        counts = plan.worker_counts(cpus)
        assert counts[0] == 1 and counts[-1] == 2 * cpus and cpus in counts and len(counts) <= 12


def test_estimate_learns_from_what_was_measured():
    two = [plan.Cell("a", 1, "r", 1), plan.Cell("b", 1, "r", 1)]
    estimate = plan.Estimate(two, blocks=2, guess=lambda cell: 1.0)
    assert estimate.left_s() == 4
    estimate.add(two[0], 3.0)  # the machine is three times slower than the guess: so is what is not yet measured
    assert estimate.left_s() == 9
    estimate.add(two[1], 1.0)
    assert estimate.left_s() == 4


def weak(name, workers):
    found = catalog.workload(name)
    runtime = catalog.Runtime("snakefish", None, offers=("pool",))
    return {cell.workers: cell for cell in plan.cells(found, [runtime], workers, None, CPUS, weak=True)
            if cell.series in ("weak", "both")}


def test_weak_series_keeps_each_workers_share():
    for name in ("mandelbrot", "fasta", "spectral-norm"):
        growth = catalog.workload(name).module.growth
        cells = weak(name, [1, 2, 4])
        assert [cells[n].series for n in (1, 2, 4)] == ["both", "weak", "weak"]
        for n, cell in cells.items():
            assert abs(growth(cell.size) / growth(cells[1].size) / n - 1) <= plan.WEAK_TOLERANCE
            assert cell.work == growth(cell.size) / growth(cells[1].size)


def test_what_cannot_grow_in_small_steps_has_no_weak_series():
    assert set(weak("fannkuch-redux", [1, 2, 3])) == {1}
    assert set(weak("pipeline", [1, 2])) == set()


def test_estimate_counts_what_comes_after_the_blocks_and_what_was_there_before():
    cell = plan.Cell("a", 1, "r", 1)
    estimate = plan.Estimate([cell], blocks=3, guess=lambda cell: 2.0)
    estimate.more(cell)
    estimate.skip(cell)
    assert estimate.left_s() == 6


def test_after_the_last_block_only_what_is_run_once_more_is_left():
    first, second = plan.Cell("a", 1, "snakefish", 1), plan.Cell("b", 1, "snakefish", 1)
    estimate = plan.Estimate([first, second], 10, lambda cell: 2.0, once_more=[first])
    estimate.add(first, 2.0)
    assert estimate.block_s([first, second]) == 4 and estimate.left_s() == 19 * 2 + 2
    estimate.no_more_blocks()
    assert estimate.block_s([first, second]) == 0 and estimate.left_s() == 2


def test_estimate_gives_up_what_timed_out():
    two = [plan.Cell("a", 1, "r", 1), plan.Cell("b", 1, "r", 1)]
    estimate = plan.Estimate(two, blocks=3, guess=lambda cell: 2.0)
    estimate.give_up(two[0])
    assert estimate.left_s() == 6
    estimate.add(two[0], 2.0)  # resumed, its right output is sought once more
    assert estimate.left_s() == 6


def test_estimate_knows_of_runs_that_are_in_no_block():
    estimate = plan.Estimate([], blocks=3, guess=lambda cell: 2.0)
    other = plan.Cell("a", 1, "sequential", 1)
    estimate.more(other)
    assert estimate.left_s() == 2
    estimate.add(other, 5.0)
    assert estimate.left_s() == 0


def test_estimate_learns_how_fast_the_second_pass_is():
    four = [plan.Cell(name, 1, "r", 1) for name in "abcd"]
    estimate = plan.Estimate(four, blocks=1, guess=lambda cell: 1.0, once_more=four)
    for cell in four:
        estimate.add(cell, 2.0)
    assert estimate.left_s() == 8  # nothing is known of it yet: as in the blocks
    estimate.add_once_more(four[0], 3.0)
    assert estimate.left_s() == 9
    estimate.skip_once_more(four[1])  # resumed, it is there from before
    estimate.give_up(four[2])
    assert estimate.left_s() == 3


def test_estimate_is_right_within_a_fifth_from_half_way_on():
    """Guesses that are wrong by up to a factor of four, for every cell by another one."""
    cells = [plan.Cell(f"w{k}", 1, "r", 1) for k in range(30)]
    guessed = {cell: 1.0 for cell in cells}
    real = {cell: 4 ** (k / 15 - 1) for k, cell in enumerate(cells)}
    estimate = plan.Estimate(cells, blocks=4, guess=guessed.get)
    left = 4 * sum(real.values())
    for number in range(4):
        for cell in plan.block(cells, 1, number):
            if number >= 2:
                assert abs(estimate.left_s() / left - 1) < 0.2
            estimate.add(cell, real[cell])
            left -= real[cell]
