"""Plain objects are pickled without the pickle module (ext/py/message/plain.h), with the same result."""
import enum
import math
import pickle

import pytest
from hypothesis import example, given, settings, strategies as st

import snakefish

CHANNEL = snakefish.Channel(1 << 22)


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    pass


class Pair(tuple):
    pass


scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, -0.0, math.inf, "x" * 256, "x" * 257, "é", "\ud800",
                       Level.LOW, Name("n"), Pair((1, 2)), True, frozenset([1])])
)
rows = scalars | st.tuples(scalars, scalars) | st.lists(scalars).map(tuple)
things = st.recursive(
    rows,
    lambda inner: st.lists(inner) | st.dictionaries(scalars, inner) | st.tuples(inner, inner),
    max_leaves=30,
) | st.lists(st.integers(-(2**70), 2**70)) | st.lists(st.floats())


def there_and_back(thing):
    CHANNEL.send_pyobj(thing)
    return CHANNEL.receive_pyobj()


def shape(thing):
    """All that == ignores: the types of all members, the order of dicts, the sign of zeros, the bits of a nan."""
    if isinstance(thing, dict):
        return type(thing), [(shape(key), shape(value)) for key, value in thing.items()]
    if isinstance(thing, (list, tuple)):
        return type(thing), [shape(item) for item in thing]
    return type(thing), repr(thing)


@settings(max_examples=300, deadline=None)
@given(things)
@example([])
@example(())
@example({})
@example([1, 2, True])
@example([1, 2, 2**64])
@example([1.5, 2])
@example({(1, "a"): (None, -0.0)})
def test_what_comes_out_is_what_pickle_would_have_made_of_it(thing):
    assert shape(there_and_back(thing)) == shape(pickle.loads(pickle.dumps(thing)))


def test_a_list_that_stands_in_a_message_twice_is_one_list_at_the_other_end():
    inner = [1]
    out = there_and_back([inner, inner])
    out[0].append(2)
    assert out == [[1, 2], [1, 2]]


def test_a_list_in_itself_arrives():
    endless = [1]
    endless.append(endless)
    out = there_and_back(endless)
    assert out[1] is out


def test_a_long_text_that_stands_in_a_message_many_times_travels_once():
    text = "x" * 100_000
    assert there_and_back([text] * 1000) == [text] * 1000  # 100 MB into 4 MiB
    assert there_and_back({i: text for i in range(1000)}) == {i: text for i in range(1000)}


@pytest.mark.diagonal
@pytest.mark.parametrize("count", [0, 1, 30, 31, 1000, 131_071, 131_072, 200_000])
@pytest.mark.parametrize("make", [int, float, str, lambda i: (i, i)])
def test_lists_of_any_length_arrive(make, count):
    things = [make(i) for i in range(count)]
    assert there_and_back(things) == things


def test_messages_that_stand_across_the_ends_of_the_ring_arrive_whole():
    with snakefish.Channel(2048) as channel:
        for i in range(3000):
            things = list(range(i, i + i % 150))
            channel.send_pyobj(things)
            channel.send_pyobj("x" * (i % 200))
            assert channel.receive_pyobj() == things and channel.receive_pyobj() == "x" * (i % 200)


def test_plain_results_and_items_come_back_from_other_processes():
    rows_out = [(i, i / 7, str(i), None, i % 2 == 0) for i in range(5000)]
    assert snakefish.map(lambda row: row, rows_out, 2) == rows_out

    def items():
        yield from rows_out

    with snakefish.Generator(items, prefetch=10) as generator:
        generator.start()
        assert list(generator) == rows_out
