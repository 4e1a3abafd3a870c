"""Only what has changed travels, and looking for it reads no leaf."""
import resource

import pytest
from conftest import PYPY
from merging import Fork

import snakefish
from snakefish import merge
from snakefish._merge_rules import BY_TYPE
from snakefish._merge_snapshot import Snapshot

MANY = 200_000
ON_CPYTHON = pytest.mark.skipif(PYPY, reason="PyPy has no reference counts, and its collector moves objects")


@pytest.mark.parametrize("make, change", [
    (lambda: {number: str(number) for number in range(MANY)}, lambda x: x.__setitem__(MANY // 2, "new")),
    (lambda: {number: str(number) for number in range(MANY)}, lambda x: x.__delitem__(MANY // 2)),
    (lambda: list(map(str, range(MANY))), lambda x: x.__setitem__(MANY // 2, "new")),
    (lambda: list(map(str, range(MANY))), lambda x: x.insert(MANY // 2, "new")),
    (lambda: list(map(str, range(MANY))), lambda x: x.append("new")),
    (lambda: set(map(str, range(MANY))), lambda x: x.add("new")),
    (lambda: bytearray(MANY), lambda x: x.__setitem__(MANY // 2, 1)),
    (lambda: {number: [number] for number in range(MANY // 10)}, lambda x: x[7].append("new")),
])
def test_one_change_in_a_large_container_is_a_small_message(make, change):
    variables = {"x": make()}
    snapshot = Snapshot({"x": (variables, "x")}, {"x": BY_TYPE})
    assert snapshot.difference() == b""
    change(variables["x"])
    assert 0 < len(snapshot.difference()) < 400


def test_a_counter_is_a_few_bytes():
    fork = Fork({"hits": 0})
    fork.child["hits"] += 1
    assert len(fork.difference()) < 120


def test_a_change_deep_inside_takes_the_way_to_it_only():
    variables = {"x": {"a": {"b": [{"c": {"n": 1}}] * 3, "more": list(range(1000))}}}
    fork = Fork(variables)
    fork.child["x"]["a"]["b"][0]["c"]["n"] = 2
    assert len(fork.difference()) < 400


@ON_CPYTHON
def test_looking_for_changes_copies_no_page_of_the_leaves():
    """Each leaf is an object of its own. If the child referred to them, each of their pages would be copied."""
    global table
    table = {f"key {number}": f"value {number}" for number in range(MANY)}  # two objects each, some 64 bytes each
    pages_of_leaves = 2 * 64 * MANY // resource.getpagesize()
    extract, _ = merge.three_way(["table"])

    def faults_of_extract():
        extract(None)  # code and its constants
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        extract(None)
        table["key 7"] = "new"
        assert 0 < len(extract(None)) < 200
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    try:
        with snakefish.Thread(faults_of_extract) as t:
            t.start()
        assert t.get_result() < pages_of_leaves / 10
    finally:
        del table


@ON_CPYTHON
def test_the_snapshot_copies_containers_and_no_leaves():
    import sys
    table = {number: number / 7 for number in range(1000)}
    before = [sys.getrefcount(value) for value in table.values()]
    snapshot = Snapshot({"x": ({"x": table}, "x")}, {"x": BY_TYPE})
    assert len(snapshot.shadows) == 2
    assert [sys.getrefcount(value) for value in table.values()] == [count + 1 for count in before]


@ON_CPYTHON
def test_merges_leave_no_reference():
    import gc
    import sys
    leaf = object()
    variables = {"x": {number: leaf for number in range(10)}, "l": [leaf] * 10, "s": {leaf}}

    def once():
        snapshot = Snapshot({name: (variables, name) for name in variables}, dict.fromkeys(variables, BY_TYPE))
        variables["x"][3] = 1
        variables["l"].insert(3, 7)
        snapshot.difference()
        variables["x"][3] = leaf
        del variables["l"][3]

    for _ in range(3):
        once()
    gc.collect()
    before = sys.getrefcount(leaf)
    for _ in range(20):
        once()
    gc.collect()
    assert sys.getrefcount(leaf) == before
