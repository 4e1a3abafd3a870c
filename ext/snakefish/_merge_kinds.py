"""The kinds of containers: how each is copied at the fork, and what has changed in it since. Internal.

A kind is what a merge knows of a type. Its copy of a container, the shadow, refers to the same leaves: a dict's is a dict
with the same keys and values. So the copy costs the container, never what is in it.

    shadow(live)             the copy
    parts(shadow)            [(key, value)] of the values that may be containers themselves; keys of dicts too, as InKey
    changes(shadow, live)    what has changed since the copy was made, or None
    empty(live)              a new container of the same type, to be filled
    changed(shadow, own)     the shadow with these changes
    fill(new, contents, to)  puts a shadow's contents into a new container; to(value) says what each value becomes

A leaf is all that nobody can change in place: numbers, strings, functions, classes, and objects that cannot be pickled,
such as locks. It has no kind.
"""

import copy
import copyreg
import pickle
import sys
import types
from collections import OrderedDict, defaultdict, deque

from snakefish._merge_changes import ATOMS, list_changes, others
from snakefish._merge_conflict import ABSENT
from snakefish._merge_mapped import InKey, mapped_changes
from snakefish._merge_rules import merger_of, on_register, same_leaf
from snakefish._merge_sequence import sequence_changes

PROTOCOL = 5


class Dict:
    """dict and its subclasses."""

    @staticmethod
    def shadow(live):
        if type(live).__iter__ is dict.__iter__:
            return dict.copy(live)
        return dict(dict.items(live))  # dict.copy would call methods of the class

    @staticmethod
    def parts(shadow):
        found = others(shadow, LEAVES)
        found += [(InKey(key), key) for key, _ in others(shadow.keys(), LEAVES)]
        return found

    @staticmethod
    def changes(shadow, live):
        return mapped_changes(shadow, live)

    @staticmethod
    def empty(live):
        new = _new(live)
        if isinstance(live, defaultdict):
            new.default_factory = live.default_factory
        return new

    @staticmethod
    def changed(shadow, own):
        return own.apply(shadow)

    @staticmethod
    def fill(new, contents, to):
        for key, value in contents.items():
            dict.__setitem__(new, key, to(value))


class Ordered(Dict):
    """OrderedDict, whose order is not that of the dict that it stands on."""

    @staticmethod
    def shadow(live):
        return dict(OrderedDict.items(live))

    @staticmethod
    def changes(shadow, live):
        return mapped_changes(shadow, dict(OrderedDict.items(live)))

    @staticmethod
    def fill(new, contents, to):
        for key, value in contents.items():
            OrderedDict.__setitem__(new, key, to(value))


class Object(Dict):
    """Objects whose attributes are all that they have: __dict__ and __slots__."""

    @staticmethod
    def shadow(live):
        return fields(live)

    @staticmethod
    def changes(shadow, live):
        return mapped_changes(shadow, fields(live))

    @staticmethod
    def empty(live):
        return object.__new__(type(live))

    @staticmethod
    def fill(new, contents, to):
        for name, value in contents.items():
            set_field(new, name, to(value))


class List:
    moves = False

    @staticmethod
    def shadow(live):
        return list(live)

    @staticmethod
    def parts(shadow):
        return others(shadow, LEAVES)

    @classmethod
    def changes(cls, shadow, live):
        now = live if type(live) is list else list(live)
        found = list_changes(shadow, now)
        if found is None:
            return None
        indices = [at for at in found[0] if type(now[at]) not in ATOMS or not same_leaf(shadow[at], now[at])]
        own = sequence_changes(shadow, now, indices, found[1], cls.moves)
        return own if own.size() else None

    @staticmethod
    def empty(live):
        return _new(live)

    @staticmethod
    def changed(shadow, own):
        return own.apply(shadow)

    @staticmethod
    def fill(new, contents, to):
        new.extend(map(to, contents))


class Deque(List):
    moves = True

    @staticmethod
    def empty(live):
        new = _new(live)
        deque.__init__(new, (), live.maxlen)
        return new


class Bytes:
    """bytearray."""

    PIECE = 4096

    @staticmethod
    def shadow(live):
        return bytes(live)

    @staticmethod
    def parts(shadow):
        return ()

    @classmethod
    def changes(cls, shadow, live):
        if shadow == live:
            return None
        shorter = min(len(shadow), len(live))
        indices = []
        for start in range(0, shorter, cls.PIECE):
            piece, now = shadow[start:start + cls.PIECE], live[start:start + cls.PIECE]
            if piece != now:
                indices += [start + at for at, (old, new) in enumerate(zip(piece, now)) if old != new]
        same = 0
        while same < shorter and shadow[-1 - same] == live[-1 - same]:
            same += 1
        return sequence_changes(shadow, live, indices, same)

    @staticmethod
    def empty(live):
        return _new(live)

    @staticmethod
    def changed(shadow, own):
        return bytes(own.apply(shadow))

    @staticmethod
    def fill(new, contents, to):
        new[:] = contents


class Set:
    """Changes: (added, removed). Its elements may be objects with attributes."""

    @staticmethod
    def shadow(live):
        return set(live)

    @staticmethod
    def parts(shadow):
        return others(shadow, LEAVES)

    @staticmethod
    def changes(shadow, live):
        added, removed = set.difference(live, shadow), shadow.difference(live)
        return (set(added), removed) if added or removed else None

    @staticmethod
    def empty(live):
        return _new(live)

    @staticmethod
    def changed(shadow, own):
        return (shadow - own[1]) | own[0]

    @staticmethod
    def fill(new, contents, to):
        set.update(new, map(to, contents))


class Array:
    """numpy arrays whose elements are no objects. Changes: (indices in C order, or None for all; the values there)."""

    @staticmethod
    def shadow(live):
        return live.copy()

    @staticmethod
    def parts(shadow):
        return ()

    @staticmethod
    def changes(shadow, live):
        import numpy

        if live.shape != shadow.shape or live.dtype != shadow.dtype:
            raise TypeError(f"an array of shape {shadow.shape} and type {shadow.dtype} has become one of {live.shape} and "
                            f"{live.dtype} in place, which cannot be merged: bind a new array instead")
        old, new = (numpy.ascontiguousarray(array).reshape(-1) for array in (shadow, live))
        differ = old.view(numpy.uint8).reshape(-1, old.itemsize) != new.view(numpy.uint8).reshape(-1, old.itemsize)
        indices = numpy.flatnonzero(differ.any(axis=1))
        if not indices.size:
            return None
        return (None, new.copy()) if 2 * indices.size > new.size else (indices, new[indices])

    @staticmethod
    def empty(live):
        return live.copy()

    @staticmethod
    def changed(shadow, own):
        now = shadow.copy()
        now.flat[slice(None) if own[0] is None else own[0]] = own[1]
        return now

    @staticmethod
    def fill(new, contents, to):
        new[...] = contents


class Tuple:
    """Tuples that hold containers. They never change, but what they hold does."""

    @staticmethod
    def shadow(live):
        return live

    @staticmethod
    def parts(shadow):
        return [(index, value) for index, value in enumerate(shadow) if type(value) not in LEAVES]

    @staticmethod
    def changes(shadow, live):
        return None


class Whole:
    """Values that merge as one: those of registered classes, and those that can be pickled but show no parts. Their shadow
    is their pickle. Changes: the value itself."""

    @staticmethod
    def shadow(live):
        return pickle.dumps(live, PROTOCOL)

    @staticmethod
    def parts(shadow):
        return ()

    @staticmethod
    def changes(shadow, live):
        if Whole.shadow(live) == shadow:
            return None
        return None if same_leaf(pickle.loads(shadow), live) and type(live).__eq__ is not object.__eq__ else live


MAPPED: tuple = (Dict, Ordered, Object)
SEQUENCES: tuple = (List, Deque, Bytes)

# Types of leaves that have no parts to look for. kind_of adds what it finds.
_ALWAYS = {*ATOMS, frozenset, range, slice, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType,
           type, type(Ellipsis), type(NotImplemented), types.CodeType, types.GeneratorType, types.MappingProxyType, property,
           staticmethod, classmethod, type(ABSENT)}
LEAVES = set(_ALWAYS)
_HEAP_TYPE = 1 << 9  # in __flags__
_kinds: dict = {}
_IMMUTABLE = ("datetime", "decimal", "fractions", "re", "uuid", "pathlib", "ipaddress", "zoneinfo")


def _forget():
    _kinds.clear()
    LEAVES.clear()
    LEAVES.update(_ALWAYS)


on_register.append(_forget)


def kind_of(value):
    """The kind of a value, or None if it is a leaf. TypeError: it cannot be merged, and the reason."""
    cls = type(value)
    if cls in LEAVES:
        return None
    if cls not in _kinds:
        _kinds[cls] = _kind_of_class(cls, value)
        if _kinds[cls] is None:
            LEAVES.add(cls)
    kind = _kinds[cls]
    if kind is Tuple:
        return _kind_of_tuple(value)
    if kind in (Dict, Ordered, List, Deque, Set) and getattr(value, "__dict__", None):
        return Whole  # a subclass with attributes beside its items
    if kind is Array and value.dtype.hasobject:
        return Whole
    return kind


def _kind_of_tuple(value):
    """A tuple of leaves is a leaf; one with something in it that merges as a whole does so too, for nothing can be put into
    a tuple."""
    found, todo = None, [value]
    for one in todo:
        for part in one:
            if type(part) in LEAVES:
                continue
            if isinstance(part, tuple):
                todo.append(part)
            elif kind_of(part) is not None:
                if kind_of(part) is Whole:
                    return Whole
                found = Tuple
    return found


def _kind_of_class(cls, value):
    if merger_of(cls):
        return Whole
    for base, kind in ((OrderedDict, Ordered), (dict, Dict), (list, List), (deque, Deque), (set, Set), (bytearray, Bytes)):
        if issubclass(cls, base):
            return kind
    if issubclass(cls, tuple):
        return Tuple
    if _is_leaf(cls):
        return None
    package = cls.__module__.partition(".")[0]
    if package == "pandas" and cls.__name__ in ("DataFrame", "Series"):
        raise TypeError(f"a pandas {cls.__name__} has no merge: its columns may share memory, and move and change their type "
                        "as it changes, so nobody can tell from two of them what was done. Share its numpy arrays, or "
                        "give a function as its rule")
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(cls, numpy.ndarray):
        return Array if cls is numpy.ndarray else Whole
    if has_only_attributes(cls):
        return Object
    try:
        Whole.shadow(value)
        return Whole
    except Exception:  # it cannot travel, so no child can bring a change of it back
        return None


def _is_leaf(cls):
    import enum
    import numbers

    package = cls.__module__.partition(".")[0]
    return (issubclass(cls, (numbers.Number, str, bytes, frozenset, type, enum.Enum, types.ModuleType)) or
            package in _IMMUTABLE or package == "numpy" and not hasattr(cls, "__setitem__"))


def has_only_attributes(cls):
    """Whether all of its classes are written in Python: no state is hidden in C."""
    for base in cls.__mro__[:-1]:
        new = vars(base).get("__new__")
        if not base.__flags__ & _HEAP_TYPE or isinstance(new, (types.BuiltinFunctionType, types.MethodWrapperType)):
            return False
        if "__module__" not in vars(base):
            return False
    return True


def fields(live):
    """{name: value} of the attributes of an object."""
    found = dict(getattr(live, "__dict__", None) or ())
    for name in copyreg._slotnames(type(live)):  # type: ignore[attr-defined]
        value = getattr(live, name, ABSENT)
        if value is not ABSENT:
            found[name] = value
    return found


def set_field(live, name, value):
    """Sets an attribute, or deletes it if the value is ABSENT. No code of the class runs."""
    if name in copyreg._slotnames(type(live)):  # type: ignore[attr-defined]
        object.__delattr__(live, name) if value is ABSENT else object.__setattr__(live, name, value)
    elif value is ABSENT:
        del live.__dict__[name]
    else:
        live.__dict__[name] = value


def lookup(kind, live, key):
    """What stands at a key, index or attribute now, or ABSENT."""
    if kind is Object:
        return fields(live).get(key, ABSENT)
    if kind in MAPPED:
        return dict.get(live, key, ABSENT)
    if kind is Set:
        return key if key in live else ABSENT
    return live[key] if 0 <= key < len(live) else ABSENT


def copied(kind, live):
    """A shallow copy of a container, of the same type."""
    if kind is Object:
        new = Object.empty(live)
        Object.fill(new, fields(live), lambda value: value)
        return new
    return copy.copy(live)


def default_of(live):
    """What a key that is new to a dict merges from, or ABSENT: the empty value of a Counter or a defaultdict."""
    from collections import Counter

    if isinstance(live, Counter):
        return 0
    factory = live.default_factory if isinstance(live, defaultdict) else None
    return factory() if factory else ABSENT


def _new(live):
    return type(live).__new__(type(live))
