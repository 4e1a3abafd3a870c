"""map: numbers among arguments and results. They travel as arrays, and workers copy them; nobody sees that."""
import math

import pytest

import snakefish

EDGES = [0, 1, -1, 255, 256, 2**15, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, -(2**63)]


class Int(int):
    pass


def same(x):
    return x


@pytest.mark.diagonal
@pytest.mark.parametrize("values", [
    EDGES,
    [*EDGES, 2**63, -(2**63) - 1, 2**200],  # these fit into no array
    [1, 2, True, 3, False],
    [1, 2.5, 3, -0.0, math.inf],
    [1, "text", 2, None, 3],
    [Int(5), 6, 7],
], ids=["64 bits", "more", "bools", "floats", "others", "subclass"])
@pytest.mark.parametrize("copies", [1, 500])
def test_each_number_comes_back_as_what_it_was(values, copies):
    for chunksize in (0, 3):
        results = snakefish.map(lambda i: values[i % len(values)], range(len(values) * copies), 2, chunksize)
        assert results == values * copies
        assert [type(x).__name__ for x in results] == [type(x).__name__ for x in values * copies]


def test_arguments_are_what_the_program_has_of_every_kind():
    values = [*EDGES, 2**200, 1.5, True, "text", (1, 2)]
    assert snakefish.map(repr, values, 2) == list(map(repr, values))
    assert snakefish.map(repr, tuple(values), 2) == list(map(repr, values))


def test_a_nan_is_the_one_that_the_program_has():
    nan = math.nan
    assert snakefish.map(lambda x: x is nan, [nan, 1.0, nan], 2) == [True, False, True]


def test_what_is_raised_after_ints_leaves_those_before_it():
    def f(x):
        if x == 1000:
            raise ValueError(x)
        return x

    with pytest.raises(ValueError, match="1000"):
        snakefish.map(f, range(3000), 2)
    got = []
    with pytest.raises(ValueError, match="1000"):
        for value in snakefish.imap(f, range(3000), 2, 100):
            got.append(value)
    assert got == list(range(1000))


def test_many_ints_are_as_many_and_in_order():
    assert snakefish.map(lambda x: x * x, range(300_000), 2) == [x * x for x in range(300_000)]
    assert snakefish.map(lambda x: x * x, list(range(300_000)), 3) == [x * x for x in range(300_000)]


def test_a_nested_map_in_the_midst_of_a_block_has_results_of_its_own():
    def outer(x):
        return sum(snakefish.map(same, range(x), 2)) if x % 50 == 0 else x

    assert snakefish.map(outer, range(200), 2) == [sum(range(x)) if x % 50 == 0 else x for x in range(200)]


def test_maps_of_an_executor_give_the_same():
    values = [*EDGES, 2**200, 1.5, True, "text", None]
    with snakefish.Executor(2) as executor:
        for chunksize in (0, 1, 4):
            results = list(executor.map(same, values * 20, chunksize=chunksize))
            assert results == values * 20 and [type(x) for x in results] == [type(x) for x in values * 20]
        assert list(executor.map(pow, [2] * 50, range(50))) == [2**x for x in range(50)]
        assert list(executor.map(same, [[1], [], [2, 3]])) == [[1], [], [2, 3]]
        assert list(executor.map(sum, [[1], [], [2, 3]], chunksize=2)) == [1, 0, 5]
