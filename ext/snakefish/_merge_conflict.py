"""Conflict, and ABSENT, the value of what is not there. Internal; public through merge.py."""

import reprlib


class _Absent:
    """The value of a key, item, attribute or name that is not there."""

    def __repr__(self):
        return "ABSENT"

    def __reduce__(self):
        return "ABSENT"  # there is one only, also after pickling

    def __bool__(self):
        return False


ABSENT = _Absent()


class Conflict(RuntimeError):
    """The parent and a child have both changed something since the fork, and no rule says what comes of it.

    variable      the name of the shared variable
    place         where in it, as an expression: "table['a'][3]"
    key           the key, index or attribute that both have changed, or None if it is the variable itself
    base          its value at the fork, or ABSENT
    current       its value in the parent, or ABSENT
    child         its value in the child, or ABSENT
    parent_task   the name of the task that joins
    child_task    the name of the task that is joined
    reason        why it cannot be merged
    """

    variable = place = key = base = current = child = parent_task = child_task = None
    reason = ""

    @classmethod
    def _about(cls, reason, place, base, current, child, tasks):
        """place: the names and keys from the variable down, as pairs of (how it is written, key)."""
        written = "".join(text for text, _ in place)
        parent, joined = tasks
        conflict = cls(f"{written}: {reason}. At the fork: {_short(base)}; {parent} has made it {_short(current)}, "
                       f"{joined} {_short(child)}")
        conflict.variable, conflict.place, conflict.reason = place[0][1], written, reason
        conflict.key = place[-1][1] if len(place) > 1 else None
        conflict.base, conflict.current, conflict.child = base, current, child
        conflict.parent_task, conflict.child_task = tasks
        return conflict


Conflict.__module__ = "snakefish.merge"


def _short(value):
    try:
        return reprlib.repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
