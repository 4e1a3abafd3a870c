"""Reads share= and on_conflict=: which globals, and which rule each is given. Internal."""

import functools
import inspect
import sys
import types

from snakefish._merge_rules import rule_of


def rules_of(share):
    """{label: Rule}. share: names, or {name: rule}. A label is a name as it was given. TypeError, or ValueError for a rule that
    does not exist."""
    if isinstance(share, str):
        raise TypeError(f"share is a list of names or a dict, not one string: write share=[{share!r}]")
    try:
        given = dict(share) if isinstance(share, dict) else dict.fromkeys(share)
    except TypeError:
        raise TypeError(f"share is a list of names or a dict of rules, not {share!r}") from None
    for label in given:
        if not isinstance(label, str):
            raise TypeError(f"share has {label!r}, which is not a name: write the name of a global as a string")
    return {label: rule_of(rule, label) for label, rule in given.items()}


def policy_of(on_conflict):
    """on_conflict, if it is one."""
    if on_conflict in ("raise", "parent", "child") or callable(on_conflict):
        return on_conflict
    raise ValueError(f'on_conflict is "raise", "parent", "child" or a function, not {on_conflict!r}')


def variables_of(labels, namespace):
    """{label: (namespace, name)}. ValueError if there is no such global."""
    variables = {}
    for label in labels:
        module, colon, name = label.rpartition(":")
        if colon and module not in sys.modules:
            raise ValueError(f"share: {label!r}: no module {module!r} is imported")
        where = vars(sys.modules[module]) if colon else namespace
        if name not in where:
            raise ValueError(f"share: module {where.get('__name__')!r} has no global {name!r}")
        for other, (there, same) in variables.items():
            if there is where and same == name:
                raise ValueError(f"share has one global twice, as {other!r} and {label!r}")
        variables[label] = where, name
    return variables


def unwrapped(f):
    """The function behind functools.partial, functools.wraps and methods."""
    while True:
        if isinstance(f, functools.partial):
            f = f.func
        elif inspect.ismethod(f):
            f = f.__func__
        elif hasattr(f, "__wrapped__"):
            f = f.__wrapped__
        else:
            return f


def globals_of(f, otherwise):
    """The globals that names in share= mean: those of the module of f, behind its wrappers. f may be a callable object. A
    function in C has none: `otherwise`."""
    function = unwrapped(f)
    if not isinstance(function, (types.FunctionType, type)):
        function = unwrapped(getattr(type(function), "__call__", None))
    if isinstance(function, type):
        return getattr(sys.modules.get(function.__module__), "__dict__", otherwise)
    found = getattr(function, "__globals__", None)  # PyPy's own functions have None
    return otherwise if found is None else found
