"""Which globals extract and merge get: those of the code that makes the Thread or Generator, or those it names."""
import functools
import os
import sys

import pytest

from snakefish import Generator, Thread, map

here = "this module"
total = 0

ELSEWHERE = {"__name__": "elsewhere", "here": "elsewhere", "Thread": Thread}
exec(  # another module: a library
    """
import functools
def work(change=None, *rest): return change() if callable(change) else here
def items(*a): yield here
class Callable:
    def __call__(self, *a): return here
    def method(self, *a): return here
    @classmethod
    def of_class(cls, *a): return here
    @staticmethod
    def static(*a): return here
def logged(f):
    @functools.wraps(f)
    def call(*a, **k): return f(*a, **k)
    return call
class Named(Thread):
    def __init__(self, f, *more, **keywords):
        super().__init__(f, *more, name="by the library", **keywords)
class MoreNamed(Named):
    def __init__(self, *arguments, **keywords):
        me = self
        del self  # the frame's first argument is gone: then the frame counts
        super(MoreNamed, me).__init__(*arguments, **keywords)
def make(*arguments, **keywords): return Thread(*arguments, **keywords)
""",
    ELSEWHERE,
)
E = ELSEWHERE


def globals_seen(task):
    """Runs a task made with `seen` and says in which globals extract and merge were called."""
    with task:
        task.start()
    return seen.pop()


seen = []
PAIR = (lambda g: g["here"], lambda g, extracted: seen.append((extracted, g["__name__"])))
OURS = ("this module", __name__)


@pytest.mark.parametrize("f", [
    E["work"], functools.partial(E["work"], 1), E["Callable"](), E["Callable"]().method, E["Callable"].of_class,
    E["Callable"].static, E["logged"](E["work"]), functools.lru_cache(E["work"]), os.getpid, dict, "abc".upper,
], ids=["function", "partial", "callable object", "bound method", "class method", "static method", "wraps", "lru_cache",
        "builtin", "class", "method of a builtin"])
def test_they_are_those_of_the_code_that_makes_it_whatever_f_is(f):
    assert globals_seen(Thread(f, *PAIR)) == OURS


def test_a_generators_are_those_of_the_code_that_makes_it():
    assert globals_seen(Generator(E["items"], *PAIR)) == OURS


def test_a_change_that_a_library_calls_is_merged_here():
    def change():
        global total
        total += 41

    global total
    total = 1
    with Thread(E["work"], lambda g: g["total"], lambda g, x: g.update(total=x), args=(change,)) as task:
        task.start()
    assert total == 42


def test_merge_gets_this_very_dict():
    got = []
    with Thread(int, lambda g: 1, lambda g, x: got.append(g)) as task:
        task.start()
    assert got[0] is globals()


def test_map_has_those_of_its_caller_too():
    map(E["work"], [1], 1, extract=PAIR[0], merge=PAIR[1])
    assert seen.pop() == OURS


def test_the_init_of_a_subclass_does_not_count_as_the_caller():
    assert globals_seen(E["Named"](int, *PAIR)) == OURS


def test_a_function_that_makes_it_counts_unless_it_hands_globals_on():
    assert globals_seen(E["make"](int, *PAIR)) == ("elsewhere", "elsewhere")
    assert globals_seen(E["MoreNamed"](int, *PAIR)) == ("elsewhere", "elsewhere")
    assert globals_seen(E["make"](int, *PAIR, globals=globals())) == OURS
    assert globals_seen(E["Named"](int, *PAIR, globals=E)) == ("elsewhere", "elsewhere")
    assert globals_seen(Generator(E["items"], *PAIR, globals=E)) == ("elsewhere", "elsewhere")
    assert globals_seen(Thread(int, *PAIR, globals=None)) == OURS


@pytest.mark.parametrize("wrong", [5, [], "globals"])
def test_globals_that_are_no_dict_are_refused_by_name(wrong):
    for kind, f in ((Thread, int), (Generator, E["items"])):
        for merging in ((), PAIR):
            with pytest.raises(TypeError, match="globals must be a dict"):
                kind(f, *merging, globals=wrong)


@pytest.mark.parametrize("extract, merge", [(lambda g: g["no such"], lambda g, x: None),
                                            (lambda g: 1, lambda g, x: g["no such"])], ids=["extract", "merge"])
def test_a_key_error_in_either_names_the_module_in_a_note(extract, merge):
    who = "extract" if merge.__code__.co_consts == (None,) else "merge"
    for kind, f in ((Thread, int), (Generator, E["items"])):
        for more, module in (({}, __name__), ({"globals": E}, "elsewhere")):
            with pytest.raises(KeyError) as caught:
                with kind(f, extract, merge, **more) as task:
                    task.start()
            assert caught.value.args == ("no such",)
            note, = caught.value.__notes__
            assert note.startswith(f"{who} was given the globals of module {module!r}") and "globals=" in note
            if sys.version_info >= (3, 11) and who == "extract":
                assert note in str(caught.value.__cause__)


def test_other_exceptions_get_no_note():
    with pytest.raises(ZeroDivisionError) as caught:
        with Thread(int, lambda g: 1 / 0, PAIR[1]) as task:
            task.start()
    assert not hasattr(caught.value, "__notes__")


def test_notes_that_are_there_already_stay():
    def merge(g, extracted):
        error = KeyError("mine")
        error.__notes__ = ["first"]
        raise error

    with pytest.raises(KeyError) as caught:
        with Thread(int, lambda g: 1, merge) as task:
            task.start()
    assert caught.value.__notes__[0] == "first" and len(caught.value.__notes__) == 2
