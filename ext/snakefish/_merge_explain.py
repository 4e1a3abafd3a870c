"""explain(): which rule each shared variable has, and which globals a function changes that are not shared. Internal.

The rules are those of a snapshot. The changes are read from the function's code, see _merge_code.py.
"""

from snakefish._merge_code import changes_of
from snakefish._merge_kinds import (Array, Bytes, Deque, Dict, List, Object, Ordered, Set, Tuple, Whole, kind_of)
from snakefish._merge_rules import BY_TYPE, NAMED, inferred, merger_of
from snakefish._merge_share import globals_of, rules_of, unwrapped, variables_of

_SAYS = {
    Dict: "by key", Ordered: "by key", Object: "by attribute",
    List: "by item; both appends, the parent's first", Deque: "by item; both appends, the parent's first",
    Bytes: "by byte; one task may change each", Array: "by element; one task may change each",
    Set: "what either has added is in it, what either has removed is not", Tuple: "what it holds, by its type",
}


class Explanation:
    """rules: {variable: what becomes of it}; errors: {variable: why it has no rule}; unshared: {global: how f changes it}, of
    those that no merge brings back. str() has all of it, true if there is nothing to complain about."""

    def __init__(self, name, rules, errors, unshared):
        self.name, self.rules, self.errors, self.unshared = name, rules, errors, unshared

    def __bool__(self):
        return not self.errors and not self.unshared

    def __str__(self):
        lines = [f"{name}: {says}" for name, says in self.rules.items()]
        lines += [f"{name}: error: {why}" for name, why in self.errors.items()]
        lines += [f"{name}: not shared, but {self.name} changes it, and that is lost: {', '.join(how)}"
                  for name, how in self.unshared.items()]
        return "\n".join(lines) or "nothing is shared, and no change of a global is seen"

    def __repr__(self):
        return f"<snakefish.merge.Explanation of {self.name}>"


Explanation.__module__ = "snakefish.merge"


def explained(f, share, namespace):
    function = unwrapped(f)
    if namespace is None:
        namespace = globals_of(f, None)
        if namespace is None:
            raise TypeError(f"explain reads Python functions, and {f!r} is none; give globals=")
    rules, errors, shared = {}, {}, set()
    if isinstance(share, str):
        rules_of(share)  # raises
    for label in share:
        one = {label: share[label]} if isinstance(share, dict) else [label]
        try:
            rule = rules_of(one)[label]
            where, name = variables_of(one, namespace)[label]
            shared.add(name if where is namespace else f"{where.get('__name__')}:{name}")
            rules[label] = _says(where[name], rule, label)
        except (TypeError, ValueError) as error:
            errors[label] = str(error)
    found = changes_of((f, function), namespace)
    return Explanation(getattr(function, "__qualname__", repr(f)), rules, errors,
                       {name: how for name, how in found.items() if name not in shared})


def _says(value, rule, label):
    if rule.whole or rule is NAMED["readonly"]:
        return rule.says
    kind, named = kind_of(value), type(value).__name__
    if kind is None:
        if rule is BY_TYPE:
            inferred(value, label)
            return f"{named}: {NAMED['sum'].says.partition(';')[0]}"
        return f"{named}: {rule.says}"
    if kind is Whole:
        merger = merger_of(type(value))
        says = f"{merger.__qualname__}(base, current, child)" if merger else "one task may change it"
    else:
        says = _SAYS[kind]
    return f"{named}: {says}" if rule is BY_TYPE else f"{named}: {says}; what both have changed: {rule.says}"
