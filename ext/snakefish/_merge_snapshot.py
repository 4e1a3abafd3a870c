"""The shared variables as they are at a fork, and what a child has changed since. Internal.

A Snapshot is made in the parent right before the fork, and both sides have it afterwards. It numbers all containers that
the variables lead to, and keeps a shadow of each (see _merge_kinds.py). So the child can tell what it has changed, the
parent knows at the join what each value was at the fork, and both mean the same object by the same number: what refers to
a container of the parent comes back as a reference to it, not as a copy.

    difference()    in the child: its changes, as bytes; empty if there are none
    _merge_join     in the parent: merges them

Where the child is no fork (_submitted_share.py), the containers travel to it in the order of their numbers.

The snapshot costs a copy of each container, at most once a fork; the leaves are not copied. The difference costs a
comparison with these copies, and a pickle of what has changed. The comparison reads no leaf of dicts, lists and objects;
that of sets goes through their elements, whose pages the child then copies.
"""

import functools
import io
import pickle
import weakref

from snakefish._merge_changes import ATOMS, changed
from snakefish._merge_conflict import ABSENT
from snakefish._merge_kinds import LEAVES, PROTOCOL, SEQUENCES, Object, Set, Whole, kind_of
from snakefish._merge_mapped import InKey, Mapped, mapped_changes
from snakefish._merge_packed import holds_atoms, is_pickle, packed_atoms, unpacked_atoms
from snakefish._merge_rules import BY_TYPE, inferred
from snakefish._merge_trace import EXTRACTED, costs_begin

ROOT = 0  # the number of what holds the variables


class Names:
    """The kind of the root: its keys are the variables."""

    @staticmethod
    def parts(shadow):
        return [(label, value) for label, value in shadow.items() if type(value) not in LEAVES]


class Snapshot:
    """variables: {label: (namespace, name)}; rules: {label: Rule}.

    kinds, lives, shadows    by the number of the container
    index                    {id of a container: its number}
    """

    def __init__(self, variables, rules):
        self.variables, self.rules = variables, rules
        self.kinds, self.lives, self.shadows = [Names], [None], [self.read()]
        self.index = {}
        self._users = set()  # weak references to who needs it as it is; see _merge_latest.py
        self._owners, self._keys = [ROOT], [None]  # where each container was found
        self._more = {}  # and where else: {number: [(owner, key)]}
        self._dumps = dumps
        self.know([])
        for label, value in self.shadows[ROOT].items():
            if rules[label] is BY_TYPE and self._kind_of(ROOT, label, value) is None:
                inferred(value, label)
        number = ROOT
        while number < len(self.lives):
            for key, value in self.kinds[number].parts(self.shadows[number]):
                self._add(number, key, value)
            number += 1

    def is_used(self):
        return any(user() is not None for user in list(self._users))

    def use(self, user):
        """It is used as long as the object `user` lives. Other threads may call this at the same time."""
        self._users.difference_update([other for other in list(self._users) if other() is None])
        self._users.add(weakref.ref(user))

    def read(self):
        """{label: value} as they are now."""
        return {label: namespace[name] for label, (namespace, name) in self.variables.items() if name in namespace}

    @classmethod
    def arrived(cls, variables, values, kinds, lives, dumps):
        """A snapshot of another process, of objects that have come from there by pickle. dumps: as _dumps."""
        self = cls.__new__(cls)
        self.variables, self.rules, self.kinds, self.lives, self._dumps = variables, {}, kinds, lives, dumps
        self._users = set()
        self.shadows = [values, *(kind.shadow(live) for kind, live in zip(kinds[1:], lives[1:]))]
        self.index = {id(live): number for number, live in enumerate(lives) if number}
        self._owners, self._keys, self._more = [None] * len(lives), [None] * len(lives), {}
        for owner, (kind, shadow) in enumerate(zip(kinds, self.shadows)):
            for key, value in kind.parts(shadow):
                number = self.index.get(id(value))
                if number is not None and self._owners[number] is None:
                    self._owners[number], self._keys[number] = owner, key
                elif number is not None:
                    self._more.setdefault(number, []).append((owner, key))
        return self

    def know(self, twins):
        """twins: what both sides have besides, in the same order: functions and classes that have travelled by value. They go
        as numbers too, below 0, and come out as the other side's own."""
        self.twins, self.twin_index = twins, {id(twin): -1 - number for number, twin in enumerate(twins)}

    def number_of(self, obj):
        """The number of a container or twin; None: it has none."""
        number = self.index.get(id(obj))
        return self.twin_index.get(id(obj)) if number is None else number

    def _add(self, owner, key, value):
        number = self.index.get(id(value))
        if number is not None:
            self._more.setdefault(number, []).append((owner, key))
            return
        kind = self._kind_of(owner, key, value)
        if kind is None:
            return
        shadow = kind.shadow(value)
        self.index[id(value)] = len(self.lives)
        self.kinds.append(kind)
        self.lives.append(value)
        self.shadows.append(shadow)
        self._owners.append(owner)
        self._keys.append(key)

    def _kind_of(self, owner, key, value):
        try:
            return kind_of(value)
        except TypeError as reason:
            if owner == ROOT and self.rules[key].whole:
                return Whole  # a function merges it, which may know how
            raise TypeError(f"share: {self.written(owner, key)}: {reason}") from None

    def places(self, number):
        """Where it was found at the fork: [(number of a container, key)]."""
        return [(self._owners[number], self._keys[number]), *self._more.get(number, ())]

    def variable(self, number, known):
        """The first variable that leads to a container. known: {number: variable}, of those that were asked for before. Ask
        in the order of numbers, in which an owner comes before what it holds: else a long chain takes long."""
        met = number
        while met not in known and self._owners[met] != ROOT:
            met = self._owners[met]
        known[number] = known[met] if met in known else self._keys[met]
        return known[number]

    def written(self, owner, key):
        """How a place is written in Python."""
        return "".join(text for text, _ in self.path(owner, key))

    def path(self, owner, key):
        """[(how it is written, key)] from the variable down to a place."""
        steps = [(owner, key)]
        while owner != ROOT:
            owner, key = self._owners[owner], self._keys[owner]
            steps.append((owner, key))
        return [step(self.kinds[owner], key) for owner, key in reversed(steps)]

    # ---- in the child ----

    def difference(self):
        """What this process has changed since the snapshot, as bytes; empty if it has changed nothing."""
        costs = costs_begin()
        own = dict(self._changes(costs))
        data = self._pickled(own, self._ways(own), costs) if own else b""
        if costs:
            costs.write(EXTRACTED)
        return data

    def is_current(self):
        """Whether nothing has changed since the snapshot."""
        return next(self._changes(), None) is None

    def _changes(self, costs=None):
        """(number, changes) of each container that has changed."""
        changes = mapped_changes(self.shadows[ROOT], self.read())
        if changes:
            yield ROOT, changes
        number = changed(self.lives, self.shadows, 1)
        while number > 0:
            if costs:
                costs.turn_to(self.variable(number, costs.variables))
            changes = self.kinds[number].changes(self.shadows[number], self.lives[number])
            if costs:
                costs.turn_to(None)
            if changes is not None:
                yield number, changes
            number = changed(self.lives, self.shadows, number + 1)

    def _ways(self, own):
        """{number: {key: number}}: through which places, that themselves hold what they held, the changes are reached."""
        ways = {}
        todo = [number for number in own if number != ROOT]
        seen = set(todo)
        for number in todo:
            for owner, key in self.places(number):
                if _holds_still(self.kinds[owner], own.get(owner), key):
                    ways.setdefault(owner, {})[key] = number
                    if owner != ROOT and owner not in seen:
                        seen.add(owner)
                        todo.append(owner)
        return ways

    def _pickled(self, own, ways, costs):
        try:
            if all(map(holds_atoms, own.values())) and all(type(key) in ATOMS for keys in ways.values() for key in keys):
                for label, part in self._parts(own, ways, costs) if costs else ():
                    costs.count(label, len(packed_atoms(*part)))  # once more, to see how many bytes each has
                return packed_atoms(own, ways)
            as_they_are = {number for number in own if self.kinds[number] is Whole}

            def number_of(obj):
                number = self.number_of(obj)
                return None if number in as_they_are else number

            if costs and self._dumps is dumps:
                return self._counted(own, ways, number_of, costs)
            return self._dumps((own, ways), number_of)
        except Exception as error:
            raise TypeError(f"what a task has changed in {', '.join(self.variables)} cannot be pickled, so it cannot come "
                            f"back: {error}") from error

    def _counted(self, own, ways, number_of, costs):
        """Pickles them after the parts of each variable, whose bytes are counted."""
        file = io.BytesIO()
        pickler = _numbering(pickle.Pickler)(file, number_of)
        for label, part in self._parts(own, ways, costs):
            pickler.dump(label)
            before = file.tell()
            pickler.dump(part)
            costs.count(label, file.tell() - before)
        pickler.dump((own, ways))  # which only refers to what the pickler has met before
        return file.getvalue()

    def _parts(self, own, ways, costs):
        """(variable, (own, ways)) of each variable that has any."""
        bound = own[ROOT].values if ROOT in own else {}
        parts = {label: ({ROOT: Mapped({label: value})}, {}) for label, value in bound.items()}
        for number in sorted({*own, *ways} - {ROOT}):
            part = parts.setdefault(self.variable(number, costs.variables), ({}, {}))
            for of_variable, of_all in zip(part, (own, ways)):
                if number in of_all:
                    of_variable[number] = of_all[number]
        for label, part in parts.items():
            costs.turn_to(label)
            yield label, part
        costs.turn_to(None)


def dumps(value, number_of, pickler=pickle.Pickler):
    """The pickle of a value, in which objects go as their numbers. number_of(object): its number, or None: it goes as it is.
    pickler: pickle.Pickler, or a class derived from it."""
    file = io.BytesIO()
    _numbering(pickler)(file, number_of).dump(value)
    return file.getvalue()


@functools.lru_cache(None)
def _numbering(pickler):
    def begin(self, file, number_of):
        pickler.__init__(self, file, PROTOCOL)
        self._number_of = number_of

    return type("Numbering", (pickler,), {"__init__": begin, "persistent_id": lambda self, obj: self._number_of(obj)})


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, live_of, twins):
        super().__init__(file)
        self.live_of, self.twins = live_of, twins

    def persistent_load(self, number):
        return self.live_of(number) if number > 0 else self.twins[-1 - number]


def unpickled(data, live_of, twins, costs=None):
    """What dumps() has pickled, or packed_atoms(). live_of(number): what stands for a container of the snapshot. twins: as of
    Snapshot.know. It is the last of the pickles; before it may stand a variable's name and its part, of each."""
    if not is_pickle(data):
        return unpacked_atoms(data)
    file = io.BytesIO(data)
    unpickler = _Unpickler(file, live_of, twins)
    loaded = unpickler.load()
    while file.tell() < len(data):
        if costs:
            costs.turn_to(loaded if type(loaded) is str else None)
        loaded = unpickler.load()
    return loaded


def _holds_still(kind, changes, key):
    """Whether the container still holds at this place what it held."""
    if changes is None:
        return True
    if kind in SEQUENCES:
        return key not in changes.items and key not in changes.deleted
    if type(key) is InKey:
        return changes.values.get(key.key) is not ABSENT
    if kind is Set:
        return key not in changes[1]
    return key not in changes.values


def step(kind, key):
    """(how it is written, key) of one step down from a container."""
    if kind is Names:
        return key, key
    if type(key) is InKey:
        return f"<key {key.key!r}>", key.key
    if kind is Object:
        return f".{key}", key
    return f"[{key!r}]", key
