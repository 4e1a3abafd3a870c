"""The arguments of map, starmap, imap and imap_unordered: defaults, and errors that say what to write."""
import pytest

import snakefish
from snakefish import imap, imap_unordered, starmap

parallel_map = snakefish.map
FORMS = {"map": (parallel_map, abs, [-1, 2]), "starmap": (starmap, pow, [(1, 2), (2, 1)]), "imap": (imap, abs, [-1, 2]),
         "imap_unordered": (imap_unordered, abs, [-1, 2])}
ALL = pytest.mark.parametrize("form", FORMS)


def call(form, *more, **keywords):
    function, f, args = FORMS[form]
    return sorted(function(f, args, *more, **keywords))


@ALL
def test_none_is_the_default(form):
    assert call(form, None, None) == call(form, None) == call(form, concurrency=None, chunksize=None) == [1, 2]
    assert call(form, None, 2) == call(form, 2, None) == [1, 2]


@pytest.mark.parametrize("form", ["map", "starmap"])
def test_none_for_everything_is_either_form(form):
    assert call(form, None, None, None, None) == call(form, None, None, 2, 1) == [1, 2]
    assert call(form, extract=None, merge=None, concurrency=None, progress=None, globals=None) == [1, 2]


@ALL
@pytest.mark.parametrize("name,value,error,words", [
    ("concurrency", 4 / 2, TypeError, "concurrency must be an int, not float: write //"),
    ("chunksize", 4 / 2, TypeError, "chunksize must be an int, not float: write //"),
    ("concurrency", "2", TypeError, "concurrency must be an int, not str"),
    ("concurrency", True, TypeError, "concurrency must be an int, not the bool True"),
    ("chunksize", False, TypeError, "chunksize must be an int, not the bool False"),
    ("concurrency", -1, ValueError, "concurrency must be at least 0"),
    ("chunksize", -1, ValueError, "chunksize must be at least"),
    ("concurrency", 10 ** 30, ValueError, "concurrency is too large")])
def test_a_wrong_count_is_refused_by_name(form, name, value, error, words):
    with pytest.raises(error, match=words):
        call(form, **{name: value})
    if name == "concurrency" and form in ("map", "starmap") and type(value) in (str, float):  # it may be extract too
        words = "third argument is concurrency, an int, or extract"
    with pytest.raises(error, match=words):
        call(form, *([value] if name == "concurrency" else [1, value]))


@pytest.mark.parametrize("form", ["map", "starmap"])
def test_half_of_an_even_number_is_a_float_and_the_sentence_says_what_to_write(form):
    with pytest.raises(TypeError, match="third argument is concurrency, an int, or extract, a callable, not float: write //"):
        call(form, 4 / 2)


@ALL
def test_large_counts_are_no_more_than_there_are_arguments(form):
    assert call(form, 10 ** 15, 10 ** 18) == [1, 2]


def test_several_iterables_as_for_the_builtin_are_told_of_starmap_and_zip():
    for give in (parallel_map, starmap):
        with pytest.raises(TypeError, match=r"starmap\(f, zip\(a_values, b_values\)\)"):
            give(pow, [1, 2], [3, 4])
        with pytest.raises(TypeError, match="one iterable"):
            give(pow, [1, 2], [3, 4], [5, 6])
    for give in (imap, imap_unordered):
        with pytest.raises(TypeError, match="zip"):
            give(pow, [1, 2], iter([3, 4]))


@ALL
@pytest.mark.parametrize("theirs,ours", [("func", "f"), ("fn", "f"), ("iterable", "args"), ("processes", "concurrency"),
                                         ("max_workers", "concurrency")])
def test_names_that_other_libraries_use_are_told_what_they_are_here(form, theirs, ours):
    function, f, args = FORMS[form]
    given = {"f": f, "args": args, theirs: 1}
    with pytest.raises(TypeError, match=f"no argument '{theirs}': here it is {ours}"):
        function(**given)


@ALL
def test_f_that_cannot_be_called(form):
    function, f, args = FORMS[form]
    with pytest.raises(TypeError, match="f must be callable, not list: f is the first argument, args the second"):
        function(args, f)
    with pytest.raises(TypeError, match="f must be callable, not str"):
        function("abs", args)


@ALL
def test_missing_and_unknown_arguments(form):
    function, f, _ = FORMS[form]
    with pytest.raises(TypeError, match="args"):
        function(f)
    with pytest.raises(TypeError, match="'f'"):
        function()
    with pytest.raises(TypeError, match="args must be an iterable, not int"):
        function(f, 5)
    with pytest.raises(TypeError, match="nonsense"):
        function(f, [], nonsense=1)


@pytest.mark.parametrize("kind", [snakefish.Thread, snakefish.Generator])
def test_target_is_f_and_the_sentence_says_how_arguments_are_given(kind):
    with pytest.raises(TypeError, match=r"no argument 'target': here it is f, as in .*\(f, args=\(1, 2\)\)"):
        kind(target=abs, args=(1,))
