"""Three-way merges of each type."""
import dataclasses
import decimal
import fractions
from collections import Counter, OrderedDict, defaultdict, deque

import pytest
from merging import Fork, conflict, merged, shape

from snakefish import merge


def put(key, value):
    return lambda v: v["x"].__setitem__(key, value)


def drop(key):
    return lambda v: v["x"].__delitem__(key)


def call(method, *arguments):
    return lambda v: getattr(v["x"], method)(*arguments)


def bind(value):
    return lambda v: v.__setitem__("x", value)


@pytest.mark.parametrize("base, parent, child, result", [
    (1, 5, 11, 15), (0, 0, 7, 7), (3, 1, 3, 1), (10, 8, 9, 7), (0.5, 1.5, 2.5, 3.5), (1, 2, 1.5, 2.5), (2**80, 2**80 + 1, 0, 1),
    (1j, 2j, 3j, 4j), (decimal.Decimal(1), decimal.Decimal(3), decimal.Decimal("1.5"), decimal.Decimal("3.5")),
    (fractions.Fraction(1, 3), fractions.Fraction(2, 3), fractions.Fraction(4, 3), fractions.Fraction(5, 3))])
def test_numbers_add_their_changes(base, parent, child, result):
    value = merged(base, bind(parent), bind(child))
    assert value == result and type(value) is type(result)


def test_a_number_that_one_task_has_changed_is_exactly_as_that_one_left_it():
    for base, child in ((0.1, 0.3), (1e300, 1.0), (0.0, -0.0), (1.0, float("inf"))):
        assert repr(merged(base, None, bind(child))) == repr(child)
        assert repr(merged(base, bind(child), None)) == repr(child)


def test_two_changes_to_the_same_number_count_twice():
    assert merged(0, bind(1), bind(1)) == 2


def test_a_value_that_is_put_there_again_is_no_change():
    old = "".join(["some ", "text"])
    again = lambda v: v["x"].update(k="".join(["some ", "text"]), n=int("1" * 30), f=float("0.5"))
    base = {"k": old, "n": int("1" * 30), "f": float("0.5")}
    fork = Fork({"x": base})
    again(fork.child)
    assert fork.difference() == b""
    assert merged(dict(base), again, lambda v: v["x"].update(k="new", n=2)) == {**base, "k": "new", "n": 2}
    assert conflict({"f": 0.0}, lambda v: v["x"].update(f=-0.0), lambda v: v["x"].update(f="c")).place == "x['f']"


def test_sets():
    result = merged({1, 2, 3}, lambda v: (v["x"].add(4), v["x"].discard(1)), lambda v: (v["x"].add(5), v["x"].discard(2)))
    assert result == {3, 4, 5}
    assert merged({1, 2}, call("discard", 1), call("discard", 1)) == {2}
    assert merged({1}, call("add", 2), call("add", 2)) == {1, 2}


def test_dicts_insert_delete_and_change_by_key():
    base = {"a": 1, "b": "text", "c": 3, "d": 4}
    result = merged(base, lambda v: (v["x"].update(a=11, new=0), v["x"].pop("d")),
                    lambda v: (v["x"].update(a=2, b="other", more=7), v["x"].pop("c")))
    assert list(result.items()) == [("a", 12), ("b", "other"), ("new", 0), ("more", 7)]
    assert merged({"a": 1}, drop("a"), drop("a")) == {}


def test_dicts_merge_recursively():
    base = {"a": {"b": {"n": 1, "m": 1}, "s": {1}}}
    result = merged(base, lambda v: (v["x"]["a"]["b"].update(n=2), v["x"]["a"]["s"].add(2)),
                    lambda v: (v["x"]["a"]["b"].update(n=5, m=0), v["x"]["a"]["s"].add(3)))
    assert result == {"a": {"b": {"n": 6, "m": 0}, "s": {1, 2, 3}}}
    assert result is base and result["a"] is base["a"]


def test_a_key_that_is_new_to_both_with_the_same_value_is_no_conflict():
    assert merged({}, put("k", "v"), put("k", "v")) == {"k": "v"}
    assert merged({}, put("k", {"a": "v"}), put("k", {"b": "w"})) == {"k": {"a": "v", "b": "w"}}
    assert merged({}, put("k", {1}), put("k", {2})) == {"k": {1, 2}}


def test_a_number_or_list_that_is_new_to_both_could_be_a_count_or_a_result_so_it_is_a_conflict():
    for value in (1, [1], bytearray(b"1")):
        found = conflict({}, put("k", value), put("k", value))
        assert found.place == "x['k']" and '"sum"' in str(found) and '"either"' in str(found)
        assert merged({}, put("k", value), put("k", value), share="either") == {"k": value}
    assert merged({}, put("k", 1), put("k", 1), share="sum") == {"k": 2}
    assert merged({}, put("k", [1]), put("k", [1]), share="sum") == {"k": [1, 1]}


def test_the_order_of_keys_is_the_childs_where_the_parent_has_left_it_alone():
    def change(v):
        v["x"]["a"] = v["x"].pop("a")
        v["x"]["new"] = 1
        del v["x"]["b"]

    assert list(merged({"a": 1, "b": 2, "c": 3}, None, change).items()) == [("c", 3), ("a", 1), ("new", 1)]


def test_a_key_that_has_only_moved_has_not_changed():
    def again(v):
        v["x"]["a"] = v["x"].pop("a")

    for first, second in ((drop("a"), again), (again, drop("a"))):
        assert merged({"a": 1, "b": 2}, first, second) == {"b": 2}
    assert list(merged({"a": 1, "b": 2}, put("a", 5), again).items()) == [("b", 2), ("a", 5)]


def test_counters_and_defaultdicts_merge_new_keys_from_their_empty_value():
    assert merged(Counter(a=1), call("update", "aab"), call("update", "abb")) == Counter(a=4, b=3)
    result = merged(defaultdict(int), lambda v: v["x"].__setitem__("k", 2), lambda v: v["x"].__setitem__("k", 5))
    assert result == {"k": 7} and type(result) is defaultdict and result.default_factory is int
    assert merged(defaultdict(list), lambda v: v["x"]["k"].append(1), lambda v: v["x"]["k"].append(2)) == {"k": [1, 2]}
    nested = merged(defaultdict(lambda: defaultdict(int)), lambda v: v["x"]["a"].__setitem__("b", 1),
                    lambda v: v["x"]["a"].__setitem__("b", 1))
    assert nested == {"a": {"b": 2}}


def test_ordered_dicts_keep_the_childs_order():
    def change(v):
        v["x"].move_to_end("c", last=False)
        v["x"]["d"] = 4

    base = OrderedDict(a=1, b=2, c=3)
    result = merged(base, None, change)
    assert result is base and list(result.items()) == [("c", 3), ("a", 1), ("b", 2), ("d", 4)]
    assert list(merged(OrderedDict(a=1), put("p", 1), put("c", 1))) == ["a", "p", "c"]
    base.move_to_end("b", last=False)
    fork = Fork({"x": base})
    assert fork.difference() == b""
    fork.child["x"]["a"] += 1
    fork.join()
    assert list(base.items()) == [("b", 2), ("c", 3), ("a", 2), ("d", 4)]


@pytest.mark.parametrize("make", [list, deque, lambda items: deque(items, 100)])
def test_appends_come_in_the_order_of_the_joins(make):
    variables = {"x": make("ab")}
    forks = [Fork(variables) for _ in range(3)]
    variables["x"].append("p")
    for number, fork in enumerate(forks):
        fork.child["x"].append(number)
    for fork in forks:
        fork.join()
    assert variables["x"] == make(["a", "b", "p", 0, 1, 2])


def test_lists_merge_different_items_and_numbers_in_the_same():
    assert merged(["a", "b", "c", 1], put(0, "A"), put(1, "B")) == ["A", "B", "c", 1]
    assert merged(["a", 1], put(1, 3), put(1, 11)) == ["a", 13]
    assert merged(["a", [1], "c"], lambda v: v["x"][1].append(2), lambda v: v["x"][1].append(3)) == ["a", [1, 2, 3], "c"]


def test_lists_merge_deletions_and_insertions_at_different_places():
    words = "the quick brown fox jumps".split()
    assert merged(list(words), drop(0), call("insert", 3, "red")) == "quick brown red fox jumps".split()
    assert merged(list(words), drop(1), drop(1)) == "the brown fox jumps".split()
    assert merged(list(words), call("insert", 2, "dark"), call("append", "!")) == "the quick dark brown fox jumps !".split()
    assert merged(list(words), call("pop"), put(0, "a")) == "a quick brown fox".split()
    assert merged(list(words), None, call("clear")) == []
    assert merged(list(words), call("insert", 0, "p"), call("insert", 0, "c")) == ["c", "p", *words]


def test_a_deque_is_a_queue():
    jobs = deque(["a", "b", "c", "d"])
    assert merged(jobs, lambda v: v["x"].append("p"), lambda v: (v["x"].popleft(), v["x"].append("x"))) == deque("bcdpx")
    assert merged(deque([1, 2, 3], 3), call("append", 4), call("append", 5)) == deque([3, 4, 5], 3)
    assert merged(deque("abc"), call("appendleft", "p"), call("appendleft", "c")) == deque("cpabc")


def test_bytearrays():
    assert merged(bytearray(b"abcdef"), put(0, 65), put(5, 70)) == bytearray(b"AbcdeF")
    assert merged(bytearray(10000), put(9999, 1), put(5000, 2)) == bytearray(5000) + b"\2" + bytearray(4998) + b"\1"
    assert merged(bytearray(b"ab"), call("extend", b"p"), call("extend", b"c")) == bytearray(b"abpc")
    assert merged(bytearray(b"\1\2"), put(0, 2), put(0, 2)) == bytearray(b"\2\2")
    assert conflict(bytearray(b"\1\2"), put(0, 2), put(0, 3)).place == "x[0]"
    assert merged(bytearray(b"\1\2"), put(0, 2), put(0, 3), share="sum") == bytearray(b"\4\2")


class Plain:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("a", "__hidden")

    def __init__(self):
        self.a, self.__hidden = 1, [1]

    def hidden(self):
        return self.__hidden


@dataclasses.dataclass
class Record:
    count: int = 0
    names: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Frozen:
    parts: list


def test_objects_and_dataclasses_merge_by_attribute():
    base = Plain(n=1, name="a", inner=Plain(words=["w"]))

    def child(v):
        v["x"].n += 5
        v["x"].new = "c"
        v["x"].inner.words.append("c")
        del v["x"].name

    result = merged(base, lambda v: (setattr(v["x"], "n", 2), v["x"].inner.words.append("p")), child)
    assert result is base and vars(base).keys() == {"n", "inner", "new"}
    assert (base.n, base.new, base.inner.words) == (7, "c", ["w", "p", "c"])
    result = merged(Record(), lambda v: (setattr(v["x"], "count", 1), v["x"].names.append("p")),
                    lambda v: (setattr(v["x"], "count", 2), v["x"].names.append("c")))
    assert result == Record(3, ["p", "c"])
    assert merged(Frozen([1]), None, lambda v: v["x"].parts.append(2)) == Frozen([1, 2])


def test_objects_with_slots():
    result = merged(Slotted(), lambda v: setattr(v["x"], "a", 3), lambda v: (setattr(v["x"], "a", 4), v["x"].hidden().append(2)))
    assert (result.a, result.hidden()) == (6, [1, 2])
    assert not hasattr(merged(Slotted(), None, lambda v: delattr(v["x"], "a")), "a")


class Guarded:
    """Its attributes cannot be set by assignment."""

    def __init__(self):
        self.__dict__.update(limit=1, name="n")

    def __setattr__(self, name, value):
        raise AttributeError(name)

    limit = property(lambda self: self.__dict__["limit"])


def test_attributes_that_the_class_guards():
    result = merged(Guarded(), lambda v: vars(v["x"]).update(limit=2), lambda v: vars(v["x"]).update(limit=4, name="c"))
    assert vars(result) == {"limit": 5, "name": "c"}


def test_what_is_in_tuples_and_sets_merges_too():
    one, other = Plain(n=1), [1]
    result = merged({"t": (other, "a")}, lambda v: v["x"]["t"][0].append("p"), lambda v: v["x"]["t"][0].append("c"))
    assert result == {"t": ([1, "p", "c"], "a")} and result["t"][0] is other
    result = merged({one}, None, lambda v: [setattr(element, "n", 2) for element in v["x"]])
    assert result == {one} and one.n == 2


class Money:
    """Merges by a method."""

    def __init__(self, cents):
        self.cents = cents

    def __eq__(self, other):
        return self.cents == other.cents

    def __merge__(base, current, child):
        return Money(current.cents + child.cents - base.cents)


class Range:
    def __init__(self, low, high):
        self.low, self.high = low, high


@merge.register(Range)
def merge_ranges(base, current, child):
    return Range(min(current.low, child.low), max(current.high, child.high))


class Narrow(Range):
    pass


def test_ones_own_types_merge_by_their_method_or_a_registered_function():
    assert merged(Money(100), bind(Money(150)), bind(Money(90))).cents == 140
    assert merged({"a": Money(1)}, lambda v: setattr(v["x"]["a"], "cents", 2), lambda v: setattr(v["x"]["a"], "cents", 5)) == {
        "a": Money(6)}
    result = merged(Range(0, 1), lambda v: setattr(v["x"], "high", 5), lambda v: setattr(v["x"], "low", -3))
    assert (result.low, result.high) == (-3, 5)
    result = merged([Narrow(0, 1)], lambda v: setattr(v["x"][0], "high", 5), lambda v: setattr(v["x"][0], "low", -3))
    assert (result[0].low, result[0].high) == (-3, 5)
    assert merged([Range(0, 1)], None, lambda v: setattr(v["x"][0], "low", -3))[0].low == -3


def test_values_that_change_their_type():
    assert merged({"a": 1}, None, put("a", [1])) == {"a": [1]}
    assert merged(1, bind("text"), None) == "text"
    assert merged(None, bind([1]), bind([1]), share="either") == [1]
    assert conflict({"a": 1}, put("a", "p"), put("a", 2)).place == "x['a']"


def test_globals_that_are_deleted():
    assert merged(1, None, lambda v: v.pop("x")) is merge.ABSENT
    assert merged(1, lambda v: v.pop("x"), lambda v: v.pop("x")) is merge.ABSENT
    assert conflict(1, lambda v: v.pop("x"), bind(2)).current is merge.ABSENT


def test_a_container_that_the_child_has_made_anew_merges_with_the_one_it_replaces():
    base = {1, 2}
    result = merged(base, call("add", "p"), lambda v: v.__setitem__("x", v["x"] | {"c"}))
    assert result == {1, 2, "p", "c"} and result is not base
    assert merged([1], lambda v: v.__setitem__("x", v["x"] + ["p"]), call("append", "c")) == [1, "p", "c"]
    assert merged([1], lambda v: v.__setitem__("x", v["x"] + ["p"]), lambda v: v.__setitem__("x", v["x"] + ["c"])) == [
        1, "p", "c"]
    assert merged({"a": {"n": 1}}, lambda v: v["x"].__setitem__("a", {"n": 2}), lambda v: v["x"]["a"].__setitem__("m", 1)) == {
        "a": {"n": 2, "m": 1}}


@pytest.mark.parametrize("value", [True, "text", None, b"bytes", (1, 2), frozenset()])
def test_a_variable_without_a_merge_needs_a_rule(value):
    with pytest.raises(TypeError, match="'x' is .* say how, for example"):
        Fork({"x": value})
    assert merged(value, None, bind("new"), share="last") == "new"


def test_leaves_that_cannot_be_changed_or_pickled_may_be_in_containers():
    import re
    import threading
    base = {"lock": threading.Lock(), "pattern": re.compile("a"), "function": len, "class": int, "n": 1}
    assert merged_without_copies(base)["n"] == 2


def merged_without_copies(base):
    """The child is this process itself: locks cannot be copied."""
    from snakefish._merge_join import Join
    from snakefish._merge_rules import BY_TYPE
    from snakefish._merge_snapshot import Snapshot
    variables = {"x": base}
    snapshot = Snapshot({"x": (variables, "x")}, {"x": BY_TYPE})
    base["n"] = 2
    changes = snapshot.difference()
    base["n"] = 1
    Join(snapshot, changes).run()
    return base


def test_the_result_is_of_the_same_types():
    for base in (Counter("a"), defaultdict(int, a=1), OrderedDict(a=1), deque("a"), {"a": 1}, ["a"], {"a"}, bytearray(b"a")):
        assert shape(merged(base)) == shape(base)
