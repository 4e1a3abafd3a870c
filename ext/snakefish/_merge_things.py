"""What a value in a function may be, as far as its code shows it: a global, or a part of one. Internal; for _merge_code.py.

A Thing is one possibility, and a tuple of Things is all that is known of a value: nothing, if it is empty.
"""

import collections
import inspect
import types

from snakefish._merge_changes import ATOMS

UNKNOWN = object()

# Methods and functions that change what they are called on, or their first argument.
METHODS = frozenset("""add append appendleft clear difference_update discard extend extendleft fill insert intersection_update
itemset move_to_end pop popitem popleft put remove resize reverse rotate setdefault setfield sort subtract
symmetric_difference_update update __delitem__ __iadd__ __ior__ __setattr__ __setitem__""".split())
FUNCTIONS = frozenset("""copyto delattr delitem fill_diagonal heapify heappop heappush heappushpop heapreplace iadd iand insort
insort_left insort_right ior isub ixor place put putmask setattr setitem shuffle""".split())

# What they return: a part of it, a new container of its parts, one of pairs, or the same memory.
_A_PART = frozenset("choice get max min next pop popleft setdefault __getitem__".split())
_NEW = frozenset("""chain copy Counter defaultdict deque dict difference filter frozenset intersection islice iter keys list
OrderedDict popitem reversed sample set sorted tuple union values""".split())
_PAIRS = frozenset("enumerate items pairwise product zip zip_longest".split())
_THE_SAME = frozenset("ravel reshape squeeze swapaxes transpose view".split())

CHANGES_IN_PLACE: tuple = (list, set, dict, collections.deque, bytearray)


class Thing:
    """name     the global; None for what is known, but is no part of a global of the module in question
    text     how it is written
    new      0: it is the global or a part of it; n: that is in so many new containers, which are of no interest
    value    what it is just now, or UNKNOWN
    owner    of a method: what it is bound to
    """

    __slots__ = ("name", "text", "new", "value", "owner")

    def __init__(self, name, text, new=0, value=UNKNOWN, owner=()):
        self.name, self.text, self.new, self.value, self.owner = name, text, new, value, owner

    def key(self):
        """Equal for those that lead to the same changes."""
        return self.name, self.new, id(self.value), tuple(thing.key() for thing in self.owner)

    def with_new(self, new):
        return Thing(self.name, self.text, new, self.value if new == self.new else UNKNOWN)

    def attribute(self, name):
        value, owner = UNKNOWN, (self,)
        if isinstance(self.value, types.ModuleType):
            value, owner = vars(self.value).get(name, UNKNOWN), ()
            return Thing(f"{self.value.__name__}:{name}", f"{self.text}.{name}", 0, value)
        if self.value is not UNKNOWN and not self.new:
            value, owner = _looked_up(self, name)
        return Thing(self.name, f"{self.text}.{name}", self.new, value, owner)

    def changes_in_place(self):
        """Whether += may change it, instead of making a new value."""
        return not self.new and (isinstance(self.value, CHANGES_IN_PLACE) or hasattr(type(self.value), "__iadd__"))


class Instance:
    """The value of an object that the code makes: all that is known of it is its class."""

    def __init__(self, cls):
        self.cls = cls


def _looked_up(thing, name):
    """(value, what it is bound to) of an attribute. No code of the class runs."""
    found = inspect.getattr_static(thing.value.cls if isinstance(thing.value, Instance) else thing.value, name, UNKNOWN)
    if isinstance(found, staticmethod):
        return found.__func__, ()
    if isinstance(found, classmethod):
        cls = thing if isinstance(thing.value, type) else thing.attribute("__class__")
        return found.__func__, (cls,)
    if isinstance(found, types.MemberDescriptorType):
        return UNKNOWN, (thing,)
    if isinstance(thing.value, type) or name in getattr(thing.value, "__dict__", ()):
        return found, ()
    return found if is_function(found) else UNKNOWN, (thing,)


def either(one, other):
    """What is one of two values."""
    if not one or one is other:
        return other
    keys = {thing.key() for thing in one}
    return (*one, *(thing for thing in other if thing.key() not in keys))


def parts(things, more=""):
    """What is in a value."""
    return tuple(Thing(thing.name, thing.text if thing.new else thing.text + more, max(thing.new - 1, 0))
                 for thing in things if thing.name)


def holding(*values):
    """A new container with these values in it."""
    found = ()
    for things in values:
        found = either(found, tuple(thing.with_new(thing.new + 1) for thing in things if thing.name))
    return found


def new_container(things):
    """One that has what is in these."""
    return tuple(thing.with_new(max(thing.new, 1)) for thing in things if thing.name)


def returned(name, given):
    """What comes out of a function or method without code in Python, which has got these things."""
    if name in _A_PART:
        return parts(given, "[...]")
    if name in _NEW:
        return new_container(given)
    if name in _PAIRS:
        return holding(new_container(given))
    return given if name in _THE_SAME else ()


def is_function(value):
    """Whether it is written in Python: PyPy's built-in ones are of the same type."""
    return isinstance(value, types.FunctionType) and isinstance(value.__code__, types.CodeType)


def is_atom(value):
    return type(value) in ATOMS
