"""explain: which rule each variable has, and which globals a function changes that nobody brings back."""
import functools
from collections import Counter

import pytest

from snakefish import merge

hits, seen, words, flag, table, counts = 0, set(), {"a": []}, False, {}, Counter()


class Settings:
    limit = 1
    inner = [1]


settings = Settings()


def count(n):
    global hits
    hits += n


def collect(n):
    seen.add(n)
    words["a"] += [n]
    words["a"][0] = n
    table[n]["rows"].append(n)
    settings.limit = n
    settings.inner.append(n)
    counts["x"] += 1
    del table[n]
    return len(seen), sorted(words), settings.limit, table.get(n)


def unshared(f, *share):
    return set(merge.explain(f, share).unshared)


def test_globals_that_are_rebound_deleted_or_changed_in_place():
    assert unshared(count) == {"hits"}
    assert unshared(count, "hits") == set()
    assert unshared(collect) == {"seen", "words", "table", "settings", "counts"}
    assert unshared(collect, "seen", "words", "table", "settings") == {"counts"}


def test_what_is_only_read_is_not_told():
    def reads(n):
        total = 0
        local = {}
        local[n] = hits
        for value in words["a"]:
            total += value + len(table) + settings.limit
            local.setdefault(value, []).append(table)
        return sorted(seen), total if flag else counts["x"], [w for w in words if w in table], local

    assert unshared(reads) == set()


def test_where_and_how_is_told():
    line = collect.__code__.co_firstlineno
    found = merge.explain(collect, ["seen"])
    assert found.unshared["words"] == [f"words['a'] = ... in line {line + 2}".replace("'a'", "..."),
                                       f"words[...][...] = ... in line {line + 3}"]
    assert f"table[...][...].append() in line {line + 4}" in found.unshared["table"]
    assert f"settings.limit = ... in line {line + 5}" in found.unshared["settings"]
    assert f"del table[...] in line {line + 8}" in found.unshared["table"]
    assert "table: not shared, but collect changes it, and that is lost: " in str(found)
    assert not found and merge.explain(count, ["hits"]) and "collect" in repr(found)


def test_nested_functions_lambdas_and_functions_that_are_called_by_name():
    def outer():
        def inner():
            global flag
            flag = True
        return inner, lambda n: table.update({n: 1}), [counts.update(a=1) for _ in "ab"]

    def calls(n):
        return count(n)

    assert unshared(outer) == {"flag", "table", "counts"}
    assert unshared(calls) == {"hits"}


def test_a_condition_in_an_expression_or_a_loop_hides_nothing():
    def f(items):
        for item in items:
            if item in seen and words:
                table[item if item else 0] = 1
            else:
                counts[item] = counts[item] + 1 if item else 0
        while items:
            seen.discard(items.pop())

    assert unshared(f) >= {"table", "seen"}


def test_wrapped_functions_methods_and_partials():
    @functools.wraps(count)
    def wrapper(*arguments):
        return None

    class Worker:
        def run(self):
            table[1] = 2

    assert unshared(wrapper) == {"hits"}
    assert unshared(functools.partial(collect, 1), "seen", "words", "table", "settings") == {"counts"}
    assert unshared(Worker().run) == {"table"}
    with pytest.raises(TypeError, match="explain reads Python functions"):
        merge.explain(len)
    assert merge.explain(len, ["x"], globals={"x": 1}).rules == {"x": "int: current + (child - base)"}


def test_the_rule_of_each_variable():
    found = merge.explain(count, {"hits": None, "seen": "union", "words": None, "flag": "any", "counts": None,
                                  "table": lambda base, current, child: child, "settings": "readonly"})
    assert found.rules["hits"] == "int: current + (child - base)"
    assert found.rules["seen"].startswith("set: ") and "what is in one of both sets" in found.rules["seen"]
    assert found.rules["words"] == "dict: by key" and found.rules["counts"] == "Counter: by key"
    assert found.rules["flag"] == "bool: current or child"
    assert "<lambda>(base, current, child)" in found.rules["table"] and found.rules["settings"] == "no task may change it"
    assert found and str(found).splitlines()[0] == "hits: int: current + (child - base)"


def test_variables_without_a_rule_are_told_one_by_one():
    found = merge.explain(count, ["flag", "hits", "missing"])
    assert set(found.errors) == {"flag", "missing"} and "say how" in found.errors["flag"]
    assert "has no global 'missing'" in found.errors["missing"] and not found
    assert "flag: error: " in str(found)


def test_one_string_is_no_list_of_names():
    with pytest.raises(TypeError, match="write share="):
        merge.explain(count, "hits")


def test_nothing_to_tell():
    assert str(merge.explain(lambda: None)) == "nothing is shared, and no change of a global is seen"
