"""map's extract and merge get the globals() of the code that calls map, whatever f is, or the dict globals=."""
import functools

import pytest
from conftest import PYPY

import snakefish
from snakefish import starmap

parallel_map = snakefish.map
BOTH_WAYS = pytest.mark.parametrize("rounds", [False, True])
hits = 0


def hit(n):
    global hits
    hits = n


def take(g):
    return g["hits"]


def put(g, extracted):
    g["hits"] += extracted


@pytest.fixture(autouse=True)
def from_zero():
    global hits
    hits = 0


class Library:
    """A module with functions that call what they are given."""

    def __init__(self):
        self.globals = {"functools": functools, "map": parallel_map, "__name__": "a_library"}
        exec("def call(f, *args): return f(*args)\n"
             "def logged(f):\n"
             "    @functools.wraps(f)\n"
             "    def wrapper(*args): return f(*args)\n"
             "    return wrapper\n"
             "def map_for(*args, **more): return map(*args, **more)", self.globals)

    def __getattr__(self, name):
        return self.globals[name]


library = Library()


@pytest.mark.diagonal
@BOTH_WAYS
@pytest.mark.parametrize("f", [hit, library.logged(hit), functools.partial(library.call, hit), lambda n: hit(n)],
                         ids=["own", "wrapped", "library", "lambda"])
def test_they_are_those_of_the_code_that_calls_map_whatever_f_is(f, rounds):
    parallel_map(f, [1, 2, 3, 4], 2, 1, extract=take, merge=put, rounds=rounds)
    assert hits == 10
    starmap(f, [(1,), (2,)], take, put, 2, 1, rounds=rounds)
    assert hits == 13


@pytest.mark.skipif(PYPY, reason="PyPy's partial is Python code, and so it is the caller")
def test_what_is_called_through_partial_changes_nothing():
    functools.partial(parallel_map, hit)([1, 2], 2, 1, extract=take, merge=put)
    assert hits == 3


def test_a_library_that_wraps_map_says_which():
    with pytest.raises(KeyError):
        library.map_for(hit, [1, 2], extract=take, merge=put)
    library.map_for(hit, [1, 2], 2, 1, extract=take, merge=put, globals=globals())
    assert hits == 3


def test_another_dict_may_be_given():
    mine = {"hits": 0}

    def count(n):
        mine["hits"] = n

    parallel_map(count, [1, 2, 3], 2, 1, extract=take, merge=put, globals=mine)
    assert mine == {"hits": 6} and hits == 0
    with pytest.raises(TypeError, match="globals must be a dict"):
        parallel_map(count, [1], extract=take, merge=put, globals=[])


@BOTH_WAYS
@pytest.mark.parametrize("extract,merge,who", [
    (lambda g: g["missing"], put, "extract"), (take, lambda g, extracted: g["missing"], "merge")])
def test_a_key_error_gets_a_note_that_names_the_module(extract, merge, who, rounds):
    with pytest.raises(KeyError) as caught:
        parallel_map(hit, [1], extract=extract, merge=merge, rounds=rounds)
    notes = " ".join(caught.value.__notes__)
    assert who in notes and repr(__name__) in notes
