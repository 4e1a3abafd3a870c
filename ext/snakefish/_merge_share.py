"""Reads share=: which globals, and which rule each is given. Internal; for merge.py and _merge_explain.py."""

import sys


def variables_of(share, namespace):
    """({label: (namespace, name)}, {label: rule or None}). share: names, or {name: rule}. A label is a name as it was given.
    TypeError, or ValueError if there is no such global."""
    if isinstance(share, str):
        raise TypeError(f"share is a list of names or a dict, not one string: write share=[{share!r}]")
    try:
        given = dict(share) if isinstance(share, dict) else dict.fromkeys(share)
    except TypeError:
        raise TypeError(f"share is a list of names or a dict of rules, not {share!r}") from None
    variables = {}
    for label in given:
        if not isinstance(label, str):
            raise TypeError(f"share has {label!r}, which is not a name: write the name of a global as a string")
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
    return variables, given
