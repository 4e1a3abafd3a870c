"""Conflicts of tasks that share: what the error says, and that the parent's globals are as they were, the same objects with
the same contents, whoever has forked and however much was merged before."""
import copy
import itertools
from collections import Counter, OrderedDict, defaultdict, deque

import pytest
import snakefish
from merging import shape
from snakefish import merge
from test_merge_conflicts import CASES, thing

SPACE = globals()
x = text = "start"


def anatomy(value):
    """The shape of a value, and which objects it consists of."""
    ids, todo = [], [value]
    for one in todo:
        ids.append(id(one))
        if isinstance(one, dict):
            todo += [*one, *one.values()]
        elif isinstance(one, (list, tuple, deque)):
            todo += one
        elif hasattr(one, "__dict__"):
            todo += vars(one).values()
    return shape(value), ids


def by_thread(parent, child, **options):
    t = snakefish.Thread(lambda: child(SPACE), name="worker", **options)
    t.start()
    parent(SPACE)
    return t.join


def by_generator(parent, child, **options):
    def f():
        yield child(SPACE)

    g = snakefish.Generator(f, name="worker", **options)
    g.start()
    list(g)
    parent(SPACE)
    return g.join


FEW = ("key changed twice", "item deleted, changed", "variable")


@pytest.mark.parametrize("fork, case", [*((by_thread, case) for case in CASES), *((by_generator, case) for case in FEW)])
def test_a_join_in_conflict_names_all_and_changes_nothing(fork, case, monkeypatch):
    base, parent, child, place = CASES[case]
    monkeypatch.setitem(SPACE, "x", copy.deepcopy(base))
    join = fork(parent, child, share={"x": None})
    before = anatomy(SPACE.get("x"))
    with pytest.raises(merge.Conflict) as caught:
        join()
    assert anatomy(SPACE.get("x")) == before
    found = caught.value
    assert (found.variable, found.place, found.parent_task, found.child_task) == ("x", place, "the parent", "worker")
    assert str(found).startswith(f"{place}: {found.reason}. At the fork: ")
    assert "; the parent has made it " in str(found) and ", worker " in str(found)
    join()
    assert anatomy(SPACE.get("x")) == before


@pytest.mark.parametrize("call, case", [*((snakefish.map, case) for case in CASES), *((snakefish.starmap, case) for case in FEW)])
def test_a_map_in_conflict_names_all_and_changes_nothing(call, case, monkeypatch):
    base, first, second, place = CASES[case]
    monkeypatch.setitem(SPACE, "x", copy.deepcopy(base))
    before = anatomy(x)

    def f(which):
        if which:
            (first if which == 1 else second)(SPACE)

    arguments = [(n,) for n in range(3)] if call is snakefish.starmap else range(3)
    with pytest.raises(merge.Conflict) as caught:
        call(f, arguments, 2, 1, share={"x": None})
    assert anatomy(x) == before
    assert (caught.value.variable, caught.value.place) == ("x", place)
    assert caught.value.child_task.startswith("map worker-")


@pytest.mark.parametrize("case", [case for case in CASES if "deleted" not in case and "middle" not in case])
def test_the_values_are_those_of_the_three_tasks(case, monkeypatch):
    base, parent, child, place = CASES[case]
    versions = {}
    for name, changes in (("base", ()), ("current", (parent,)), ("child", (child,))):
        version = {"x": copy.deepcopy(base), "ABSENT": merge.ABSENT}
        for change in changes:
            change(version)
        try:
            versions[name] = shape(eval(place, version))
        except (KeyError, AttributeError):
            versions[name] = shape(merge.ABSENT)
    monkeypatch.setitem(SPACE, "x", copy.deepcopy(base))
    with pytest.raises(merge.Conflict) as caught:
        by_thread(parent, child, share={"x": None})()
    assert {name: shape(getattr(caught.value, name)) for name in versions} == versions


def everything():
    inner = [1]
    return {"n": 1, "t": (inner, 2), "s": {1}, "d": {"a": 1, "b": inner}, "l": ["a", inner], "o": OrderedDict(a=1, b=2),
            "thing": thing(), "q": deque("ab", 3), "r": bytearray(b"ab"), "c": Counter(a=1), "g": defaultdict(list, k=[1]),
            "inner": inner}


def change_everything(n):
    global text
    v = x
    v["n"] += n
    v["s"] ^= {1, n + 5}
    v["d"][f"k{n}"] = v["d"].pop("a", None)
    v["inner"].append(n)
    v["l"].append(n)
    v["o"].move_to_end("a")
    v["o"][n] = [n]
    setattr(v["thing"], f"field{n}", [n])
    v["q"].append(n)
    v["r"].append(n)
    v["c"]["a"] += 1
    v["g"][n].append(n)
    if n >= 3:
        text = str(n)


@pytest.mark.parametrize("rounds", [False, True])
def test_a_conflict_of_the_last_chunk_takes_back_all_merges_of_its_round(rounds, monkeypatch):
    monkeypatch.setitem(SPACE, "x", everything())
    before, inner = anatomy(SPACE["x"]), x["inner"]
    with pytest.raises(merge.Conflict) as caught:
        snakefish.map(change_everything, range(5), 5, 1, share={"x": None, "text": "either"}, rounds=rounds)
    assert (caught.value.place, caught.value.base, caught.value.current, caught.value.child) == ("text", "start", "3", "4")
    assert anatomy(SPACE["x"]) == before and text == "start"
    assert x["t"][0] is inner and x["d"]["b"] is inner and x["l"][1] is inner
    snakefish.map(change_everything, range(3), 2, 1, share={"x": None, "text": "either"}, rounds=rounds)
    assert anatomy(SPACE["x"]) != before and inner == [1, 0, 1, 2] and x["l"] == ["a", inner, 0, 1, 2]


def test_arrays_are_as_they_were(monkeypatch):
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(6.0).reshape(2, 3)[:, ::2]  # no contiguous memory
    monkeypatch.setitem(SPACE, "x", {"array": array})
    before = array.copy()

    def f(n):
        array[0, 0] = n
        array[1, 1] += n
    with pytest.raises(merge.Conflict, match=r"x\['array'\]\[\(0, 0\)\]: both tasks have changed it"):
        snakefish.map(f, [0, 7, 8], 2, 1, share=["x"])
    assert x["array"] is array and array.tobytes() == before.tobytes()


# ---- whose order it is ----

def put(n):
    x["log"].append(n)
    x["last"] = n
    x["words"][n] = [n]


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_the_order_of_the_joins_decides_and_not_that_of_the_ends(order, monkeypatch):
    results = set()
    for ending in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        monkeypatch.setitem(SPACE, "x", {"log": [], "last": None, "words": {}})
        may_end = [snakefish.Channel(4096) for _ in range(3)]

        def f(n):
            may_end[n].receive_pyobj()
            put(n)
        threads = [snakefish.Thread(f, args=(n,), share={"x": None}, on_conflict="child") for n in range(3)]
        for t in threads:
            t.start()
        for n in ending:
            may_end[n].send_pyobj(None)
            snakefish.wait([threads[n]])
        for n in order:
            threads[n].join()
        assert (x["log"], x["last"], list(x["words"])) == (list(order), order[-1], list(order))
        results.add(repr(shape(x)))
        for channel in may_end:
            channel.dispose()
    assert len(results) == 1


def test_a_map_asks_on_conflict_in_the_order_of_the_arguments(monkeypatch):
    for concurrency in (1, 3):
        asked = []

        def ask(conflict):
            asked.append((conflict.current, conflict.child))
            return conflict.current + conflict.child

        def f(n):
            global text
            text = str(n)
        monkeypatch.setitem(SPACE, "text", "start")
        snakefish.map(f, range(4), concurrency, 1, share={"text": "either"}, on_conflict=ask)
        assert text == "0123" and asked == [("0", "1"), ("01", "2"), ("012", "3")]
