"""Random programs of forks, nested forks, changes and joins have the result of a sequential reference model, written from
the semantics of concurrent revisions (Burckhardt, Baldassin and Leijen, OOPSLA 2010).

There a fork takes a snapshot, a task works on its own copy, and a join replaces each value of the joining task by
merge(value at the fork of the joined task, value of the joining task, value of the joined task). The model does just that
with whole copies of plain values. SNAKEFISH_MERGE_EXAMPLES=500 runs as many examples, in the time that a test may take; for
many more, this file runs the first test as a program:

    PYTHONPATH=build/lib:tests/py SNAKEFISH_MERGE_EXAMPLES=100000 python3 tests/py/merge/test_merge_programs.py
"""
import copy
import os
from collections import Counter

from hypothesis import HealthCheck, given, settings, strategies as st
from merging import Fork, shape

from snakefish import merge

EXAMPLES = int(os.environ.get("SNAKEFISH_MERGE_EXAMPLES", "300"))
VARIABLES = {"n": 1, "best": 50, "flag": "start", "seen": {1, 2}, "words": {"a": 1, "t": "text"}, "rows": [1, 2, 3],
             "log": [], "deep": {"d": {"n": 1, "s": {1}}, "l": []}, "counts": Counter(a=2)}
SHARE = {**dict.fromkeys(VARIABLES), "best": min, "flag": "either"}

small = st.integers(0, 4)
keys = st.sampled_from(["a", "b", "c", "t"])
changes = st.one_of(
    st.tuples(st.just("add"), small), st.tuples(st.just("best"), st.integers(0, 99)),
    st.tuples(st.just("flag"), st.sampled_from(["start", "x", "y"])),
    st.tuples(st.just("see"), small), st.tuples(st.just("forget"), small),
    st.tuples(st.just("word"), keys, small), st.tuples(st.just("text"), keys, st.sampled_from(["u", "v"])),
    st.tuples(st.just("drop"), keys), st.tuples(st.just("row"), st.integers(0, 2), small),
    st.tuples(st.just("log"), small), st.tuples(st.just("deep n"), small), st.tuples(st.just("deep s"), small),
    st.tuples(st.just("deep l"), small), st.tuples(st.just("deep t"), keys, st.sampled_from(["u", "v"])),
    st.tuples(st.just("count"), keys, small), st.tuples(st.just("see anew"), small), st.tuples(st.just("log anew"), small))


def programs(depth):
    """A program is a list of steps: a change, ("fork", program of the child), ("join", which of those not yet joined)."""
    step = st.one_of(changes, changes, st.tuples(st.just("join"), small))
    if depth:
        step = st.one_of(step, st.tuples(st.just("fork"), programs(depth - 1)))
    return st.lists(step, max_size=8)


def change(v, kind, *more):
    if kind == "add":
        v["n"] += more[0]
    elif kind == "best":
        v["best"] = min(v["best"], more[0])
    elif kind == "flag":
        v["flag"] = more[0]
    elif kind == "see":
        v["seen"].add(more[0])
    elif kind == "forget":
        v["seen"].discard(more[0])
    elif kind == "see anew":
        v["seen"] = v["seen"] | {more[0]}
    elif kind == "word":
        if not isinstance(v["words"].get(more[0]), str):
            v["words"][more[0]] = v["words"].get(more[0], 0) + more[1]
    elif kind == "text":
        v["words"][more[0]] = more[1]
    elif kind == "drop":
        v["words"].pop(more[0], None)
    elif kind == "row":
        v["rows"][more[0]] += more[1]
    elif kind == "log":
        v["log"].append(more[0])
    elif kind == "log anew":
        v["log"] = [*v["log"], more[0]]
    elif kind == "deep n":
        v["deep"]["d"]["n"] += more[0]
    elif kind == "deep s":
        v["deep"]["d"]["s"] ^= {more[0]}
    elif kind == "deep l":
        v["deep"]["l"].append(more[0])
    elif kind == "deep t":
        v["deep"][more[0]] = {"t": more[1]}
    elif kind == "count":
        v["counts"][more[0]] += more[1]


# ---- the model ----

class Clash(Exception):
    pass


NOTHING = object()


def revise(base, current, child, rule=None):
    """The merge of plain values; NOTHING is a key that is not there."""
    if shape(child) == shape(base):
        return current
    if shape(current) == shape(base):
        return child
    if NOTHING in (current, child):
        if current is child:
            return NOTHING
        raise Clash
    if rule is min:
        return min(current, child)
    if isinstance(current, Counter):
        joined = Counter()
        for key in {**base, **current, **child}:
            joined[key] = current[key] + child[key] - base[key]
        return joined
    if isinstance(current, dict) and isinstance(child, dict):
        old = base if isinstance(base, dict) else {}
        joined = {}
        for key in {**current, **child}:
            value = revise(old.get(key, NOTHING), current.get(key, NOTHING), child.get(key, NOTHING))
            if value is not NOTHING:
                joined[key] = value
        return joined
    if isinstance(current, set):
        return (current | (child - base)) - (base - child)
    if isinstance(current, list):
        items = [revise(*three) for three in zip(base, current, child)]
        return items + current[len(base):] + child[len(base):]
    if isinstance(current, int) and isinstance(child, int) and isinstance(base, int):
        return current + child - base
    if isinstance(current, str) and shape(current) == shape(child):
        return current
    raise Clash


def run_model(program, variables):
    forked = []
    for kind, *more in program:
        if kind == "fork":
            base, child = copy.deepcopy(variables), copy.deepcopy(variables)
            run_model(more[0], child)
            forked.append((base, child))
        elif kind == "join":
            if forked:
                base, child = forked.pop(more[0] % len(forked))
                try:
                    joined = {name: revise(base[name], variables[name], child[name], SHARE[name]) for name in variables}
                except Clash:
                    continue  # it changes nothing
                variables.update(copy.deepcopy(joined))
        else:
            change(variables, kind, *more)


# ---- what is tested ----

def run(program, variables):
    forked = []
    for kind, *more in program:
        if kind == "fork":
            fork = Fork(variables, SHARE)
            run(more[0], fork.child)
            forked.append(fork)
        elif kind == "join":
            if forked:
                fork = forked.pop(more[0] % len(forked))
                before = shape(variables)
                try:
                    fork.join()
                except merge.Conflict:
                    assert shape(variables) == before
        else:
            change(variables, kind, *more)


def plain(value):
    """Keys have no order in the model."""
    if isinstance(value, dict):
        return type(value), sorted((key, plain(inner)) for key, inner in value.items() if inner != 0 or type(value) is dict)
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return type(value), sorted(value) if isinstance(value, set) else value


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(3))
def test_any_program_has_the_result_of_the_reference_model(program):
    expected, variables = copy.deepcopy(VARIABLES), copy.deepcopy(VARIABLES)
    run_model(program, expected)
    run(program, variables)
    assert plain(variables) == plain(expected)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(2))
def test_a_child_alone_leaves_what_it_would_have_left_without_a_fork(program):
    variables, alone = copy.deepcopy(VARIABLES), copy.deepcopy(VARIABLES)
    run(program, alone)
    fork = Fork(variables, SHARE)
    run(program, fork.child)
    fork.join()
    assert shape(variables) == shape(alone)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(2))
def test_a_child_that_changes_nothing_changes_nothing(program):
    variables = copy.deepcopy(VARIABLES)
    fork = Fork(variables, SHARE)
    run(program, variables)
    before = shape(variables)
    assert fork.difference() == b""
    fork.join()
    assert shape(variables) == before


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(changes, max_size=12), st.lists(changes, max_size=12))
def test_both_orders_of_joins_are_the_same_but_for_the_order_of_appends(first, second):
    results = []
    for swap in (False, True):
        variables = copy.deepcopy(VARIABLES)
        forks = [Fork(variables, SHARE) for _ in range(2)]
        for program, fork in zip((first, second), forks):
            run(program, fork.child)
        try:
            for fork in reversed(forks) if swap else forks:
                fork.join()
        except merge.Conflict as found:
            results.append(found.variable)
            continue
        results.append(plain({**variables, "log": sorted(variables["log"]),
                              "deep": {**variables["deep"], "l": sorted(variables["deep"]["l"])}}))
    assert results[0] == results[1]


def test_the_model_finds_a_merge_that_loses_an_update():
    variables = copy.deepcopy(VARIABLES)
    run_model([("fork", [("add", 1), ("log", 1)]), ("fork", [("add", 1), ("log", 2)]), ("join", 1), ("join", 0)], variables)
    assert variables["n"] == 3 and variables["log"] == [2, 1]


if __name__ == "__main__":
    test_any_program_has_the_result_of_the_reference_model()
    print(f"{EXAMPLES} programs have the result of the reference model")
