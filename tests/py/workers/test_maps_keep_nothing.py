"""What map and imap keep: nothing that they have handed out, and after their end nothing at all."""
import gc
import weakref

import pytest
import snakefish
from conftest import PYPY

IMAPS = [snakefish.imap, snakefish.imap_unordered]


class Thing:
    def __init__(self, number=0):
        self.number = number


def collected(*references):
    for _ in range(3 if PYPY else 1):
        gc.collect()
    return [reference() is None for reference in references] == [True] * len(references)


@pytest.mark.parametrize("imap", IMAPS)
@pytest.mark.parametrize("chunksize", [1, 3])
def test_imap_keeps_no_result_that_it_has_handed_out(imap, chunksize):
    with imap(Thing, range(9), 2, chunksize) as it:
        for _ in range(9):
            result = next(it)
            kept = weakref.ref(result)
            del result
            assert collected(kept)


@pytest.mark.parametrize("imap", IMAPS)
@pytest.mark.parametrize("chunksize", [1, 3])
def test_imap_keeps_no_argument_whose_result_is_here(imap, chunksize):
    references = []

    def arguments():
        for i in range(12):
            thing = Thing(i)
            references.append(weakref.ref(thing))
            yield thing
            del thing

    with imap(lambda thing: thing.number, arguments(), 2, chunksize) as it:
        assert sorted(it) == list(range(12))
        assert len(references) == 12 and collected(*references)


@pytest.mark.parametrize("imap", IMAPS)
@pytest.mark.parametrize("end", ["exhausted", "closed", "raised"])
def test_an_imap_that_has_ended_keeps_neither_function_nor_arguments(imap, end):
    class Arguments:
        def __iter__(self):
            return iter([1, 2, 3])

    def f(x):
        if end == "raised":
            raise ValueError(x)
        return x

    arguments = Arguments()
    references = [weakref.ref(f), weakref.ref(arguments)]
    it = imap(f, arguments, 2)
    del f, arguments
    if end == "exhausted":
        assert sorted(it) == [1, 2, 3]
    elif end == "closed":
        next(it)
        it.close()
    else:
        with pytest.raises(ValueError):
            next(it)
    assert collected(*references)
    assert list(it) == []


@pytest.mark.parametrize("imap", IMAPS)
def test_an_exception_of_imap_keeps_no_frame(imap):
    def fail(x):
        raise ValueError(x)
    its = [imap(fail, [1], 1)]
    if not PYPY:  # it keeps what another thread has raised
        its.append(imap(int, iter(lambda: [][1], None), 1))

    def ask(it):
        local = Thing()
        with pytest.raises((ValueError, IndexError)):
            next(it)
        return weakref.ref(local)

    assert collected(*map(ask, its))


def test_map_keeps_neither_its_function_nor_arguments_nor_results():
    def f(thing):
        return Thing(-thing.number)
    things = [Thing(i) for i in range(7)]
    references = [weakref.ref(one) for one in (f, *things)]
    results = snakefish.map(f, things, 2)
    references += [weakref.ref(one) for one in results]
    assert [one.number for one in results] == [-i for i in range(7)]
    del f, things, results
    assert collected(*references)


def test_a_map_that_raises_keeps_nothing():
    def f(thing):
        raise ValueError(thing.number)
    things = [Thing(i) for i in range(3)]
    references = [weakref.ref(one) for one in (f, *things)]
    with pytest.raises(ValueError):
        snakefish.map(f, things, 2)
    del f, things
    assert collected(*references)


def test_a_map_that_merges_keeps_nothing():
    extracted = []

    def extract(g):
        return Thing(1)

    def merge(g, thing):
        extracted.append(weakref.ref(thing))
    references = [weakref.ref(one) for one in (extract, merge)]
    snakefish.map(abs, range(4), extract, merge, 2, 1)
    del extract, merge
    assert len(extracted) == 4 and collected(*references, *extracted)


def test_a_worker_keeps_no_argument_and_no_result_of_an_earlier_chunk():
    """Arguments are unpickled in the worker, one for each chunk."""
    made = []

    def f(thing):
        before = sum(reference() is not None for reference in made)
        result = Thing(before)
        made.extend((weakref.ref(thing), weakref.ref(result)))
        return result

    with snakefish.imap(f, (Thing(i) for i in range(8)), 1) as it:
        alive = [one.number for one in it]
    assert max(alive) <= (16 if PYPY else 0), alive
