"""Exceptions of a child come out in the parent with their class, args and attributes, from everything that runs one."""
import builtins
import threading

import pytest
from conftest import PYPY

import snakefish
from snakefish import ChildDied, Generator, Thread

Group = getattr(builtins, "ExceptionGroup", None)  # from Python 3.11 on


def by_thread(f):
    with Thread(f) as task:
        task.start()
    task.get_result()


def by_extract(f):
    with Thread(int, lambda g: f(), lambda g, extracted: None) as task:
        task.start()


def by_generator(f):
    def items():
        yield f()

    with Generator(items) as items:
        items.start()
        items.next()


def by_map(f):
    snakefish.map(lambda x: f(), [1, 2], 2)


def by_merging_map(f):
    snakefish.map(lambda x: f(), [1, 2], 2, extract=lambda g: None, merge=lambda g, extracted: None)


def by_imap(f):
    list(snakefish.imap(lambda x: f(), [1, 2], 2))


ways = pytest.mark.parametrize("way", [by_thread, by_extract, by_generator, by_map, by_merging_map, by_imap])


class Refused(Exception):
    """Hands on other arguments than it takes."""

    def __init__(self, what, why):
        super().__init__(f"{what}: {why}")
        self.what, self.why = what, why


class KeywordOnly(Exception):
    def __init__(self, *, code):
        self.code = code


class OfAnObject(LookupError):
    def __init__(self, response):
        super().__init__(f"status {response.imag}")
        self.status = response.imag


class WithNew(ValueError):
    def __new__(cls, a, b):
        return super().__new__(cls, a)

    def __init__(self, a, b):
        super().__init__(a)
        self.both = a, b


class NoSuchFile(OSError):
    def __init__(self, path):
        super().__init__(2, "not there", path)
        self.path = path


class TakesLess(Exception):
    """Its __init__ takes its own args, and makes others of them."""

    def __init__(self, what, why="for no reason"):
        super().__init__(f"{what} {why}")


class OwnWay(Exception):
    def __init__(self, a, b):
        super().__init__("of the class")
        self.both = a, b

    def __reduce__(self):
        return remake_own_way, self.both


def remake_own_way(a, b):
    return OwnWay(a, b + 1)


CASES = [
    (lambda: Refused("door", "locked"), {"what": "door", "why": "locked", "args": ("door: locked",)}),
    (lambda: KeywordOnly(code=7), {"code": 7, "args": ()}),
    (lambda: OfAnObject(3j), {"status": 3.0, "args": ("status 3.0",)}),
    (lambda: WithNew(1, 2), {"both": (1, 2), "args": (1,)}),
    (lambda: NoSuchFile("/nowhere"), {"path": "/nowhere", "errno": 2, "strerror": "not there", "filename": "/nowhere"}),
    (lambda: TakesLess("door", "locked"), {"args": ("door locked",)}),
    (lambda: OwnWay(1, 2), {"both": (1, 3)}),
    (lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), {"object": b"\xff", "end": 1, "reason": "bad"}),
    (lambda: StopAsyncIteration(5), {"args": (5,)}),
]


@pytest.mark.diagonal
@ways
@pytest.mark.parametrize("make, attributes", CASES, ids=[type(make()).__name__ for make, _ in CASES])
def test_an_exception_comes_out_with_its_class_its_args_and_its_attributes(way, make, attributes):
    def f():
        raise make()

    kind = type(make())
    with pytest.raises(kind) as caught:
        way(f)
    assert caught.type is kind
    assert {name: getattr(caught.value, name) for name in attributes} == attributes
    assert type(caught.value.__cause__).__name__ == "RemoteTraceback" and "in f" in str(caught.value.__cause__)


@pytest.mark.skipif(Group is None, reason="before Python 3.11 there are no groups and no notes")
@ways
def test_groups_and_notes_come_out_whole(way):
    def f():
        inner = Refused("door", "locked")
        inner.add_note("knock first")
        raise Group("two", [inner, Group("one", [WithNew(1, 2)])])

    with pytest.raises(Group) as caught:
        way(f)
    refused, group = caught.value.exceptions
    assert (type(refused), refused.why, refused.__notes__) == (Refused, "locked", ["knock first"])
    assert group.exceptions[0].both == (1, 2) and caught.value.message == "two"


@ways
def test_an_attribute_that_cannot_be_pickled_stays_in_the_child_and_the_traceback_says_so(way):
    def f():
        error = Refused("door", "locked")
        error.lock, error.inner = threading.Lock(), WithNew(1, 2)
        error.inner.held = lambda: 1
        raise error

    with pytest.raises(Refused) as caught:
        way(f)
    assert (caught.value.why, caught.value.inner.both) == ("locked", (1, 2))
    assert not hasattr(caught.value, "lock") and not hasattr(caught.value.inner, "held")
    for name in ("lock", "held"):
        assert f"(its attribute '{name}' stayed in the child: " in str(caught.value.__cause__)


@ways
def test_an_exception_that_cannot_be_pickled_without_an_attribute_either_is_child_died(way):
    class Local(Exception):
        pass

    def f(exception):
        raise exception

    for exception, words in ((Local(), "Local.*cannot be pickled"), (Refused("door", lambda: 1), None),
                             (ValueError(lambda: 1), "ValueError.*cannot be pickled")):
        with pytest.raises(ChildDied if words else Refused, match=words) as caught:
            way(lambda: f(exception))
        assert "in f" in str(caught.value.__cause__)


class NotMadeHere(Exception):
    def __reduce__(self):
        return refuse, ()


def refuse():
    raise LookupError("not here")


@ways
def test_an_exception_that_cannot_be_made_again_is_child_died_with_the_reason(way):
    def f():
        raise NotMadeHere("door")

    with pytest.raises(ChildDied, match="NotMadeHere.*cannot be unpickled here: .*not here") as caught:
        way(f)
    assert "in f" in str(caught.value.__cause__)


class Slow(Exception):
    """Its class is called for it, which something interrupts."""

    interruption = None

    def __init__(self, *args):
        super().__init__(*args)
        if Slow.interruption is not None:
            raise Slow.interruption


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, RecursionError])
def test_what_interrupts_the_making_of_an_exception_comes_out_and_the_exception_after_it(interruption):
    def f():
        raise Slow("of f")

    task = Thread(f)
    task.start()
    task.join()
    Slow.interruption = interruption
    try:
        with pytest.raises(interruption):
            task.get_result()
    finally:
        Slow.interruption = None
    for _ in range(2):
        with pytest.raises(Slow, match="of f"):
            task.get_result()


@pytest.mark.skipif(PYPY, reason="PyPy frees when it likes")
def test_pickling_an_exception_keeps_no_reference_to_it():
    import gc
    import weakref

    from snakefish import _exceptions

    error = Refused("door", "locked")
    error.lock = threading.Lock()
    assert "lock" in _exceptions.pickle_exception(error)[1]
    gone = weakref.ref(error)
    del error
    gc.collect()
    assert gone() is None


def test_an_exception_whose_attributes_lead_back_to_it_travels_without_those_that_cannot():
    """Each of them is tried by itself, and must not be tried again on the way."""
    def f():
        error = LookupError("words")
        for name in "abcdefgh":
            setattr(error, name, error if name < "e" else [error, name])
        error.lock = threading.Lock()
        raise error

    with Thread(f) as task:
        task.start()
        task.join(timeout=20)
    with pytest.raises(LookupError, match="words") as caught:
        task.get_result()
    error = caught.value
    assert error.a is error and error.h[0] is error and not hasattr(error, "lock")
    assert "'lock' stayed in the child" in str(error.__cause__)
