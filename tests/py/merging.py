"""Forks in one process, for the tests of merges: the child is a deep copy of its parent's variables and of the snapshot,
which is what a fork makes of them."""
import copy

from snakefish import merge
from snakefish._merge_join import Join
from snakefish._merge_share import rules_of, variables_of
from snakefish._merge_snapshot import Snapshot


class Unpicklable:
    """Not even by PyPy with cloudpickle, which take locks."""

    def __reduce__(self):
        raise TypeError("cannot pickle it")


class Fork:
    """parent: a dict of variables; child: the child's, to be changed as the child would."""

    def __init__(self, parent, share=None):
        rules = rules_of(list(parent) if share is None else share)
        self.snapshot = Snapshot(variables_of(rules, parent), rules)
        self.of_child, self.child = copy.deepcopy((self.snapshot, parent))
        self.of_child.index = {id(live): number for number, live in enumerate(self.of_child.lives) if number}

    def difference(self):
        return self.of_child.difference()

    def join(self, on_conflict="raise"):
        join = Join(self.snapshot, self.difference(), on_conflict, ("boss", "worker"))
        join.run()
        return join


def merged(base, parent=None, child=None, share=None, on_conflict="raise"):
    """What becomes of {"x": base} when parent(variables) and child(variables) change it."""
    variables = {"x": base}
    fork = Fork(variables, None if share is None else {"x": share})
    for change, where in ((child, fork.child), (parent, variables)):
        if change:
            change(where)
    fork.join(on_conflict)
    return variables.get("x", merge.ABSENT)


def conflict(*arguments, **more):
    """The Conflict of merged(), which must have changed nothing."""
    try:
        result = merged(*arguments, **more)
    except merge.Conflict as found:
        return found
    raise AssertionError(f"no conflict: {result!r}")


def shape(thing):
    """An object as nested tuples of types and values, in which one that was met before is a number. Equal shapes: equal
    objects of the same types in the same order, and the same ones in the same places."""
    numbers, kept = {}, []

    def look(thing):
        kind = type(thing)
        if thing is None or kind in (bool, int, str, bytes) or isinstance(thing, type) or callable(thing):
            return kind, thing
        if kind in (float, complex):
            return kind, repr(thing)
        if id(thing) in numbers:
            return "met", numbers[id(thing)]
        numbers[id(thing)] = len(numbers)
        kept.append(thing)
        if isinstance(thing, dict):
            inside = [(look(key), look(value)) for key, value in thing.items()]
        elif isinstance(thing, (set, frozenset)):
            inside = sorted(map(repr, thing))
        elif isinstance(thing, (list, tuple)) or kind.__name__ == "deque":
            inside = [look(item) for item in thing]
        elif hasattr(thing, "tolist"):
            inside = (thing.dtype.str, thing.shape, thing.tobytes())
        elif isinstance(thing, bytearray):
            inside = bytes(thing)
        else:
            inside = repr(thing) if not hasattr(thing, "__dict__") and not hasattr(kind, "__slots__") else None
        slots = [(name, look(getattr(thing, name))) for name in getattr(kind, "__slots__", ()) if hasattr(thing, name)]
        return kind, inside, slots, look(vars(thing)) if getattr(thing, "__dict__", None) else None

    return look(thing)
