"""Random programs with Thread(share=), Generator(share=) and map(share=) have the result of the reference model of
test_merge_programs.py, each in processes of their own.

A map joins its chunks in the order of the arguments, and within a chunk one argument comes after the other. So its model runs
the arguments of each chunk on one copy, and joins the copies. For changes of which the order of all arguments is the whole
story (counters, what is added to sets, appends), that is also what a loop without any fork leaves, whatever the cut.

Few examples by default, because each forks; SNAKEFISH_MERGE_EXAMPLES=500 runs a tenth of so many. For many more than fit in the
time that a test may take, this file runs its tests as a program:

    PYTHONPATH=build/lib:tests/py:tests/py/merge SNAKEFISH_MERGE_EXAMPLES=100000 python3 tests/py/merge/test_share_programs.py
"""
import copy
import os

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from merging import shape
from test_merge_programs import SHARE, VARIABLES, Clash, change, changes, plain, programs, revise, run_model, small

import snakefish
from snakefish import merge

EXAMPLES = max(10, int(os.environ.get("SNAKEFISH_MERGE_EXAMPLES", "0")) // 10)
few = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
SPACE = globals()
SPACE.update(VARIABLES)


def begin():
    SPACE.update(copy.deepcopy(VARIABLES))


def state():
    return {name: SPACE[name] for name in VARIABLES}


def run(program):
    """As run() of test_merge_programs on the globals of this module; each fork is a Thread or a Generator."""
    forked = []
    for kind, *more in program:
        if kind == "fork":
            make, f = (snakefish.Thread, run) if len(more[0]) % 2 else (snakefish.Generator, run_at_the_end)
            forked.append(make(f, args=more, share=SHARE))
            forked[-1].start()
        elif kind == "join":
            if forked:
                task = forked.pop(more[0] % len(forked))
                before = shape(state())
                assert isinstance(task, snakefish.Thread) or list(task) == [None]
                try:
                    task.join()
                except merge.Conflict:
                    assert shape(state()) == before
                if isinstance(task, snakefish.Thread):
                    task.get_result()
        else:
            change(SPACE, kind, *more)
    for task in forked:
        task.dispose()  # merges nothing


def run_at_the_end(program):
    run(program)
    yield


forking = st.tuples(programs(1), programs(1), programs(1), small).map(  # programs() alone has few forks at first
    lambda drawn: [("fork", drawn[0]), ("fork", drawn[1]), *drawn[2], ("join", drawn[3]), ("join", 0)])


@few
@given(st.one_of(forking, programs(2)))
def test_any_program_of_threads_and_generators_has_the_result_of_the_model(program):
    expected = copy.deepcopy(VARIABLES)
    begin()
    run_model(program, expected)
    run(program)
    assert plain(state()) == plain(expected)


@few
@given(programs(1))
def test_a_thread_alone_leaves_what_a_call_leaves(program):
    begin()
    run(program)
    alone = shape(state())
    begin()
    t = snakefish.Thread(run, args=(program,), share=SHARE)
    t.start()
    t.join()
    t.get_result()
    assert shape(state()) == alone


@few
@given(st.lists(changes, max_size=12))
def test_a_thread_that_changes_nothing_leaves_what_the_parent_has_changed(program):
    begin()
    t = snakefish.Thread(run, args=([],), share=SHARE)
    t.start()
    run(program)
    before, ids = shape(state()), {name: id(value) for name, value in state().items()}
    t.join()
    assert shape(state()) == before and {name: id(value) for name, value in state().items()} == ids


# ---- maps ----

def map_model(arguments, chunksize, variables):
    """The merges of a map in the order of its chunks. Raises Clash, and has changed nothing then."""
    children = []
    for first in range(0, len(arguments), chunksize):
        child = copy.deepcopy(variables)
        for program in arguments[first:first + chunksize]:
            run_model(program, child)
        children.append(child)
    now = variables
    for child in children:
        now = copy.deepcopy({name: revise(variables[name], now[name], child[name], SHARE[name]) for name in variables})
    return now


@few
@given(st.lists(programs(1), max_size=8), st.integers(1, 4), st.integers(1, 5))
def test_a_map_has_the_result_of_the_model_at_the_same_cut(arguments, concurrency, chunksize):
    begin()
    before, ids = shape(state()), {name: id(value) for name, value in state().items()}
    try:
        expected = map_model(arguments, chunksize, copy.deepcopy(VARIABLES))
    except Clash:
        with pytest.raises(merge.Conflict):
            snakefish.map(run, arguments, concurrency, chunksize, share=SHARE)
        assert shape(state()) == before and {name: id(value) for name, value in state().items()} == ids
        return
    snakefish.map(run, arguments, concurrency, chunksize, share=SHARE)
    assert plain(state()) == plain(expected)


IN_ANY_CUT = st.one_of(
    st.tuples(st.just("add"), small), st.tuples(st.just("best"), st.integers(0, 99)),
    st.tuples(st.sampled_from(["see", "see anew"]), st.integers(3, 9)), st.tuples(st.just("forget"), st.integers(1, 2)),
    st.tuples(st.just("word"), st.just("a"), small), st.tuples(st.just("row"), st.integers(0, 2), small),
    st.tuples(st.just("log"), small), st.tuples(st.just("log anew"), small), st.tuples(st.just("deep n"), small),
    st.tuples(st.just("deep l"), small), st.tuples(st.just("count"), st.sampled_from("abc"), small))


@few
@given(st.lists(st.lists(IN_ANY_CUT, max_size=4), max_size=10), st.integers(0, 4), st.integers(0, 6))
def test_a_map_leaves_what_a_loop_leaves_at_any_concurrency_and_chunksize(arguments, concurrency, chunksize):
    begin()
    for program in arguments:
        run(program)
    alone = plain(state())
    begin()
    snakefish.map(run, arguments, concurrency, chunksize, share=SHARE)
    assert plain(state()) == alone


def test_the_model_of_a_map_knows_a_clash_and_the_order():
    with pytest.raises(Clash):
        map_model([[("flag", "x")], [("flag", "y")]], 1, copy.deepcopy(VARIABLES))
    assert map_model([[("flag", "x")], [("flag", "y")]], 2, copy.deepcopy(VARIABLES))["flag"] == "y"
    assert map_model([[("log", 1)], [("log", 2)], [("log", 3)]], 2, copy.deepcopy(VARIABLES))["log"] == [1, 2, 3]


if __name__ == "__main__":
    for test in (test_any_program_of_threads_and_generators_has_the_result_of_the_model,
                 test_a_thread_alone_leaves_what_a_call_leaves,
                 test_a_thread_that_changes_nothing_leaves_what_the_parent_has_changed,
                 test_a_map_has_the_result_of_the_model_at_the_same_cut,
                 test_a_map_leaves_what_a_loop_leaves_at_any_concurrency_and_chunksize):
        test()
        print(f"{EXAMPLES} examples of {test.__name__}", flush=True)
