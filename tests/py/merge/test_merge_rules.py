"""The rules that share= can give, and what is refused."""
import functools
import operator

import pytest
from merging import Fork, conflict, merged

import snakefish
from snakefish import merge


def bind(value):
    return lambda v: v.__setitem__("x", value)


@pytest.mark.parametrize("rule, base, parent, child, result", [
    ("sum", 1, 2, 4, 5), (sum, 1, 2, 4, 5), ("max", 1, 5, 3, 5), (max, 1, 2, 3, 3), ("min", 9, 5, 3, 3), (min, 9, 2, 3, 2),
    ("max", "a", "c", "b", "c"), ("last", "b", "p", "c", "c"), ("first", "b", "p", "c", "p"), ("either", "b", "n", "n", "n"),
    ("any", False, False, True, True), ("any", True, False, False, False), ("all", True, False, True, False),
    (any, False, True, True, True), ("union", frozenset("a"), frozenset("ap"), frozenset("ac"), frozenset("apc")),
    (operator.or_, 1, 3, 5, 7), (lambda current, child: f"{current}{child}", "b", "p", "c", "pc"),
    (lambda base, current, child: f"{base}{current}{child}", "b", "p", "c", "bpc"),
    (functools.partial(lambda a, base, current, child: a + base, 10), 1, 2, 3, 11)])
def test_rules_of_variables(rule, base, parent, child, result):
    assert merged(base, bind(parent), bind(child), share=rule) == result
    if "either" != rule:
        assert merged(base, bind(parent), None, share=rule) == parent
        assert merged(base, None, bind(child), share=rule) == child


def test_a_named_rule_is_asked_for_the_parts_of_containers():
    base = {"a": 1, "b": {"c": [5, 5]}}
    result = merged(base, lambda v: (v["x"].update(a=3), v["x"]["b"]["c"].__setitem__(0, 9)),
                    lambda v: (v["x"].update(a=2), v["x"]["b"]["c"].__setitem__(0, 7)), share="max")
    assert result == {"a": 3, "b": {"c": [9, 5]}}
    assert merged({"f": False}, lambda v: v["x"].update(f=1), lambda v: v["x"].update(f=2), share="last") == {"f": 2}


def test_union_keeps_what_the_other_has_removed():
    def change(drop, add):
        return lambda v: (v["x"].discard(drop), v["x"].add(add))

    assert merged({1, 2}, change(1, 3), change(2, 4), share="union") == {2, 3, 4}
    assert merged({1, 2}, None, change(2, 4), share="union") == {1, 4}


def test_last_and_first_decide_also_what_is_deleted_and_inserted():
    for rule, result in (("last", {"k": "c"}), ("first", {})):
        assert merged({"k": "b"}, lambda v: v["x"].pop("k"), lambda v: v["x"].update(k="c"), share=rule) == result
    for rule, result in (("last", list("acb")), ("first", list("apb"))):
        assert merged(list("ab"), lambda v: v["x"].insert(1, "p"), lambda v: v["x"].insert(1, "c"), share=rule) == result


def test_readonly_is_a_conflict_for_any_change_of_the_child():
    assert merged([1], lambda v: v["x"].append(2), None, share="readonly") == [1, 2]
    found = conflict([1], None, lambda v: v["x"].append(2), share="readonly")
    assert "readonly" in str(found) and (found.base, found.current, found.child) == ([1], [1], [1, 2])
    assert conflict(1, None, bind(2), share="readonly").child == 2
    assert merged([1], None, lambda v: v["x"].append(2), share="readonly", on_conflict="parent") == [1]
    assert merged([1], None, lambda v: v["x"].append(2), share="readonly", on_conflict="child") == [1, 2]


def test_a_function_gets_whole_variables_of_three_versions():
    def merge_tables(base, current, child):
        got.append((base, current, child))
        return {"merged": sorted({*current, *child})}

    got = []
    base = {"a": [1], "b": [2]}
    base["same"] = base["a"]

    def child(v):
        v["x"]["a"].append("c")
        v["x"]["c"] = v["x"]["b"]

    result = merged(base, lambda v: v["x"]["a"].append("p"), child, share=merge_tables)
    assert result == {"merged": ["a", "b", "c", "same"]}
    (old, now, new), = got
    assert old == {"a": [1], "b": [2], "same": [1]} and old["a"] is old["same"]
    assert now is base and now["a"] == [1, "p"]
    assert new == {"a": [1, "c"], "b": [2], "same": [1, "c"], "c": [2]} and new["a"] is new["same"] and new["c"] is new["b"]
    assert base["a"] == [1, "p"]
    assert merged(base, None, child, share=merge_tables)["a"] == [1, "p", "c"] and len(got) == 1


def test_a_function_merges_alone_what_the_child_has_moved_in_its_variable():
    base = {"a": [1], "n": 1}

    def child(v):
        v["x"]["a"].append("c")
        v["x"]["b"] = v["x"].pop("a")

    assert merged(base, lambda v: v["x"].update(n=2), child, share=lambda current, child: [current, child]) == [
        {"a": [1], "n": 2}, {"b": [1, "c"], "n": 1}]


def test_rules_that_do_not_fit_the_values_are_conflicts():
    assert "sum adds" in str(conflict("a", bind("b"), bind("c"), share="sum"))
    assert "union is for sets" in str(conflict(1.5, bind(2.5), bind(3.5), share="union"))
    assert conflict(1, bind(2), bind(3), share="either").place == "x"
    assert "not supported between" in str(conflict(1, bind(2), bind("3"), share="max"))


@pytest.mark.parametrize("share, error, words", [
    ("hits", TypeError, r"write share=\['hits'\]"), (5, TypeError, "share is a list of names"), ([5], TypeError, "not a name"),
    (["hitz"], ValueError, "has no global 'hitz'"), ({"x": "summ"}, ValueError, "'summ', which does not exist; there are sum"),
    ({"x": 5}, TypeError, "a rule is the name of one, or a function"), (["no.module:x"], ValueError, "no module 'no.module'"),
    ({"x": lambda one: one}, TypeError, r"must take \(base, current, child\) or \(current, child\)")])
def test_a_wrong_share_is_an_error_at_once(share, error, words):
    with pytest.raises(error, match=words):
        merge.three_way(share, globals={"x": 1, "__name__": "mine"})


def test_a_global_given_twice_is_an_error():
    with pytest.raises(ValueError, match="one global twice"):
        merge.three_way(["LIMIT_S", "conftest:LIMIT_S"], globals=vars(__import__("conftest")))


def test_a_wrong_policy_is_an_error():
    with pytest.raises(ValueError, match="on_conflict is"):
        merge.three_way([], on_conflict="ours")


def test_register_takes_classes_and_functions():
    with pytest.raises(TypeError, match="register takes a class"):
        merge.register(lambda: None)
    with pytest.raises(TypeError, match="decorates a function"):
        merge.register(dict)("text")


def test_pandas_frames_are_refused_with_the_reason_unless_a_function_merges_them():
    frame = type("DataFrame", (), {"__module__": "pandas.core.frame"})
    vars_of_module = {"x": frame(), "y": [frame()]}
    for name in vars_of_module:
        with pytest.raises(TypeError, match=r"pandas DataFrame has no merge.*give a function"):
            Fork(vars_of_module, [name])


def test_the_module_is_there_after_import_snakefish(check_program):
    assert check_program("""
        import sys, snakefish
        print([name for name in sys.modules if "merge" in name], snakefish.merge.__name__, "merge" in dir(snakefish))
    """) == "[] snakefish.merge True\n"
    assert set(dir(snakefish.merge)) >= set(merge.__all__)


def test_all_public_names_say_that_they_are_of_the_module():
    for name in set(merge.__all__) - {"ABSENT"}:
        assert getattr(merge, name).__module__ in ("snakefish.merge", "snakefish._merge_rules"), name
    assert repr(merge.ABSENT) == "ABSENT" and not merge.ABSENT
