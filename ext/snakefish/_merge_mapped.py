"""What has changed in what has names: dicts, objects and namespaces. Internal; for _merge_kinds.py and _merge_join.py."""

from snakefish._merge_changes import ATOMS, dict_changes
from snakefish._merge_conflict import ABSENT
from snakefish._merge_rules import same_leaf


class Mapped:
    """Changes of what has names: keys, attributes, globals. values: {key: new value, or ABSENT for one that is gone}, in
    the child's order; moved: the set of the keys that stand behind others now."""

    __slots__ = ("values", "moved")

    def __init__(self, values, moved=frozenset()):
        self.values, self.moved = values, moved

    def __reduce__(self):
        return Mapped, (self.values, self.moved)

    def apply(self, before):
        """{key: value} as this task has left it."""
        now = dict(before)
        for key, value in self.values.items():
            if value is ABSENT or key in self.moved:
                now.pop(key, None)
        now.update((key, value) for key, value in self.values.items() if value is not ABSENT)
        return now


class InKey:
    """The place of an object that is a key: nothing else can be put there, but the object can change."""

    __slots__ = ("key",)

    def __init__(self, key):
        self.key = key

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return type(other) is InKey and self.key == other.key

    def __reduce__(self):
        return InKey, (self.key,)


def mapped_changes(shadow, live):
    found = dict_changes(shadow, live)
    if found is None:
        return None
    gone, held, moved = found
    values, behind = dict.fromkeys(gone, ABSENT), frozenset(moved)
    for key, value in held:
        before = shadow.get(key, ABSENT)
        if (type(before) is not type(value) or key in behind or type(value) not in ATOMS or
                not same_leaf(before, value)):
            values[key] = value
    return Mapped(values, behind) if values else None
