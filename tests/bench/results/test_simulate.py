"""Verdicts on sessions whose truth is known. `python3 -m bench simulate` does it with more of them, and on recorded noise."""
from dataclasses import replace

import numpy
import pytest

from bench.results import simulate
from bench.results.simulate import BUSY, METHODS, OURS, QUIET
from bench.run.store import Store, StoreError

SESSIONS = 100


def sessions_of(noise, method, seed=2):
    draw = numpy.random.RandomState(seed)
    return simulate.many(lambda: simulate.made_up(draw, noise, method.blocks, method.side_by_side), method.pooled, SESSIONS)


@pytest.fixture(scope="module")
def busy():
    return [sessions_of(BUSY, method) for method in METHODS]


def test_intervals_hold_the_truth_and_few_sessions_are_wrong(busy):
    """By the bounds of so few sessions: 95 % within 93 to 97 %, 5 % within 10 %."""
    for found in (*busy, sessions_of(QUIET, OURS)):
        assert 0.93 < found.covered < 0.97 and found.wrong <= 0.1


def test_each_part_of_the_method_finds_smaller_differences_at_every_number_of_workers(busy):
    for workers in simulate.WORKERS:
        sizes = [found.finds[workers] for found in busy]
        assert sizes == sorted(sizes, reverse=True)


def test_a_busy_machine_decides_ten_per_cent_with_one_worker_and_twenty_with_two(busy):
    assert busy[-1].finds[1] < 0.11 and busy[-1].finds[2] < 0.21
    quiet = sessions_of(QUIET, OURS)
    assert quiet.finds[1] < 0.035 and quiet.finds[2] < 0.07


def test_made_up_noise_has_the_size_that_it_is_said_to_have():
    draw = numpy.random.RandomState(1)
    sessions = [simulate.made_up(draw, replace(BUSY, drifts=0), 10, False) for _ in range(60)]
    for workers, sd in zip(simulate.WORKERS, BUSY.sd):
        logs = numpy.concatenate([logs for session in sessions for (_, n), logs in session.items() if n == workers])
        assert logs.std() == pytest.approx(sd * 2 ** 0.5, rel=0.1)


def fill(path, noise=0.05):
    draw = numpy.random.RandomState(4)
    with Store(path) as store:
        store.start_session(command="test", seed=1, blocks=12, samples=48)
        for runtime in ("snakefish", "multiprocessing"):
            store.add("runtime", name=runtime, status="present", doc="")
        for name in ("p", "q"):
            store.add("workload", name=name, size=9, kind="program", unit="tasks", operation="run", doc="")
            for place, runtime in enumerate(("snakefish", "multiprocessing")):
                store.add("cell", workload=name, size=9, runtime=runtime, workers=2, series="strong", work=1)
                for block in range(12):
                    ns = int(1e9 * (1 + place) * numpy.exp(draw.normal(0, noise)))
                    store.add("sample", block=block, position=place, workload=name, size=9, runtime=runtime, workers=2,
                              status="ok", output_ok=1, operations=1, region_ns=ns)
    return path


def test_recorded_noise_is_that_of_the_pairs_and_has_no_difference_left(tmp_path):
    noise = simulate.recorded([fill(tmp_path / "bench.db")])
    assert [key[:4] for key in noise] == [(name, 2, "snakefish", "multiprocessing") for name in "pq"]
    for logs in noise.values():
        assert len(logs) == 12 and logs.mean() == pytest.approx(0) and 0.04 < logs.std() < 0.12
    found = simulate.many(lambda: simulate.drawn(numpy.random, noise, 10), True, 20)
    assert found.finds[2] < 0.3


def test_the_command_prints_a_row_for_each_method_and_for_recorded_noise(bench, tmp_path):
    out, _ = bench("simulate", "--sessions", 2, fill(tmp_path / "bench.db"))
    assert [sum(method.name in line for line in out.splitlines()) for method in METHODS] == [3, 3, 2, 2]
    assert "gone on with by 10 blocks: 0.0% wrong at the end" in out and "recorded noise, 2 comparisons" in out
    assert "no bench database" in bench("simulate", "--sessions", 2, tmp_path / "none.db", code=2)[1]


def test_a_session_of_few_blocks_has_no_noise_to_draw_from(tmp_path):
    with Store(tmp_path / "bench.db") as store:
        store.start_session(command="test", seed=1, blocks=12, samples=0)
    with pytest.raises(StoreError, match="no two runtimes of a program have 10 blocks"):
        simulate.recorded([tmp_path / "bench.db"])
