"""A Thread or Generator that is joined or disposed keeps nothing of its call, only what came of it."""
import gc
import weakref

import pytest
import snakefish
from conftest import PYPY


class Thing:
    def __call__(self, *_):
        return 5


class Globals(dict):
    pass


def collected(*references):
    for _ in range(3 if PYPY else 1):
        gc.collect()
    return [reference() is None for reference in references] == [True] * len(references)


def make(cls):
    """A Thread or Generator, and weak references to all that it was made of."""
    if cls is snakefish.Generator:
        def f(*args, **kwargs):
            yield 5
    else:
        def f(*args, **kwargs):
            return 5
    parts = [f, Thing(), Thing(), Thing(), Thing(), Globals()]
    task = cls(f, parts[3], parts[4], args=(parts[1],), kwargs={"key": parts[2]}, globals=parts[5])
    return task, [weakref.ref(part) for part in parts]


CLASSES = [snakefish.Thread, snakefish.Generator]
ENDS = {
    "join": lambda t: t.join(),
    "try_join": lambda t: [None for _ in iter(t.try_join, True)],
    "with": lambda t: t.__exit__(None, None, None),
    "join_and_dispose": lambda t: (t.join(), t.dispose()),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("cls", CLASSES)
def test_a_joined_one_keeps_nothing_of_its_call(cls, end):
    task, parts = make(cls)
    task.start()
    assert not any(part() is None for part in parts)
    ENDS[end](task)
    assert collected(*parts)
    assert task.get_exit_status() == 0 and task.name in repr(task)
    task.join()
    if cls is snakefish.Thread:
        assert task.get_result() == 5


@pytest.mark.parametrize("cls", CLASSES)
def test_a_disposed_one_keeps_nothing_of_its_call_started_or_not(cls):
    task, parts = make(cls)
    task.dispose()
    assert collected(*parts)
    with pytest.raises(RuntimeError, match="dispose"):
        task.start()
    task, parts = make(cls)
    task.start()
    task.kill()
    task.dispose()
    assert collected(*parts)


@pytest.mark.parametrize("cls", CLASSES)
def test_one_that_is_not_joined_keeps_its_call(cls):
    task, parts = make(cls)
    assert not any(part() is None for part in parts)
    task.start()
    if cls is snakefish.Generator:
        assert task.next() == 5
    assert not any(part() is None for part in parts)
    task.join()
    with pytest.raises(RuntimeError, match="once"):
        task.__init__(lambda: (yield))


def test_a_merge_that_raises_is_dropped_too():
    def merge(g, extracted):
        raise KeyError("no")
    t = snakefish.Thread(int, lambda g: 1, merge)
    kept = weakref.ref(merge)
    del merge
    t.start()
    with pytest.raises(KeyError):
        t.join()
    assert collected(kept)


def test_what_is_dropped_may_call_the_task_and_the_exception_of_merge_comes_through():
    seen = []

    class Last:
        def __del__(self):
            seen.append((t.get_exit_status(), t.get_result(), t.is_alive()))
            t.join()

    def merge(g, extracted):
        raise KeyError("mine")

    t = snakefish.Thread(lambda last: 7, lambda g: 1, merge, args=(Last(),))
    t.start()
    with pytest.raises(KeyError, match="mine"):
        t.join()
    collected()
    assert seen == [(0, 7, False)]


def test_an_exception_that_was_raised_keeps_no_frame_of_who_asked_for_it():
    t = snakefish.Thread(lambda: [][1])
    t.start()
    t.join()

    def ask():
        local = Thing()
        try:
            t.get_result()
        except IndexError as error:
            assert "list index out of range" in str(error) and "remote" not in str(error)
            return weakref.ref(local)

    references = [ask() for _ in range(3)]
    assert collected(*references)
    with pytest.raises(IndexError) as again:
        t.get_result()
    assert "IndexError" in str(again.value.__cause__) and len(again.traceback) == 1
    assert "raised IndexError" in repr(t)


def test_a_generator_keeps_no_item_and_no_exception():
    def items():
        yield Thing()
        yield Thing()
        raise ValueError("at the end")

    with snakefish.Generator(items) as g:
        g.start()
        for _ in range(2):
            item = g.next()
            kept = weakref.ref(item)
            del item
            assert collected(kept)

        def ask():
            local = Thing()
            with pytest.raises(ValueError):
                g.next()
            return weakref.ref(local)
        assert collected(ask())
