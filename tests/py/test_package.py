"""The package as a program imports it: how much that loads, and which names it shows."""
import builtins

import pytest
from conftest import PYPY

import snakefish

HEAVY = ("collections", "contextlib", "enum", "functools", "inspect", "linecache", "pickle", "re", "select", "shutil",
         "subprocess", "textwrap", "threading", "tokenize", "traceback", "typing")
ON_CPYTHON = pytest.mark.skipif(PYPY, reason="PyPy's own start loads some of these modules")


@ON_CPYTHON
def test_the_import_loads_no_module_that_takes_long(check_program):
    said = check_program(f"import sys, snakefish; print([name for name in {HEAVY} if name in sys.modules])", options=["-S"])
    assert said == "[]\n"


@ON_CPYTHON
def test_the_import_loads_pickle_where_most_of_it_is_loaded(check_program):
    assert check_program("import snakefish, sys; print('_pickle' in sys.modules)", options=["-S"]) == "False\n"
    assert check_program("import functools, snakefish, sys; print('_pickle' in sys.modules)", options=["-S"]) == "True\n"


@ON_CPYTHON
def test_children_inherit_pickle_and_once_a_child_has_failed_traceback_too(check_program):
    assert check_program("""
        import snakefish, sys
        def child(fails):
            loaded = [name for name in ("_pickle", "traceback") if name in sys.modules]
            if fails:
                raise ValueError(loaded)
            return loaded
        for fails in (False, True, True, False):
            with snakefish.Thread(child, args=(fails,)) as t:
                t.start()
            try:
                print(t.get_result())
            except ValueError as error:
                print(error)
    """, options=["-S"]) == "['_pickle']\n['_pickle']\n['_pickle', 'traceback']\n['_pickle', 'traceback']\n"


@ON_CPYTHON
def test_a_child_that_cannot_import_what_formats_tracebacks_tells_its_exception_and_place(check_program):
    said = check_program("""
        import snakefish, sys
        def inner():
            sys.path[:] = []
            sys.path_importer_cache.clear()
            raise ValueError("in the child")
        def outer():
            inner()
        with snakefish.Thread(outer) as t:
            t.start()
        try:
            t.get_result()
        except ValueError as error:
            print(repr(error), error.__cause__)
    """, options=["-S"])
    assert "ValueError('in the child')" in said and "in outer\n" in said and "in inner\n" in said
    assert "ValueError: in the child" in said


def test_dir_shows_the_public_names_and_nothing_else():
    assert dir(snakefish) == sorted(snakefish.__all__)
    assert dir(snakefish.trace) == sorted(snakefish.trace.__all__)
    for module in (snakefish, snakefish.trace):
        assert not [name for name in module.__all__ if name.startswith("_") or not hasattr(module, name)]


def test_an_import_of_all_names_gives_those_of_all():
    names = {}
    exec("from snakefish import *", names)
    assert set(names) - {"__builtins__"} == set(snakefish.__all__)


def test_runtime_error_has_a_name_here_and_is_the_built_in_one():
    assert snakefish.RuntimeError is builtins.RuntimeError
    assert "RuntimeError" not in snakefish.__all__
    with pytest.raises(snakefish.RuntimeError):
        snakefish.Thread(abs).join()


def test_public_classes_and_functions_say_that_they_are_of_this_package():
    for name in ("Channel", "ChildDied", "Executor", "Generator", "Thread", "WorkerDied"):
        assert getattr(snakefish, name).__module__ == "snakefish", name
