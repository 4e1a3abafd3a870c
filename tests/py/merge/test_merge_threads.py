"""three_way in real child processes, with Thread, Generator, map and nested Threads."""
import collections
import copy

import pytest
from hypothesis import given, settings
from test_merge_programs import SHARE, VARIABLES, change, plain, programs, run_model

import snakefish
from snakefish import merge

hits, seen, words, best = 0, set(), collections.defaultdict(list), 100
variables = {}


def start():
    global hits, seen, words, best
    hits, seen, words, best = 0, set(), collections.defaultdict(list), 100


def work(n):
    global hits, best
    hits += 1
    seen.add(n % 7)
    words[n % 3].append(n)
    best = min(best, 90 - n)
    return n


@pytest.mark.parametrize("concurrency, chunksize", [(1, 1), (2, 1), (4, 3), (3, 20), (2, 7)])
def test_a_map_has_the_same_result_at_any_concurrency_and_chunksize(concurrency, chunksize):
    start()
    share = {"hits": "sum", "seen": "union", "words": None, "best": min}
    results = snakefish.map(work, range(20), *merge.three_way(share), concurrency, chunksize)
    assert results == list(range(20)) and (hits, seen, best) == (20, set(range(7)), 71)
    assert words == {rest: [n for n in range(20) if n % 3 == rest] for rest in range(3)}
    snakefish.map(work, range(20), *merge.three_way(share), concurrency, chunksize)
    assert hits == 40 and len(words[0]) == 14


def test_threads_join_in_the_programs_order():
    start()
    threads = [snakefish.Thread(work, *merge.three_way(["hits", "words"]), args=(3 * n,)) for n in range(4)]
    for t in threads:
        t.start()
    words[0].append("parent")
    for t in reversed(threads):
        t.join()
    assert hits == 4 and words == {0: ["parent", 9, 6, 3, 0]}


def test_a_conflict_comes_out_of_join_and_the_next_join_works():
    start()
    words["k"] = "old"

    def put(value):
        global hits
        words["k"] = value
        hits += 1

    threads = [snakefish.Thread(put, *merge.three_way(["hits", "words"]), args=(value,)) for value in ("a", "b", "a")]
    for t in threads:
        t.start()
    threads[0].join()
    with pytest.raises(merge.Conflict, match=r"words\['k'\]: both tasks have changed it. At the fork: 'old'") as caught:
        threads[1].join()
    assert (caught.value.current, caught.value.child) == ("a", "b")
    threads[2].join()
    assert hits == 2 and words == {"k": "a"}


def test_a_generator_merges_at_its_join():
    start()

    def numbers():
        for n in range(3):
            work(n)
            yield n

    with snakefish.Generator(numbers, *merge.three_way(["hits", "seen"])) as g:
        g.start()
        assert list(g) == [0, 1, 2] and hits == 0
    assert hits == 3 and seen == {0, 1, 2}


def test_a_conflict_in_a_grandchild_comes_home_with_all_that_it_says():
    start()

    def child():
        threads = [snakefish.Thread(words.__setitem__, *merge.three_way(["words"], globals=globals()), args=("k", value))
                   for value in ("a", "b")]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    with snakefish.Thread(child) as t:
        t.start()
    with pytest.raises(merge.Conflict) as caught:
        t.get_result()
    assert caught.value.place == "words['k']" and caught.value.base is merge.ABSENT


def test_a_snapshot_that_is_older_than_its_fork_is_refused():
    start()
    extract, merging = merge.three_way(["hits"])
    with snakefish.Thread(work, extract, merging, args=(1,)) as t:
        t.start()
    again = snakefish.Thread(work, extract, merging, args=(1,))
    again.start()
    with pytest.raises(RuntimeError, match="call three_way.. anew for each start"):
        again.join()
    with pytest.raises(RuntimeError, match="call three_way.. anew for each start"):
        snakefish.map(work, range(4), *merge.three_way(["hits"]), 2, 1, rounds=True)


def test_globals_of_another_module():
    import merging
    merging.tally = 1
    try:
        def add():
            merging.tally += 4

        with snakefish.Thread(add, *merge.three_way(["merging:tally"])) as t:
            t.start()
        assert merging.tally == 5
    finally:
        del merging.tally


def run_in_processes(program, name):
    """As run() of test_merge_programs, where each fork is a process."""
    space = variables[name]
    forked = []
    for kind, *more in program:
        if kind == "fork":
            t = snakefish.Thread(run_in_processes, *merge.three_way(SHARE, globals=space), args=(more[0], name))
            t.start()
            forked.append(t)
        elif kind == "join":
            if forked:
                try:
                    forked.pop(more[0] % len(forked)).join()
                except merge.Conflict:
                    pass
        else:
            change(space, kind, *more)
    for t in forked:
        t.dispose()  # merges nothing


@settings(max_examples=25, deadline=None)
@given(programs(2))
def test_random_programs_in_processes_have_the_result_of_the_reference_model(program):
    expected, variables["now"] = copy.deepcopy(VARIABLES), copy.deepcopy(VARIABLES)
    run_model(program, expected)
    run_in_processes(program, "now")
    assert plain(variables["now"]) == plain(expected)
