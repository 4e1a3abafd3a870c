"""What two sessions' counts of instructions differ by."""
import pytest

from bench.results import counted
from bench.results.compare import compare
from bench.run.store import Store, StoreError


def fill(path, **runs):
    """A session of counts; runs: of a micro-benchmark, [(instructions, own_instructions)]."""
    with Store(path) as store:
        store.start_session(command="test", seed=0, blocks=0, samples=0)
        store.add("runtime", name="snakefish", status="present", doc="")
        for name, numbers in runs.items():
            store.add("workload", name=name, size=9, kind="micro", unit="n", operation="n", doc="")
            store.add("cell", workload=name, size=9, runtime="snakefish", workers=1, series="strong", work=1)
            for run, (every, own) in enumerate(numbers):
                store.add("instruction_count", workload=name, size=9, runtime="snakefish", workers=1, run=run, tool="callgrind",
                          processes=2, instructions=every, own_instructions=own)
    return str(path)


QUIET = [(1_000_000, 100_000), (1_000_300, 100_010), (1_000_900, 100_030)]
NOISY = [(1_000_000, 100_000), (1_010_000, 102_000), (1_050_000, 109_000)]


def more(numbers, share):
    return [(round(every * (1 + share)), round(own * (1 + share))) for every, own in numbers]


@pytest.fixture
def pair(tmp_path):
    return lambda a, b: (fill(tmp_path / "a.db", **a), fill(tmp_path / "b.db", **b))


def test_one_percent_more_is_seen_and_ends_with_1_where_less_is_asked_for(pair, capsys):
    paths = pair({"send": QUIET, "spawn": QUIET}, {"send": more(QUIET, 0.01), "spawn": QUIET})
    assert compare(paths) == 0 and compare(paths, most=0.02) == 0 and compare(paths, most=0.005) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  send"))
    assert line.split()[4:] == ["1,000,000", "1,010,000", "+1.00%", "noise", "0.20%", "more"]
    assert compare(paths[::-1], most=0.001) == 0
    assert "1 fewer, 1 same" in capsys.readouterr().out


def test_what_varies_more_than_the_difference_is_the_same(pair, capsys):
    paths = pair({"map": NOISY}, {"map": more(NOISY, 0.01)})
    assert compare(paths, most=0.001) == 0
    out = capsys.readouterr().out
    assert "+1.00%  noise 4.00%  same" in out and "+1.00%  noise 8.00%  same" in out
    assert compare(pair({"m2": NOISY}, {"m2": more(NOISY, 0.1)}), most=0.01) == 1


def test_the_least_run_counts_and_the_spread_is_shown(pair, capsys):
    counted.show(pair({"map": NOISY}, {})[0])
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "map", "9", "snakefish", "x1", "1,000,000", "5.00%", "100,000", "9.00%"]


def test_two_runs_have_no_verdict(pair, capsys):
    assert compare(pair({"map": QUIET[:2]}, {"map": more(QUIET, 0.1)}), most=0.01) == 0
    assert "+10.00%  noise 0.20%  too few runs" in capsys.readouterr().out


def test_nothing_in_common_is_told(pair):
    with pytest.raises(StoreError, match="in common"):
        compare(pair({"map": QUIET}, {"send": QUIET}))
