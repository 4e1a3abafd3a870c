"""What cannot be pickled or unpickled is told with its argument's number, in every form, and loses nothing that is good."""
import os
import pickle
import re
import threading

import pytest
from conftest import children
from snakefish import ChildDied, imap, imap_unordered, map as parallel_map, starmap

NOTHING = {"extract": lambda g: None, "merge": lambda g, extracted: None}
MAPS = {
    "map": lambda f, args, *more: parallel_map(f, args, *more),
    "starmap": lambda f, args, *more: starmap(f, [(x,) for x in args], *more),
    "merge": lambda f, args, *more: parallel_map(f, args, *more, **NOTHING),
    "starmap merge": lambda f, args, *more: starmap(f, [(x,) for x in args], *more, **NOTHING),
    "rounds": lambda f, args, *more: parallel_map(f, args, *more, **NOTHING, rounds=True),
}
IMAPS = {"imap": imap, "imap_unordered": imap_unordered}
EVERY_MAP = pytest.mark.parametrize("form", MAPS)
EVERY_IMAP = pytest.mark.parametrize("form", IMAPS)
CHUNKS = pytest.mark.parametrize("chunksize", [1, 2, 7, 1000])


class Bad:
    """Unpickles by raising."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return explode, (self.error,)


def explode(error):
    raise error


class Point:
    """Is pickled by pickle, rather than as a plain object."""

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Point and self.x == other.x


@pytest.mark.diagonal
@EVERY_MAP
@pytest.mark.parametrize("chunksize", [0, 1, 7])
def test_a_result_of_map_that_cannot_be_pickled_names_its_argument(form, chunksize):
    before = children()
    is_cut_by_workers = chunksize == 0 and form in ("map", "starmap")
    of_chunk = "" if is_cut_by_workers else r", of chunk \d+, arguments \d+ to \d+"
    with pytest.raises(ChildDied, match=rf"its result for argument 17{of_chunk} \([^()]*lock\) cannot be pickled"):
        MAPS[form](lambda n: threading.Lock() if n == 17 else Point(n), range(40), 2, chunksize)
    assert children() == before


@EVERY_MAP
def test_an_exception_of_map_that_cannot_be_pickled_names_its_argument(form):
    class Unpicklable(Exception):
        """Nobody can find this class by its name."""

    def work(n):
        if n == 17:
            raise Unpicklable(n)

    with pytest.raises(ChildDied, match="its result for argument 17, .*Unpicklable.* cannot be pickled") as caught:
        MAPS[form](work, range(40), 2, 10)
    assert "in work" in str(caught.value.__cause__)


@pytest.mark.diagonal
@EVERY_MAP
@CHUNKS
def test_a_result_of_map_that_cannot_be_unpickled_names_its_argument(form, chunksize):
    with pytest.raises(ChildDied, match="its result for argument 17, of chunk .* cannot be unpickled: not here") as caught:
        MAPS[form](lambda n: Bad(ValueError("not here")) if n in (17, 18) else Point(n), range(40), 2, chunksize)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("rounds", [False, True])
def test_what_was_extracted_and_cannot_be_pickled_or_unpickled_names_its_chunk(rounds):
    for value, words in ((threading.Lock(), "pickled"), (Bad(ValueError("not here")), "unpickled: not here")):
        with pytest.raises(ChildDied, match=f"what it extracted after chunk 0, arguments 0 to 1.* cannot be {words}"):
            parallel_map(abs, range(6), 2, 2, extract=lambda g: value, merge=lambda g, extracted: None, rounds=rounds)


@pytest.mark.parametrize("rounds", [False, True])
@pytest.mark.parametrize("at", ["f", "extract"])
def test_a_death_in_map_with_merge_says_where(rounds, at):
    def work(n):
        if n == 3 and at == "f":
            os._exit(3)

    def take(g):
        os._exit(4)

    words = "3 at argument 3 .*its results for" if at == "f" else "4 before it had sent what it extracted after chunk 0"
    with pytest.raises(ChildDied, match=words):
        parallel_map(work, range(6), 2, 3, extract=take if at == "extract" else lambda g: None,
                     merge=lambda g, extracted: None, rounds=rounds)


@pytest.mark.diagonal
@EVERY_IMAP
@CHUNKS
@pytest.mark.parametrize("what", ["pickled", "unpickled"])
def test_a_bad_result_of_imap_names_its_argument_and_loses_none_before_it(form, chunksize, what):
    def work(n):
        if n != 17:
            return Point(n)
        return threading.Lock() if what == "pickled" else Bad(ValueError("not here"))

    got, before = [], children()
    with pytest.raises((ChildDied, ValueError)) as caught:
        for result in IMAPS[form](work, range(40), 1, chunksize):
            got.append(result)
    assert got[:17] == [Point(n) for n in range(17)] and Point(17) not in got
    said = " ".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert re.search(rf"argument 17 (\(.*lock\) )?cannot be {what}", said)
    assert children() == before


@pytest.mark.diagonal
@EVERY_IMAP
@CHUNKS
def test_a_bad_argument_of_imap_is_named_and_the_results_before_it_come(form, chunksize):
    for bad, error, words in ((threading.Lock(), (TypeError, pickle.PicklingError), "argument 17 cannot be pickled"),
                              (Bad(ValueError("not there")), ValueError, "argument 17 cannot be unpickled in the worker")):
        got, before = [], children()
        arguments = [*map(Point, range(17)), bad, *map(Point, range(18, 40))]
        with pytest.raises(error) as caught:
            for result in IMAPS[form](lambda point: point.x, arguments, 2, chunksize):
                got.append(result)
        assert sorted(got)[:17] == list(range(17)) or form == "imap_unordered" and bad.__class__ is Bad
        assert caught.value.__notes__ == [words] and children() == before


def test_results_in_one_list_may_refer_to_one_another_and_the_good_ones_still_do():
    shared = [Point(5)]

    def work(n):
        return Bad(ValueError("not here")) if n == 1500 else (shared, (n,))

    got = []
    with pytest.raises(ValueError):
        for result in imap(work, range(3000), 1, 3000):
            got.append(result)
    assert [n for _, (n,) in got] == list(range(1500))
    assert all(one is got[0][0] for one, _ in got)


def test_arrays_before_a_bad_result_come_whole():
    numpy = pytest.importorskip("numpy")

    def work(n):
        return Bad(ValueError("not here")) if n == 7 else numpy.full(50_000, n)

    got = []
    with pytest.raises(ValueError, match="not here"):
        for result in imap(work, range(10), 1, 10):
            got.append(result)
    assert [int(array.sum()) for array in got] == [50_000 * n for n in range(7)]


def test_a_large_list_that_does_not_open_is_opened_result_by_result():
    def work(n):
        return Bad(ValueError("not here")) if n == 30 else "x" * 100_000 + str(n)

    got = []
    with pytest.raises(ValueError, match="not here"):
        for result in imap(work, range(50), 1, 50):
            got.append(len(result))
    assert got == [100_001] * 10 + [100_002] * 20


@pytest.mark.parametrize("pickler", ["Pickler", "_Pickler"])
def test_any_list_can_be_opened_item_by_item(pickler):
    import io
    import random

    from snakefish._block import open_singly

    chance = random.Random(8)

    def some(depth=0):
        kind = chance.randrange(5, 11) if depth < 1 else chance.randrange(11 if depth < 4 else 5)
        if kind < 5:
            size = 70_000 if depth < 2 and not chance.randrange(200) else 5
            return [chance.randrange(10 ** 9), str(chance.random()), None, chance.random(), bytes(size)][kind]
        items = [some(depth + 1) for _ in range(chance.randrange(5))]
        return [items, tuple(items), dict(enumerate(items)), Point(items), {1, "a"}, (items, items)][kind - 5]

    def pickled(items):
        file = io.BytesIO()
        getattr(pickle, pickler)(file, pickle.HIGHEST_PROTOCOL).dump(items)
        return file.getvalue()

    for count in (0, 1, 2, 3, 5, 50, 999, 1000, 1001):
        items = [some(2 if count > 50 else 0) for _ in range(count)]
        items += items[:1]
        opened, error = open_singly(pickled(items))
        assert opened == items and error is None
        assert not items or opened[0] is opened[-1]
        for bad in {0, count // 2, count}:
            opened, error = open_singly(pickled(items[:bad] + [(1, [Bad(KeyError(7))])] + items[bad:]))
            assert opened == items[:bad] and type(error) is KeyError


class OnceBad:
    """Raises when it is pickled for the first time."""

    calls = 0

    def __reduce__(self):
        OnceBad.calls += 1
        if OnceBad.calls == 1:
            raise InterruptedError("from elsewhere")
        return int, (7,)


@pytest.mark.parametrize("form", ["map", "imap"])
def test_what_pickling_raises_and_is_not_about_the_results_is_raised_too(form):
    got = []
    with pytest.raises(InterruptedError, match="from elsewhere"):
        if form == "map":
            parallel_map(lambda n: OnceBad(), range(4), 1, 4, **NOTHING)
        else:
            for result in imap(lambda n: OnceBad(), range(4), 1, 2):
                got.append(result)
    assert got == ([7] if form == "imap" else [])  # it takes the place of the last one
