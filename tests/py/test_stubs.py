"""The stubs and the docstrings agree with the package."""
import ast
import inspect
from pathlib import Path

import pytest
from conftest import PYPY

import snakefish
from snakefish import merge, trace

NEEDS_DOCSTRINGS = pytest.mark.skipif(PYPY, reason="PyPy's C layer keeps neither docstrings nor signatures of methods")
PACKAGE = Path(snakefish.__file__).parent


def definitions(body):
    """name -> list of its definitions (overloads), for functions and classes. A variable of a class of the stub that can
    be called, such as map: those of the calls."""
    found = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.AnnAssign):
            found.setdefault(node.target.id, []).append(node)
    for name, (node, *_) in found.items():
        types = {n.id for n in ast.walk(node.annotation) if isinstance(n, ast.Name)} if isinstance(node, ast.AnnAssign) else ()
        for cls in (found[one][0] for one in types if one in found):
            found[name] = definitions(cls.body)["__call__"]
    return found


STUBS = {"snakefish": definitions(ast.parse((PACKAGE / "__init__.pyi").read_text()).body),
         "snakefish.merge": definitions(ast.parse((PACKAGE / "merge.pyi").read_text()).body),
         "snakefish.trace": definitions(ast.parse((PACKAGE / "trace.pyi").read_text()).body)}
MODULES = {"snakefish": snakefish, "snakefish.merge": merge, "snakefish.trace": trace}


def parameters(node, is_method):
    """[(name, kind, has default)] of a stub's function."""
    a = node.args
    positional = [p for p in (*a.posonlyargs, *a.args) if is_method or p.arg != "self"]
    missing = len(positional) - len(a.defaults)
    only = len(a.posonlyargs)
    found = [(p.arg, "only" if i < only else "positional", i >= missing) for i, p in enumerate(positional)]
    found += [(p.arg, "keyword", d is not None) for p, d in zip(a.kwonlyargs, a.kw_defaults)]
    return found[1:] if is_method else found


def signature(function):
    kinds = {inspect.Parameter.KEYWORD_ONLY: "keyword", inspect.Parameter.POSITIONAL_ONLY: "only"}
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [(p.name, kinds.get(p.kind, "positional"), p.default is not p.empty)
            for p in inspect.signature(function).parameters.values()
            if p.name not in ("self", "$self") and p.kind not in variable]


def is_public(name):
    return not name.startswith("_")


def test_map_and_starmap_are_among_the_functions():
    assert {name for _, name in FUNCTIONS} >= {"map", "starmap", "imap", "mark", "start"}
    assert len(STUBS["snakefish"]["map"]) == 3  # overloads


def test_the_typed_marker_and_the_stubs_are_in_the_package():
    assert (PACKAGE / "py.typed").exists()


def test_stubs_and_runtime_have_the_same_names():
    stub = set(filter(is_public, STUBS["snakefish"])) | {"merge", "trace"}
    assert stub == set(snakefish.__all__)
    assert all(hasattr(snakefish, name) for name in stub)
    for module in (merge, trace):
        assert set(filter(is_public, STUBS[module.__name__])) == set(module.__all__)


FUNCTIONS = [(module, n) for module, stub in STUBS.items() for n, d in stub.items() if isinstance(d[0], ast.FunctionDef)]


@pytest.mark.parametrize("module,name", FUNCTIONS)
def test_functions_have_the_signature_of_their_stub(module, name):
    real = getattr(MODULES[module], name)
    assert signature(real) in [parameters(node, False) for node in STUBS[module][name]]


CLASSES = {"Channel": ["Channel"], "Executor": ["Executor"], "Generator": ["_Task", "Generator"],
           "Thread": ["_Task", "Thread"]}


def members(stubs):
    found = {}
    for name in stubs:
        found.update(definitions(STUBS["snakefish"][name][0].body))
    return found


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_members_of_their_stub(name):
    real = getattr(snakefish, name)
    special = ("__enter__", "__exit__", "__iter__", "__next__", "__len__", "__bool__")
    there = {n for n in vars(real) if is_public(n) or n in special}
    assert there == set(members(CLASSES[name])) - {"__init__"}


@NEEDS_DOCSTRINGS
@pytest.mark.parametrize("name", CLASSES)
def test_methods_and_constructors_have_the_signature_of_their_stub(name):
    real = getattr(snakefish, name)
    for member, nodes in members(CLASSES[name]).items():
        if member == "__init__":
            stub = [parameters(node, True) for node in nodes]
            assert signature(real) in stub
        elif is_public(member) and not nodes[0].decorator_list:
            assert signature(getattr(real, member)) in [parameters(n, True) for n in nodes], member


@pytest.mark.parametrize("name, attributes", [("ChildDied", {"pid", "exit_status", "name"}),
                                              ("WorkerDied", {"signal", "task"})])
def test_attributes_of_exceptions_are_those_of_the_stub(name, attributes):
    assert set(definitions(STUBS["snakefish"][name][0].body)) == attributes
    assert all(hasattr(getattr(snakefish, name)("words"), attribute) for attribute in attributes)


@NEEDS_DOCSTRINGS
def test_defaults_are_those_of_the_design():
    def defaults(f):
        return {p.name: p.default for p in inspect.signature(f).parameters.values() if p.default is not p.empty}

    assert defaults(snakefish.Channel) == {"size": 2 << 30, "name": None}
    assert defaults(snakefish.Channel.send_pyobj) == {"block": False, "timeout": None}
    assert defaults(snakefish.Channel.receive_pyobj) == {"block": True, "timeout": None}
    assert defaults(snakefish.Generator.next) == {"block": True, "timeout": None}
    assert defaults(snakefish.map) == {"concurrency": 0, "chunksize": 0, "extract": None, "merge": None,
                                        "progress": None, "rounds": False, "globals": None, "executor": None,
                                        "local": None, "timeout": None, "blas_threads": None, "share": None, "on_conflict": None,
                                        "share_check": False}
    assert defaults(snakefish.imap) == {"concurrency": 0, "chunksize": 1, "executor": None, "local": None,
                                        "timeout": None, "blas_threads": None, "share": None, "on_conflict": None,
                                        "merge": None, "globals": None}


@NEEDS_DOCSTRINGS
def test_everything_public_has_a_docstring():
    things = [getattr(module, n) for module in MODULES.values() for n in module.__all__ if n != "ABSENT"]
    things += [getattr(getattr(snakefish, c), m) for c in CLASSES for m in members(CLASSES[c]) if is_public(m)]
    assert [t for t in things if not (inspect.getdoc(t) or "").strip()] == []
