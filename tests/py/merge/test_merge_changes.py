"""The loops that find changes by identity: in C and in Python they say the same, and applied they give the new state."""
import sys
import types
from collections import OrderedDict, defaultdict, deque
from pathlib import Path

import pytest
from conftest import PYPY
from hypothesis import given, settings, strategies as st

from snakefish import _merge_changes, _merge_sequence
from snakefish._merge_kinds import Bytes, Deque, Dict, List, Ordered

ONLY_C = pytest.mark.skipif(PYPY, reason="PyPy has the loops in Python")


def in_python():
    """The module as it is without the functions in C."""
    module = types.ModuleType("without_c")
    real, sys.modules["snakefish._snakefish"] = sys.modules["snakefish._snakefish"], types.ModuleType("empty")
    try:
        exec(Path(_merge_changes.__file__).read_text(), vars(module))
    finally:
        sys.modules["snakefish._snakefish"] = real
    return module


PLAIN = in_python()
values = st.sampled_from([1, 2, "a", "b", None, 1.5, (1,), [1], {}])
keys = st.sampled_from(["a", "b", "c", "d", 1, 2, 1.0, True, (1, 2), None])
dict_steps = st.lists(st.tuples(st.sampled_from(["set", "del", "again", "front"]), keys, values), max_size=12)


def changed_dict(before, steps):
    now = type(before)(before)
    for what, key, value in steps:
        if what == "set":
            now[key] = value
        elif what == "del":
            now.pop(key, None)
        elif what == "again":
            now[key] = now.pop(key, value)
        elif key in now and isinstance(now, OrderedDict):
            now.move_to_end(key, last=False)
    return now


def applied(before, gone, held, moved):
    now = dict(before)
    for key in (*gone, *moved):
        del now[key]
    now.update(held)
    return now


@pytest.mark.parametrize("functions", [PLAIN, pytest.param(_merge_changes, marks=ONLY_C)], ids=["python", "c"])
@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, values, max_size=6), dict_steps)
def test_the_changes_of_a_dict_make_the_new_one(functions, before, steps):
    now = changed_dict(before, steps)
    found = functions.dict_changes(before, now)
    made = dict(before) if found is None else applied(before, *found)
    assert [(type(k), k, id(v)) for k, v in made.items()] == [(type(k), k, id(v)) for k, v in now.items()]
    assert found is None or any(found)


@ONLY_C
@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, values, max_size=6), dict_steps, st.lists(values, max_size=8), st.lists(values, max_size=8))
def test_both_say_the_same(before, steps, old, new):
    now = changed_dict(before, steps)
    assert PLAIN.dict_changes(before, now) == _merge_changes.dict_changes(before, now)
    assert PLAIN.list_changes(old, new) == _merge_changes.list_changes(old, new)
    leaves = {*PLAIN.ATOMS, tuple}
    for container in (now, new, set(map(str, old))):
        assert PLAIN.others(container, leaves) == _merge_changes.others(container, leaves)
    lives, shadows = [now, old, new, dict(now), (1,)], [before, list(old), list(new), now, (1,)]
    for first in range(6):
        assert PLAIN.changed(lives, shadows, first) == _merge_changes.changed(lives, shadows, first)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, values, max_size=6), dict_steps)
def test_ordered_dicts_keep_their_order(before, steps):
    before = OrderedDict(before)
    now = changed_dict(before, steps)
    own = Ordered.changes(Ordered.shadow(before), now)
    made = Ordered.changed(dict(before), own) if own else before
    assert list(made.items()) == list(now.items())


def test_what_changes_in_a_comparison_is_an_error_or_a_difference_and_no_crash():
    class Bad:
        def __hash__(self):
            return 1

        def __eq__(self, other):
            if armed:
                now.clear()
                now.update((number, number) for number in range(1000))
            return False

    armed, now = [], {}
    before = {number: number for number in range(10)}
    before[Bad()] = 1
    now.update(before)
    now.pop(3)
    now[Bad()] = 1
    now.pop(4)
    del now[next(key for key in now if type(key) is Bad)]
    armed.append(1)
    try:
        _merge_changes.dict_changes(before, now)
    except RuntimeError as error:
        assert "changed" in str(error)


items = st.sampled_from([1, 2, 3, "a", "b", 0.0, -0.0, None])
sequences = st.lists(items, max_size=10)


@pytest.mark.parametrize("kind, make", [(List, list), (Deque, deque), (Bytes, lambda given: bytearray(map(hash_byte, given)))])
@settings(max_examples=300, deadline=None)
@given(sequences, sequences)
def test_the_changes_of_a_sequence_make_the_new_one(kind, make, old, new):
    before, now = kind.shadow(make(old)), make(new)
    own = kind.changes(before, now)
    made = own.apply(before) if own is not None else list(before)
    assert list(map(repr, made)) == list(map(repr, now))
    assert own is None or own.size()


def hash_byte(item):
    return sum(map(ord, repr(item))) % 7


@pytest.mark.parametrize("old, new, items, deleted, inserted", [
    ("abcd", "abcdef", {}, "", {4: "ef"}), ("abcd", "ab", {}, "23", {}), ("abcd", "aXcd", {1: "X"}, "", {}),
    ("abcd", "aXbcd", {}, "", {1: "X"}), ("abcd", "acd", {}, "1", {}), ("abcdefgh", "bcdefgXh", {}, "0", {7: "X"}),
    ("abcd", "Xbcde", {0: "X"}, "", {4: "e"}),
    ("abcdefghijkl", "acdefghiXjklm", {}, "1", {9: "X", 12: "m"}), ("abc", "", {}, "012", {})])
def test_the_description_of_the_changes_is_the_short_one(old, new, items, deleted, inserted):
    own = Deque.changes(list(old), deque(new))
    assert own.items == items and own.deleted == set(map(int, deleted))
    assert own.inserted == {gap: list(values) for gap, values in inserted.items()}


def test_a_list_of_the_same_length_is_compared_item_by_item_and_a_deque_is_a_queue():
    assert List.changes([1, 2, 3], [2, 3, 4]).items == {0: 2, 1: 3, 2: 4}
    assert Deque.changes([1, 2, 3], deque([2, 3, 4])).inserted == {3: [4]}


def test_large_lists_take_no_time_that_grows_with_the_square():
    many = [str(number) for number in range(20000)]
    own = List.changes(many, many[1000:5000] + ["x"] * 10 + many[5000:15000] + many[16000:])
    assert (len(own.deleted), own.inserted) == (2000, {5000: ["x"] * 10})
    assert _merge_sequence.SequenceChanges(3).size() == 0


@ONLY_C
def test_the_shadow_of_a_subclass_is_a_plain_dict_of_its_items():
    class Loud(dict):
        def __getitem__(self, key):
            raise AssertionError("no code of the class runs")

        __iter__ = keys = items = __setitem__ = __getitem__

    loud = Loud(a=1)
    assert Dict.shadow(loud) == {"a": 1} and Dict.changes({"a": 0}, loud).values == {"a": 1}
    assert Dict.shadow(defaultdict(int, a=1)) == {"a": 1}
