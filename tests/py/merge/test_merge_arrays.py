"""Three-way merges of numpy arrays."""
import pytest
from merging import Fork, conflict, merged, shape

from snakefish import merge

numpy = pytest.importorskip("numpy")


def put(index, value):
    return lambda v: v["x"].__setitem__(index, value)


def test_different_elements():
    base = numpy.zeros(6)
    result = merged(base, put(0, 1), put(slice(4, 6), 2))
    assert result is base and result.tolist() == [1, 0, 0, 0, 2, 2]
    assert merged(numpy.zeros((2, 3), order="F"), put((0, 1), 1), put((1, 2), 2)).tolist() == [[0, 1, 0], [0, 0, 2]]
    assert merged(numpy.zeros((4, 4))[::2, ::2], put((0, 1), 1), put((1, 1), 2)).tolist() == [[0, 1], [0, 2]]
    assert merged(numpy.array(["a", "b"]), put(0, "p"), put(1, "c")).tolist() == ["p", "c"]
    assert merged(numpy.array(5), None, put((), 7)).tolist() == 7


def test_an_element_that_both_have_changed():
    found = conflict(numpy.zeros((2, 2), int), put((1, 0), 3), put((1, 0), 4))
    assert found.place == "x[(1, 0)]" and (found.base, found.current, found.child) == (0, 3, 4)
    assert merged(numpy.zeros(3), put(1, 5), put(1, 5)).tolist() == [0, 5, 0]
    for policy, value in (("parent", 1), ("child", 2), (lambda found: 7, 7)):
        assert merged(numpy.zeros(2), put(0, 1), put(0, 2), on_conflict=policy).tolist() == [value, 0]


@pytest.mark.parametrize("rule, value", [("sum", 5), ("max", 4), ("min", 1), (min, 1), ("last", 4), ("first", 1),
                                         (lambda current, child: current * 10 + child, 14)])
def test_rules(rule, value):
    result = merged(numpy.zeros(3, int), put(1, 1), put(1, 4), share=rule)
    assert result.tolist() == [0, value, 0]


def test_many_changes_of_all_types_sum_as_one_by_one():
    for kind in ("u1", "i4", "f8", "c16"):
        source = numpy.random.default_rng(7)
        base = source.integers(0, 50, 1000).astype(kind)
        variables = {"x": base.copy()}
        forks = [Fork(variables, {"x": "sum"}) for _ in range(3)]
        expected = base.copy()
        for fork in forks:
            at, by = source.integers(0, 1000, 400), source.integers(0, 9, 400).astype(kind)
            numpy.add.at(fork.child["x"], at, by)
            numpy.add.at(expected, at, by)
        for fork in forks:
            fork.join()
        assert (variables["x"] == expected).all() and variables["x"].dtype == base.dtype


def test_nan_and_negative_zero_are_what_one_task_left():
    assert shape(merged(numpy.array([1.0, 0.0]), None, put(0, numpy.nan))) == shape(numpy.array([numpy.nan, 0.0]))
    assert numpy.signbit(merged(numpy.zeros(2), put(1, 3), put(0, -0.0)))[0]
    assert merged(numpy.array([numpy.nan, 1]), put(1, 2), None)[1] == 2


def test_arrays_in_containers_and_new_ones():
    base = {"a": numpy.zeros(3), "n": 1}
    result = merged(base, lambda v: v["x"]["a"].__setitem__(0, 1), lambda v: v["x"]["a"].__setitem__(2, 2))
    assert result["a"].tolist() == [1, 0, 2]
    assert merged(numpy.zeros(2), None, lambda v: v.update(x=v["x"] + 1)).tolist() == [1, 1]
    assert merged(numpy.zeros(2), put(0, 1), lambda v: v.update(x=v["x"] + [0, 1])).tolist() == [1, 1]
    assert conflict({}, lambda v: v["x"].update(k=numpy.zeros(2)), lambda v: v["x"].update(k=numpy.ones(2))).place == "x['k']"
    assert conflict(numpy.zeros(2), put(0, 1), lambda v: v.update(x=numpy.ones(3))).place == "x"


def test_numpy_numbers_are_numbers_and_object_arrays_merge_as_a_whole():
    assert merged(numpy.float64(1), lambda v: v.update(x=numpy.float64(3)), lambda v: v.update(x=numpy.float64(5))) == 7
    objects = numpy.array([1, "a", None], dtype=object)
    assert merged(objects, None, put(0, "c")).tolist() == ["c", "a", None]
    assert conflict(objects.copy(), put(0, "p"), put(1, "c")).place == "x"


def test_an_array_that_changes_its_shape_in_place_is_refused():
    with pytest.raises(TypeError, match="bind a new array"):
        merged(numpy.zeros(4), None, lambda v: setattr(v["x"], "shape", (2, 2)))
    with pytest.raises(TypeError, match="bind a new array"):
        merged(numpy.zeros(4), lambda v: setattr(v["x"], "shape", (2, 2)), put(0, 1))


def test_after_a_conflict_an_array_is_as_it_was():
    variables = {"a": numpy.zeros(3), "n": "b"}
    fork = Fork(variables, {"a": None, "n": "either"})
    fork.child["a"][0] = 1
    fork.child["n"], variables["n"] = "c", "p"
    with pytest.raises(merge.Conflict):
        fork.join()
    assert variables["a"].tolist() == [0, 0, 0]


def test_few_changes_of_a_large_array_are_a_small_message():
    fork = Fork({"x": numpy.zeros(100000)})
    fork.child["x"][5:9] = 1
    assert len(fork.difference()) < 800
