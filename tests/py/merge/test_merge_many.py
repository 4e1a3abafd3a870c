"""Many changes at once: the quick ways for dicts of atoms, and for what travels, do what the slow ways do."""
import copy
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings, strategies as st
from merging import Fork, merged, shape

from snakefish import _merge_join, merge
from snakefish._merge_conflict import ABSENT
from snakefish._merge_mapped import Mapped
from snakefish._merge_packed import holds_atoms, is_pickle, packed_atoms, unpacked_atoms
from snakefish._merge_sequence import SequenceChanges

keys = st.sampled_from("abcdef")
values = st.sampled_from([0, 1, 2, 1000, 1000000007, 1.0, True, "a", None, (1,), [], [1]])
changes = st.lists(st.tuples(keys, st.one_of(values, st.just(ABSENT))), max_size=8)
makes = st.sampled_from([dict, Counter, lambda x: defaultdict(int, x), lambda x: defaultdict(float, x),
                         lambda x: defaultdict(list, x)])


def change(table, changes):
    for key, value in copy.deepcopy(changes):
        if value is ABSENT:
            table.pop(key, None)
        else:
            table[key] = value


def one_by_one(shadow, live, own, rule, update, decide):
    for key, child in own.values.items():
        decide(key, child)


def outcome(make, base, parent, child, rule):
    table = make(copy.deepcopy(base))
    try:
        return shape(merged(table, lambda v: change(v["x"], parent), lambda v: change(v["x"], child), rule))
    except merge.Conflict as conflict:
        return str(conflict), shape(table)
    except TypeError as error:
        return str(error)


@settings(deadline=None)
@given(makes, st.dictionaries(keys, values), changes, changes, st.sampled_from([None, "sum", "either", "max", "last", "first"]))
def test_dicts_merge_at_once_as_they_do_key_by_key(make, base, parent, child, rule):
    at_once = outcome(make, base, parent, child, rule)
    quick, _merge_join.merge_atoms = _merge_join.merge_atoms, one_by_one
    try:
        assert at_once == outcome(make, base, parent, child, rule)
    finally:
        _merge_join.merge_atoms = quick


@settings(deadline=None)
@given(st.dictionaries(keys, values), changes, changes)
def test_a_merge_of_many_keys_can_be_undone(base, parent, child):
    variables = {"x": base}
    fork = Fork(variables)
    change(fork.child["x"], child)
    change(variables["x"], parent)
    before = shape(variables)
    join = fork.join("child")
    join.revert()
    assert shape(variables) == before


@pytest.mark.parametrize("rule, number", [(None, 7), ("sum", 7), ("either", 2)])
def test_keys_that_both_have_are_merged_together(rule, number):
    base = dict.fromkeys("abc", 1)
    assert merged(base, lambda v: v["x"].update(a=2, d=2), lambda v: v["x"].update(a=2, e=9), rule, "child") == {
        "a": 3 if rule != "either" else 2, "b": 1, "c": 1, "d": 2, "e": 9}


def test_a_key_that_is_new_to_both_merges_from_the_empty_value_of_its_dict():
    def of(table, rule=None):
        return merged(table, lambda v: v["x"].update(a=2), lambda v: v["x"].update(a=3), rule)["a"]

    assert [of({}, "sum"), of(Counter()), of(defaultdict(int))] == [5, 5, 5]
    assert repr(of(defaultdict(float))) == "5.0"
    assert of(defaultdict(lambda: 10)) == -5


def test_a_merge_that_is_registered_for_ints_is_asked_for_each():
    from snakefish import _merge_rules
    merge.register(int)(lambda base, current, child: 100)
    try:
        assert merged({"a": 1}, lambda v: v["x"].update(a=2), lambda v: v["x"].update(a=3)) == {"a": 100}
    finally:
        _merge_rules._registered.clear()
        for forget in _merge_rules.on_register:
            forget()


class Key:
    """Counts how often it is compared."""
    compared = 0

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        return self.number

    def __eq__(self, other):
        Key.compared += 1
        return self.number == other.number


def test_the_order_of_many_keys_is_compared_once():
    """Not each with each: the child has moved them all."""
    table = {Key(number): number for number in range(500)}
    fork = Fork({"x": table})
    child = fork.child["x"]
    for key in list(reversed(child)):
        child[key] = child.pop(key)
    Key.compared = 0
    fork.join()
    assert list(table.values()) == list(reversed(range(500)))
    assert Key.compared < 500 * 20


atoms = st.sampled_from([0, -1, 1 << 100, 0.0, -0.0, 1e300, float("inf"), float("nan"), "", "a", "\0\udc80", b"", b"\x80", True,
                         None, -0j])
few = {"max_size": 3}
mapped = st.builds(Mapped, st.dictionaries(atoms, st.one_of(atoms, st.just(ABSENT)), **few), st.frozensets(atoms, **few))
indices = st.integers(0, 20)
sequences = st.builds(SequenceChanges, indices, st.dictionaries(indices, atoms, **few), st.sets(indices, **few),
                      st.dictionaries(indices, st.lists(atoms, **few), **few))


def parts(changes):
    fields = (changes.values, changes.moved) if isinstance(changes, Mapped) else (
        changes.length, changes.items, changes.deleted, changes.inserted)
    return type(changes), shape(fields)


@settings(deadline=None)
@given(st.dictionaries(indices, st.one_of(mapped, sequences), **few), st.dictionaries(indices, st.dictionaries(atoms, indices)))
def test_changes_of_atoms_arrive_as_they_were(own, ways):
    assert all(map(holds_atoms, own.values()))
    data = packed_atoms(own, ways)
    assert not is_pickle(data)
    arrived, ways_there = unpacked_atoms(data)
    assert list(arrived) == list(own) and [parts(one) for one in arrived.values()] == [parts(one) for one in own.values()]
    assert shape(ways_there) == shape(ways)


@pytest.mark.parametrize("changes", [Mapped({"a": [1]}), Mapped({(1,): 1}), Mapped({"a": 1, "b": (1,)}), ({1}, set()),
                                     SequenceChanges(3, {1: []}), SequenceChanges(3, {}, set(), {3: [1, {}]})])
def test_what_may_be_a_container_goes_by_pickle(changes):
    assert not holds_atoms(changes)
