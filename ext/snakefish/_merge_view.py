"""A whole value as it was at the fork, or as the child has left it, built from the snapshot. Internal.

It is needed where a function merges whole values, and for what a Conflict tells; not for other merges.
"""

import pickle

from snakefish._merge_kinds import MAPPED, SEQUENCES, Bytes, Set, Tuple, Whole, kind_of
from snakefish._merge_snapshot import ROOT, unpickled


class View:
    """own: the changes of the child by number, or nothing for the state at the fork. The containers are new ones, with the
    same aliases and cycles."""

    def __init__(self, snapshot, data=b""):
        self.snapshot, self._built, self._todo = snapshot, {}, []
        self.own = unpickled(data, self._container, snapshot.twins)[0] if data else {}

    def value(self, value):
        """What a value of the parent, as it was at the fork, is in this view."""
        built = self._of(value)
        while self._todo:
            number, new = self._todo.pop()
            snapshot = self.snapshot
            kind = snapshot.kinds[number]
            contents = snapshot.shadows[number]
            if number in self.own:
                contents = kind.changed(contents, self.own[number])
            kind.fill(new, contents, self._of)
        return built

    def variable(self, label):
        """The value of a variable; KeyError if there is none."""
        return self.value(self._roots()[label])

    def variables(self):
        """{label: value} of all variables."""
        return {label: self.value(value) for label, value in self._roots().items()}

    def _roots(self):
        own = self.own.get(ROOT)
        values = self.snapshot.shadows[ROOT]
        return own.apply(values) if own else values

    def _of(self, value):
        number = self.snapshot.index.get(id(value))
        return value if number is None else self._container(number)

    def _container(self, number):
        if number in self._built:
            return self._built[number]
        kind, live = self.snapshot.kinds[number], self.snapshot.lives[number]
        if kind is Tuple:
            new = tuple(map(self._of, live))
            new = new if type(live) is tuple else tuple.__new__(type(live), new)
        elif kind is Whole:
            new = self.own[number] if number in self.own else pickle.loads(self.snapshot.shadows[number])
        else:
            new = kind.empty(live)
            self._todo.append((number, new))
        return self._built.setdefault(number, new)


def is_reachable(snapshot, container, own=None):
    """Whether the variables still lead to a container of the fork: in the parent as it is now, or in the child, whose
    changes are `own`. Walks all that they lead to."""
    if own is None:
        todo = list(snapshot.read().values())
    else:
        shadow = snapshot.shadows[ROOT]
        todo = list((own[ROOT].apply(shadow) if ROOT in own else shadow).values())
    met = {}
    while todo:
        value = todo.pop()
        if value is container:
            return True
        kind = kind_of(value)
        if id(value) in met or kind not in (*MAPPED, *SEQUENCES, Set, Tuple) or kind is Bytes:
            continue
        met[id(value)] = value
        number = None if own is None else snapshot.index.get(id(value))
        if number is None:
            contents = kind.shadow(value)
        else:
            contents = kind.changed(snapshot.shadows[number], own[number]) if number in own else snapshot.shadows[number]
        todo += (inner for _, inner in kind.parts(contents))
    return False
