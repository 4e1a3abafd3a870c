"""What comes of a value that the parent and a child have both changed. Internal; for _merge_join.py.

A rule is asked only for what both have changed: what one of them has changed is as that one has left it. Containers
merge by their parts, so a rule that is given for a variable is asked for the parts of it that both have changed.
"""

import inspect
import math
import numbers
import struct

from snakefish._merge_conflict import ABSENT


class Rule:
    """name: how it is written in share=. says: what it does, for explain(). leaf(base, current, child) is the merged value,
    or raises Undecided. Nothing that it gets is ABSENT, unless takes_absent. whole: it gets whole variables instead of
    the parts of containers."""

    def __init__(self, name, says, leaf, takes_absent=False, whole=False):
        self.name, self.says, self.leaf, self.takes_absent, self.whole = name, says, leaf, takes_absent, whole


class Undecided(Exception):
    """A rule says that it does not know: a conflict. Its text is the reason."""


def is_number(value):
    return isinstance(value, numbers.Number) and not isinstance(value, bool)


def same_leaf(one, other):
    """Whether nobody could tell two leaves from each other. False if their comparison cannot tell."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if type(one) is float:
        return struct.pack("d", one) == struct.pack("d", other)
    try:
        if hasattr(one, "__array__"):
            return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        return bool(one == other)
    except Exception:
        return False


def add_changes(base, current, child):
    if not (is_number(current) and is_number(child) and (base is ABSENT or is_number(base))):
        raise Undecided("sum adds the changes of numbers")
    if isinstance(base, float) and math.isnan(base):
        raise Undecided("no change can be told from NaN")
    return current + child if base is ABSENT else current + (child - base)


def either(base, current, child):
    if same_leaf(current, child):
        return current
    raise Undecided("both tasks have changed it")


def by_type(base, current, child):
    """The rule where none is given: numbers add their changes, all others must have been changed to the same value."""
    if is_number(current) and is_number(child):
        if base is ABSENT:
            raise Undecided('both tasks have put a number there; say "sum" if they count, or "either" if both compute the '
                            'same, or use a Counter or a defaultdict(int)')
        if is_number(base):
            return add_changes(base, current, child)
    return either(base, current, child)


def _union(base, current, child):
    try:
        return current | child
    except TypeError:
        raise Undecided("union is for sets") from None


def _chosen(choose, current, child):
    try:
        return choose(current, child)
    except TypeError as reason:
        raise Undecided(str(reason)) from None


def _readonly(base, current, child):
    raise Undecided("it is readonly")


BY_TYPE = Rule("by type", "by its type", by_type)
EITHER = Rule("either", "one task may change it, or both to the same value", either)
NAMED = {rule.name: rule for rule in (
    Rule("sum", "current + (child - base); lists: both appends; arrays: the changes add", add_changes),
    Rule("union", "what is in one of both sets", _union),
    Rule("max", "the larger value", lambda base, current, child: _chosen(max, current, child)),
    Rule("min", "the smaller value", lambda base, current, child: _chosen(min, current, child)),
    Rule("any", "current or child", lambda base, current, child: current or child),
    Rule("all", "current and child", lambda base, current, child: current and child),
    Rule("last", "the child's: who is joined last wins", lambda base, current, child: child, takes_absent=True),
    Rule("first", "the parent's: who is joined first wins", lambda base, current, child: current, takes_absent=True),
    EITHER,
    Rule("readonly", "no task may change it", _readonly),
)}

_BUILTIN = {max: "max", min: "min", sum: "sum", any: "any", all: "all"}

_registered = {}  # type -> function(base, current, child)


def register(cls):
    """Decorator: the function merges three values of this class, and of its subclasses. It gets (base, current, child) and
    returns the merged value; it changes none of them. It is called when the parent and a child have both changed such a
    value, in a shared variable or anywhere in one. A method __merge__(base, current, child) of the class does the same."""
    if not isinstance(cls, type):
        raise TypeError(f"register takes a class: write @snakefish.merge.register(MyClass), not {cls!r}")

    def remember(function):
        if not callable(function):
            raise TypeError(f"register({cls.__name__}) decorates a function(base, current, child), not {function!r}")
        _registered[cls] = function
        for forget in on_register:
            forget()
        return function

    return remember


on_register: list = []  # called when a class is registered


def merger_of(cls):
    """The function(base, current, child) that merges values of this class, or None."""
    for base in cls.__mro__:
        if base in _registered:
            return _registered[base]
        if "__merge__" in vars(base):
            return getattr(cls, "__merge__")
    return None


def rule_of(given, name):
    """The Rule that share= gives for a variable. None: by its type."""
    if given is None:
        return BY_TYPE
    if isinstance(given, str):
        if given not in NAMED:
            raise ValueError(f"share: {name!r} has the rule {given!r}, which does not exist; there are "
                             f"{', '.join(NAMED)}, and functions")
        return NAMED[given]
    try:
        if given in _BUILTIN:
            return NAMED[_BUILTIN[given]]
    except TypeError:  # a callable object that cannot be hashed
        pass
    if not callable(given):
        raise TypeError(f"share: {name!r} has the rule {given!r}; a rule is the name of one, or a function")
    return _whole(given)


def takes(function, count):
    """Whether a function can be called with so many positional arguments. True if nobody can tell."""
    try:
        inspect.signature(function).bind(*(None,) * count)
        return True
    except TypeError:
        return False
    except ValueError:  # a built-in function that does not say
        return True


def _whole(function):
    name = getattr(function, "__qualname__", None) or repr(function)
    if takes(function, 2):
        return Rule(name, f"{name}(current, child)", lambda base, current, child: function(current, child), whole=True)
    if takes(function, 3):
        return Rule(name, f"{name}(base, current, child)", function, takes_absent=True, whole=True)
    raise TypeError(f"share: {name} must take (base, current, child) or (current, child)")


def inferred(value, name):
    """Refuses what no rule can be inferred from: a leaf that is no number."""
    if is_number(value):
        return
    kind = "None" if value is None else f"a {type(value).__name__}"
    hint = '"any", "all"' if isinstance(value, bool) else '"max", "min"'
    raise TypeError(f"share: {name!r} is {kind}, and no merge follows from that: say how, for example "
                    f'share={{{name!r}: "last"}}, or "first", "either", "readonly", {hint}, or a function')
