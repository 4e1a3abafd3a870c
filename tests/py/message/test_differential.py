"""What comes out of a Channel, a Thread, a map or a Generator is what pickle.loads(pickle.dumps(obj, 5)) gives: equal, of
the same types, and with the same objects standing in the same places."""
import copyreg
import math
import pickle
import random
import struct
import sys

import pytest
from hypothesis import given, settings, strategies as st

import snakefish

CHANNEL = snakefish.Channel(1 << 26)
SEEDS = range(40)


class Plain:
    pass


class Slotted:
    __slots__ = ("a", "b")


class Name(str):
    pass


class Bag(dict):
    pass


class Row(list):
    pass


class Pair(tuple):
    pass


def shape(thing):
    """The object as nested tuples of types, values and numbers: an object that pickle may share gets a number when it is
    met first, and is that number when it is met again. Equal shapes: equal objects, and the same ones in the same
    places."""
    numbers = {}
    kept = []  # so that no id is used twice

    def look(thing):
        kind = type(thing)
        if kind is float:
            return kind, struct.pack("d", thing)
        if thing is None or kind in (bool, int, complex) or kind is type:
            return kind, thing
        if id(thing) in numbers:
            return "met", numbers[id(thing)]
        numbers[id(thing)] = len(numbers)
        kept.append(thing)
        if isinstance(thing, dict):
            inside = [(look(key), look(value)) for key, value in thing.items()]
        elif isinstance(thing, (list, tuple)):
            inside = [look(item) for item in thing]
        elif isinstance(thing, (set, frozenset)):
            inside = sorted(map(repr, thing))
        elif isinstance(thing, (str, bytes, bytearray)):
            inside = bytes(thing) if not isinstance(thing, str) else thing.encode("utf-8", "surrogatepass")
        else:
            inside = None
        attributes = getattr(thing, "__dict__", None)
        if isinstance(thing, Slotted):
            attributes = {name: getattr(thing, name) for name in Slotted.__slots__ if hasattr(thing, name)}
        return kind, inside, look(attributes) if attributes and not isinstance(thing, type) else None

    return look(thing)


def through_channel(thing):
    CHANNEL.send_pyobj(thing)
    return CHANNEL.receive_pyobj()


def pickled(thing):
    return pickle.loads(pickle.dumps(thing, 5))


def same(received, sent):
    assert shape(received) == shape(pickled(sent))


atoms = (st.none() | st.booleans() | st.integers() | st.integers(-(2**70), 2**70) | st.floats(width=64) | st.text(max_size=4)
         | st.binary(max_size=4) | st.sampled_from([0.0, -0.0, math.nan, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), -1,
                                                    2**63 - 1, 2**63, "é", "\ud800", "x" * 255, "x" * 256, "", b"", ()]))


@st.composite
def graphs(draw):
    """Objects that contain each other, some more than once: each new one takes its members from those before."""
    made = draw(st.lists(atoms, min_size=1, max_size=4))
    for _ in range(draw(st.integers(0, 8))):
        members = draw(st.lists(st.sampled_from(made), max_size=5))
        made.append(draw(st.sampled_from([build_list, build_tuple, build_dict, build_rows]))(members))
    return made[-1] if draw(st.booleans()) else made


def build_list(members):
    return list(members)


def build_tuple(members):
    return tuple(members)


def build_dict(members):
    return {member if is_hashable(member) else i: members[-1] for i, member in enumerate(members)}


def build_rows(members):
    row = tuple(member for member in members if is_hashable(member))
    return [row, (row, row), row]


def is_hashable(thing):
    try:
        hash(thing)
    except TypeError:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(graphs())
def test_the_same_objects_stand_in_the_same_places(thing):
    same(through_channel(thing), thing)


@st.composite
def tables(draw):
    """Lists and dicts of rows, whose members come from a few objects: most of them are not given to pickle."""
    pool = draw(st.lists(atoms | st.text("ab", min_size=2, max_size=9), min_size=1, max_size=12))
    rows = pool + [tuple(draw(st.lists(st.sampled_from(pool), max_size=5))) for _ in range(draw(st.integers(0, 6)))]
    items = draw(st.lists(st.sampled_from(rows), max_size=30))
    return build_dict(items) if draw(st.booleans()) else items


@settings(max_examples=400, deadline=None)
@given(tables())
def test_the_same_objects_stand_in_the_same_places_of_a_table(thing):
    same(through_channel(thing), thing)


def random_graph(seed):
    """A larger graph, with recursion, subclasses, sets, attributes and objects without a dict."""
    source = random.Random(seed)
    made = [None, True, 1, 0, -1, 2**40, 2**80, 1.5, -0.0, math.nan, "", "a", "word", "ä" * 3, "x" * 300, b"",
            b"bytes", bytearray(b"array"), (), frozenset([1, "a"])]
    containers = []
    for _ in range(source.randrange(1, 60)):
        members = [source.choice(made) for _ in range(source.choice((0, 1, 2, 3, 4, 9)))]
        kind = source.randrange(12)
        if kind < 3:
            thing = tuple(members)
        elif kind < 5:
            thing = list(members)
        elif kind < 7:
            thing = build_dict(members)
        elif kind == 7:
            thing = {str(source.random()) for _ in range(3)}
        elif kind == 8:
            thing = Plain()
            thing.first, thing.second = members[:1], members
        elif kind == 9:
            thing = Slotted()
            thing.a = members
        elif kind == 10:
            thing = source.choice([Row, Pair])(members)
        else:
            thing = source.choice([Name("name"), Bag(a=members), "".join(map(str, range(source.randrange(20))))])
        made.append(thing)
        if isinstance(thing, (list, dict)):
            containers.append(thing)
    for thing in containers[:3]:  # recursion
        if isinstance(thing, list):
            thing.append(source.choice(made))
        else:
            thing["more"] = source.choice(made)
    return made[-source.randrange(1, 10):]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_graphs_with_recursion_and_subclasses(seed):
    thing = random_graph(seed)
    same(through_channel(thing), thing)


def test_results_of_threads_maps_and_generators():
    graphs = [random_graph(1000 + seed) for seed in range(12)]

    def one(number):
        return graphs[number]

    for number, graph in enumerate(graphs):
        with snakefish.Thread(one, args=(number,)) as task:
            task.start()
            task.join()
        same(task.get_result(), graph)
    for received, graph in zip(snakefish.map(one, range(len(graphs)), 2, chunksize=1), graphs):
        same(received, graph)
    for received, graph in zip(snakefish.imap(one, range(len(graphs)), 2), graphs):
        same(received, graph)
    with snakefish.Generator(lambda: (yield from graphs)) as generator:
        generator.start()
        for received, graph in zip(generator, graphs):
            same(received, graph)


def test_results_that_go_in_pieces():
    row = ("shared", math.nan)
    big = [row, [row] * 1000, b"x" * (3 << 20), {i: str(i) for i in range(200_000)}, row]
    received, = snakefish.map(lambda x: big, [0])
    same(received, big)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="PyPy shares small objects as it likes")
@pytest.mark.parametrize("sent", [
    [(math.nan, 1)] * 2, {"a": (math.nan, 1), "b": 1}, ["word"] * 3, ["".join(["a", "b"])] * 2, {"key": "key"},
    [("x", "y"), ("y", "x")], [1.5] * 2, [10**20] * 2, [b"bytes"] * 2, [[]] * 2, ((), ()), [{}, {}], [2**40] * 2, ["é"] * 2])
def test_what_pickle_shares_is_shared(sent):
    same(through_channel(sent), sent)


def test_strings_met_before_are_few_or_many():
    """The sender looks for a few in a list, for many in a hash table."""
    for distinct in (1, 7, 8, 9, 31, 32, 33, 1000, 5000):
        words = [f"word {i}" for i in range(distinct)]
        sent = [(word, i) for i in range(3) for word in words]
        received = through_channel(sent)
        assert received == sent and len({id(word) for word, i in received}) == distinct
        same(received, sent)
        sent = {(word, i): word for i in range(2) for word in words}
        same(through_channel(sent), sent)


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, 999, 1000, 1001, 1999, 2000, 2001, 10_000])
def test_containers_of_every_length_around_pickles_batches(count):
    for sent in (list(range(count)), [i * 2**33 for i in range(count)], [i / 3 for i in range(count)],
                 [str(i) for i in range(count)], [i if i % 2 else i / 2 for i in range(count)], [(i, "x") for i in range(count)],
                 {i: str(i) for i in range(count)}, list(range(count)) + ["end"], ["begin"] + list(range(count)),
                 tuple(range(count)), [tuple(range(count))] * 2):
        received = through_channel(sent)
        assert received == sent
        same(received, sent)


def test_a_message_has_the_size_that_pickle_says():
    """So the bytes that are written here are pickle's: its batches, frames and memo."""
    row = ("a", 1)
    for sent in (None, True, 0, 255, 256, -1, 2**31, -(2**39), 2**39, 2**63 - 1, 1.5, "", "a", "x" * 255, "x" * 256, (), (1,),
                 (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1], [None], {}, {1: 2}, {1: 2, "a": ()}, [row, row], ["a"] * 300,
                 [str(i) for i in range(300)] * 2, list(range(999)), list(range(1000)), list(range(1001)),
                 {i: i for i in range(1000)}, {i: i for i in range(2001)},
                 [i / 3 for i in range(8000)], [i / 3 for i in range(7280)], [i / 3 for i in range(7281)],
                 [("x" * 100, i) for i in range(5000)], ["%09d" % i for i in range(20_000)], [2**40 + i for i in range(30_000)],
                 ["x" * 60_000 + str(i) for i in range(8)]):
        size = len(pickle.dumps(sent, 5))
        with snakefish.Channel(size) as channel:
            channel.send_pyobj(sent)
            assert channel.receive_pyobj() == sent
        if size > 4:
            with snakefish.Channel(size - 1) as channel, pytest.raises(OverflowError, match=f"has {size} bytes"):
                channel.send_pyobj(sent)


def test_reducers_of_copyreg_are_called():
    try:
        copyreg.pickle(Plain, lambda plain: (str, ("reduced",)))
        assert through_channel([Plain()]) == ["reduced"]
    finally:
        del copyreg.dispatch_table[Plain]
