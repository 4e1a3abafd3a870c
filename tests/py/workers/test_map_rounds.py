"""map(..., rounds=True): each round of processes sees what the rounds before have merged."""
import os
import signal

import pytest
from conftest import children
from databases import Database

import snakefish
from snakefish import ChildDied, starmap

parallel_map = snakefish.map
total = 0
merged = []


def add(n):
    """Returns the total that this process began with."""
    global total
    before, total = total, n
    return before


def extract(g):
    return g["total"]


def merge(g, extracted):
    g["total"] += extracted
    g["merged"].append(extracted)


@pytest.fixture(autouse=True)
def from_zero():
    global total
    total = 0
    merged.clear()


def test_each_round_sees_the_merges_of_the_rounds_before():
    assert parallel_map(add, range(1, 8), 3, 1, extract=extract, merge=merge, rounds=True) == [0, 0, 0, 6, 6, 6, 21]
    assert total == 28 and merged == [1, 2, 3, 4, 5, 6, 7]


def test_chunks_of_several_arguments_and_starmap():
    got = starmap(lambda n, m: add(n * m), [(n, 2) for n in range(6)], extract, merge, 1, 2, rounds=True)
    assert got == [0, 0, 2, 4, 8, 8]  # within a chunk each sees what the one before has left
    assert merged == [2, 6, 10]


def test_one_round_of_all_is_the_same_as_without():
    assert parallel_map(add, range(1, 4), 8, 1, extract=extract, merge=merge, rounds=True) == [0, 0, 0]
    assert total == 6
    assert parallel_map(add, [], 2, 1, extract=extract, merge=merge, rounds=True) == []


def test_without_rounds_all_start_from_the_globals_of_the_call():
    assert parallel_map(add, range(1, 8), 3, 1, extract=extract, merge=merge) == [0] * 7
    assert total == 28


def test_rounds_without_extract_and_merge_are_refused():
    for function in (parallel_map, starmap):
        with pytest.raises(ValueError, match="rounds=True needs share, or extract and merge"):
            function(abs, [(1,)], rounds=True)
    assert parallel_map(abs, [-1], rounds=False) == [1]


def test_progress_is_told_of_each_chunk():
    told = []
    parallel_map(add, range(5), 2, 1, extract=extract, merge=merge, rounds=True,
                 progress=lambda done, of: told.append((done, of, len(merged))))
    assert told == [(1, 5, 0), (2, 5, 0), (3, 5, 2), (4, 5, 2), (5, 5, 4)]


class OwnError(Exception):
    pass


@pytest.mark.parametrize("how", ["f", "extract", "death", "progress"])
def test_when_one_fails_exactly_the_rounds_before_are_merged(how):
    before = children()

    def work(n):
        add(n)
        if n == 6 and how == "f":
            raise OwnError(n)
        if n == 6 and how == "death":
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    def take(g):
        if g["total"] == 6 and how == "extract":
            raise OwnError(6)
        return g["total"]

    def tell(done, of):
        if done == 6 and how == "progress":
            raise OwnError(6)

    with pytest.raises(ChildDied if how == "death" else OwnError):
        parallel_map(work, range(1, 10), 2, 1, extract=take, merge=merge, rounds=True, progress=tell)
    assert merged == [1, 2, 3, 4] and total == 10 and children() == before


def test_what_merge_raises_comes_out_and_the_merges_before_it_stay():
    def fail_at_four(g, extracted):
        if extracted == 4:
            raise OwnError(extracted)
        merge(g, extracted)

    with pytest.raises(OwnError):
        parallel_map(add, range(1, 10), 2, 1, extract=extract, merge=fail_at_four, rounds=True)
    assert merged == [1, 2, 3]


def test_no_more_is_kept_than_what_one_round_extracts(check_program):
    """100 times 4 MB are extracted: 400 MB when they are merged at the end."""
    grown = check_program("""
        import snakefish
        def peak():
            with open("/proc/self/status") as status:
                return int(next(l for l in status if l.startswith("VmHWM")).split()[1]) // 1024
        mine, seen = b"", 0
        def work(n):
            global mine
            mine = bytes([n]) * 4_000_000
        def merge(g, extracted):
            g["seen"] += len(extracted)
        before = peak()
        snakefish.map(work, range(100), 2, 1, extract=lambda g: g["mine"], merge=merge, rounds=True)
        print(seen, peak() - before)
        """)
    seen, mib = map(int, grown.split())
    assert seen == 400_000_000 and mib < 60


def test_rounds_are_in_the_trace(check_program, tmp_path):
    check_program("""
        import sys, snakefish
        with snakefish.trace.session(sys.argv[1]):
            snakefish.map(abs, range(4), 2, 1, extract=lambda g: 1, merge=lambda g, e: None, rounds=True)
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as database:
        kinds = dict(database.rows("SELECT kind, count(*) FROM span GROUP BY kind"))
    assert {kind: kinds.get(kind) for kind in ("map", "run", "chunk", "extract", "merge")} == {
        "map": 1, "run": 4, "chunk": 4, "extract": 4, "merge": 4}
