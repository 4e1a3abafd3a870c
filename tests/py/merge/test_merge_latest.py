"""The snapshot of the last fork is used again: brought up to date it is what a new one would be, and it never changes under a
child that needs it."""
import gc
import sys
import types
import weakref

import pytest
from hypothesis import given, settings, strategies as st

import snakefish
from snakefish import _merge_latest
from snakefish._merge_latest import snapshot_for
from snakefish._merge_share import rules_of, variables_of
from snakefish._merge_snapshot import Snapshot

pytestmark = pytest.mark.skipif(not _merge_latest._drop_stale, reason="the collector calls nobody here, so nothing is kept")

values = st.sampled_from([1, 2, 3, 1.5, "a", None, (1, 2)])
keys = st.sampled_from(["a", "b", "c", 1, 1.0, True, None, (1,)])
steps = st.lists(st.one_of(
    st.tuples(st.just("set"), keys, values), st.tuples(st.just("del"), keys), st.tuples(st.just("again"), keys, values),
    st.tuples(st.just("item"), st.integers(0, 9), values), st.tuples(st.just("append"), values), st.tuples(st.just("cut")),
    st.tuples(st.just("insert"), st.integers(0, 9), values), st.tuples(st.just("count")), st.tuples(st.just("name"), values),
    st.tuples(st.just("inner"), keys, values), st.tuples(st.just("table"),), st.tuples(st.just("new list"), keys)), max_size=8)


class User:
    """What needs a snapshot."""


@pytest.fixture(autouse=True)
def nothing_is_kept():
    _merge_latest._latest.clear()
    yield
    for name in [name for name in sys.modules if name.startswith("snakefish_test_latest")]:
        del sys.modules[name]


def change(variables, step):
    what, *arguments = step
    table, items = variables["table"], variables["items"]
    if what == "set":
        table[arguments[0]] = arguments[1]
    elif what == "del":
        table.pop(arguments[0], None)
    elif what == "again":
        table.pop(arguments[0], None)
        table[arguments[0]] = arguments[1]
    elif what == "item" and items:
        items[arguments[0] % len(items)] = arguments[1]
    elif what == "append":
        items.append(arguments[0])
    elif what == "cut" and items:
        items.pop()
    elif what == "insert":
        items.insert(*arguments)
    elif what == "count":
        variables["count"] += 1
    elif what == "name":
        variables["name"] = arguments[0]
    elif what == "inner":
        variables["rows"]["row"][arguments[0]] = arguments[1]
    elif what == "table":
        variables["table"] = dict(table)
    elif what == "new list":
        variables["rows"][arguments[0]] = [1, 2]


def new_module(name, /, **variables):
    """The globals of a module."""
    module = sys.modules[name] = types.ModuleType(name)
    vars(module).update(variables)
    return vars(module)


def begin(name="snakefish_test_latest"):
    return new_module(name, table={key: 1 for key in "abc"}, items=[1, 2, 3], count=0, name="x", rows={"row": {"a": 1}})


RULES = rules_of({"table": None, "items": None, "count": None, "name": "last", "rows": None})


def content(snapshot):
    """What a snapshot holds, with the identities of the objects in it."""
    def of(shadow):
        return ([(id(key), id(value)) for key, value in shadow.items()] if isinstance(shadow, dict) else list(map(id, shadow)))

    return list(map(id, snapshot.lives)), snapshot.kinds, list(map(of, snapshot.shadows)), snapshot.index


@settings(deadline=None)
@given(st.lists(steps, min_size=1, max_size=4))
def test_a_renewed_snapshot_is_what_a_new_one_is(rounds):
    _merge_latest._latest.clear()
    variables = begin()
    of = variables_of(RULES, variables)
    snapshot_for(User(), of, RULES)
    for steps in rounds:
        for step in steps:
            change(variables, step)
        assert content(snapshot_for(User(), of, RULES)) == content(Snapshot(of, RULES))


@settings(deadline=None)
@given(steps, steps)
def test_a_snapshot_that_is_needed_stays_as_it_is(first, second):
    _merge_latest._latest.clear()
    variables = begin()
    of, user, other = variables_of(RULES, variables), User(), User()
    snapshot = snapshot_for(user, of, RULES)
    before = content(snapshot)
    for step in first:
        change(variables, step)
    newer = snapshot_for(other, of, RULES)
    assert content(snapshot) == before and content(newer) == content(Snapshot(of, RULES))
    of_newer = content(newer)
    for step in second:
        change(variables, step)
    assert content(snapshot_for(User(), of, RULES)) == content(Snapshot(of, RULES))
    assert content(snapshot) == before and content(newer) == of_newer
    assert (newer is snapshot) == (before == of_newer)


@pytest.mark.parametrize("step", [("set", "a", 2), ("del", "b"), ("again", "a", 1), ("item", 1, "x"), ("append", 7), ("cut",),
                                  ("count",), ("inner", "new", 2)])
def test_what_changes_between_forks_makes_no_new_snapshot(step):
    variables = begin()
    of = variables_of(RULES, variables)
    snapshot = snapshot_for(User(), of, RULES)
    change(variables, step)
    assert snapshot_for(User(), of, RULES) is snapshot


@pytest.mark.parametrize("value", [object(), {1, 2}, len, [{"x": [object()]}], {(1, len): 2}, {object(): 1}, (1, [2])])
def test_objects_are_not_kept_after_their_task(value):
    """Nobody waits for a fork until what the program has deleted is gone."""
    variables = new_module("snakefish_test_latest", x={"y": value})
    of = variables_of(rules_of(["x"]), variables)
    snapshot_for(User(), of, rules_of(["x"]))
    assert not _merge_latest._latest


def test_a_function_that_is_a_rule_is_not_kept_after_its_task():
    variables, rules = begin(), rules_of({"count": lambda current, child: child})
    snapshot_for(User(), variables_of(rules, variables), rules)
    assert not _merge_latest._latest


def test_globals_of_no_module_are_not_kept_after_their_task():
    """Nobody else may refer to them: a namespace that a function was made with, or a module that was replaced."""
    for variables in ({**begin()}, begin()):
        begin()
        snapshot_for(User(), variables_of(RULES, variables), RULES)
        assert not _merge_latest._latest


@pytest.mark.parametrize("share", [["count"], ["count", "table"]])
def test_the_globals_of_a_module_that_is_dropped_do_not_live_on_in_the_snapshot(share):
    variables, rules = begin(), rules_of(share)
    thing = variables["thing"] = User()
    dropped = weakref.ref(thing)
    snapshot_for(User(), variables_of(rules, variables), rules)
    assert _merge_latest._latest
    del sys.modules["snakefish_test_latest"], thing, variables
    gc.collect(0)
    assert not dropped()


def test_other_variables_and_other_rules_have_another_snapshot():
    variables, others = begin(), begin("snakefish_test_latest_others")
    of = variables_of(RULES, variables)
    snapshot = snapshot_for(User(), of, RULES)
    less, mixed = rules_of({"table": None}), {**RULES, "count": RULES["name"]}
    for rules, where in ((RULES, others), (less, variables), (mixed, variables)):
        other = snapshot_for(User(), variables_of(rules, where), rules)
        assert other is not snapshot and content(other) == content(Snapshot(variables_of(rules, where), rules))


table = {}


def store(*keys):
    table.update(dict.fromkeys(keys, len(table)))


def test_threads_one_after_the_other_have_one_snapshot_and_see_each_others_changes():
    table.clear()
    used = set()
    for key in range(5):
        with snakefish.Thread(store, args=(key,), share=["table"]) as t:
            t.start()
        used.update(map(id, _merge_latest._latest))
        table["parent"] = key
    assert len(used) == 1
    assert table == {0: 0, "parent": 4, 1: 2, 2: 3, 3: 4, 4: 5}


def test_threads_that_overlap_have_each_the_state_of_their_fork():
    """The second is forked after a change that the first must not see as its own."""
    table.clear()
    table.update(dict.fromkeys("abc", 0))
    first = snakefish.Thread(store, args=("a",), share={"table": "either"})
    first.start()
    table["b"] = 5
    second = snakefish.Thread(store, args=("c",), share={"table": "either"})
    second.start()
    for t in (second, first):
        t.join()
    assert table == {"a": 3, "b": 5, "c": 3}


def nested():
    table["child"] = 1
    with snakefish.Thread(store, args=("grandchild",), share=["table"]) as t:
        t.start()
    table["later"] = 2


def test_a_child_that_forks_itself_keeps_its_own_ancestor():
    table.clear()
    for _ in range(2):  # the second finds a snapshot of the first
        with snakefish.Thread(nested, share=["table"]) as t:
            t.start()
        assert set(table) == {"child", "grandchild", "later"}
        table.clear()


@pytest.mark.parametrize("drop, generation", [(lambda v: v.update(table={}), 0), (lambda v: v.pop("table"), 0),
                                              (lambda v: v["rows"].clear(), 2), (lambda v: [v.pop(name) for name in RULES], 0)])
def test_what_the_program_has_dropped_does_not_live_on_in_the_snapshot(drop, generation):
    variables = begin()
    dropped = variables["rows"]["row"] if generation else variables["table"]
    before = sys.getrefcount(dropped)
    snapshot_for(User(), variables_of(RULES, variables), RULES)
    gc.collect(generation)
    assert sys.getrefcount(dropped) > before, "it is kept as long as the program has it"
    drop(variables)
    gc.collect(generation)
    assert sys.getrefcount(dropped) == before - 1
