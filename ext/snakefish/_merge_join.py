"""The join: what a child has changed since the fork is merged into the parent's variables. Internal.

Three versions are there: the snapshot of the fork, the parent's objects now, and the child's changes. A Join follows the
changes from the variables down, and decides for each place that the child has changed:

    the parent has not changed it      it becomes the child's
    both have changed it               containers of one kind are merged by their parts, other values by the rule
    nobody can say                     Conflict, or what on_conflict says

Containers are objects, and are merged as such: a change is made once in an object, however many names lead to it. If the
parent has put another container in the place of one that the child has changed, the change is made in that one.

First everything is decided, then everything is written (see _merge_writes.py): all of a join, or nothing.
"""

import collections.abc
import pickle

from snakefish._merge_changes import ATOMS
from snakefish._merge_conflict import ABSENT, Conflict
from snakefish._merge_kinds import (MAPPED, SEQUENCES, Array, Bytes, Dict, Object, Set, Tuple, Whole, copied, default_of,
                                    kind_of, lookup)
from snakefish._merge_mapped import InKey
from snakefish._merge_parts import array_parts, join_sequences, merge_atoms, store_sequence
from snakefish._merge_rules import BY_TYPE, EITHER, NAMED, Undecided, is_number, merger_of, same_leaf
from snakefish._merge_snapshot import ROOT, Names, step, unpickled
from snakefish._merge_trace import MERGED, costs_begin
from snakefish._merge_view import View, is_reachable
from snakefish._merge_writes import Writes


class Join:
    """policy: "raise", "parent", "child", or a function that gets the Conflict and returns the value. tasks: the names of
    the parent's task and the child's. merge_function: a function that merges all variables, or None."""

    def __init__(self, snapshot, data, policy="raise", tasks=("the parent", "the child"), merge_function=None):
        self.snapshot, self.data, self.policy, self.tasks, self.merge_function = snapshot, data, policy, tasks, merge_function
        self.writes = Writes()
        self._costs = costs_begin()
        self._met = set()  # numbers of containers that the changes refer to
        self.own, self.ways = unpickled(data, self._meet, snapshot.twins, self._costs) if data else ({}, {})
        self._todo = []  # visits to come: (number, container, rule, path)
        self._visited = {}  # id of a container of the parent: (the container, the number that it was visited for)
        self._pairs = {}  # (id of the parent's, id of the child's) of new containers that became one: both, so that they live
        self._whole = {}  # (id of the parent's, number): what came of a value that merges as a whole
        self._by_functions = set()  # the variables that were merged as a whole
        self._changed = {}  # number: whether the parent has changed anything in it

    def run(self):
        """Merges, or raises and has changed nothing."""
        try:
            if self.merge_function:
                self._by_one_function()
            else:
                self._by_rules()
            if self._costs:
                self._costs.turn_to(None)
            self.writes.commit()
        finally:
            if self._costs:
                self._costs.write(MERGED)

    def _by_rules(self):
        self._variables()
        self._work()
        visited = set()
        while self._met - visited:
            number = min(self._met - visited)
            visited.add(number)
            path = self.snapshot.path(*self.snapshot.places(number)[0])
            if path[0][1] in self._by_functions:
                continue  # it is in the value that the function has got
            self._visit(number, self.snapshot.lives[number], _of_parts(self.snapshot.rules[path[0][1]]), path)
            self._work()

    def revert(self):
        """Undoes run(). Of several joins the last one comes first, and nothing else may have changed the variables since."""
        self.writes.revert()

    def _meet(self, number):
        self._met.add(number)
        return self.snapshot.lives[number]

    # ---- the variables ----

    def _variables(self):
        own, ways = self.own.get(ROOT), self.ways.get(ROOT, {})
        for label, (namespace, name) in self.snapshot.variables.items():
            if label not in ways and not (own and label in own.values):
                continue
            if self._costs:
                self._costs.turn_to(label)
            rule, path = self.snapshot.rules[label], [step(Names, label)]
            base, now = self.snapshot.shadows[ROOT].get(label, ABSENT), namespace.get(name, ABSENT)
            if rule is NAMED["readonly"] or rule.whole and self._differs(base, now):
                value = self._by_function(rule, path, base, now)
            else:
                value = _AS_IT_IS
            if value is not _AS_IT_IS:
                self._by_functions.add(label)
            else:
                rule = _of_parts(rule)
                value = (self._slot(base, now, own.values[label], rule, path) if own and label in own.values else
                         self._way(ways[label], now, rule, path))
            if value is not now:
                self.writes.bind(namespace, name, value)

    def _by_one_function(self):
        """It gets {label: value} of the fork, of the parent and of the child, and returns it."""
        base, child = View(self.snapshot), View(self.snapshot, self.data)
        current = self.snapshot.read()
        merged = self.merge_function(base.variables(), dict(current), child.variables())
        if not isinstance(merged, collections.abc.Mapping):
            raise TypeError(f"merge must return a dict of the merged values, not {type(merged).__name__}")
        for label in merged:
            if label not in self.snapshot.variables:
                raise ValueError(f"merge has returned {label!r}, which is not shared")
        own, ways = self.own.get(ROOT), self.ways.get(ROOT, {})
        for label, (namespace, name) in self.snapshot.variables.items():
            if label in merged:
                if merged[label] is not current.get(label, ABSENT):
                    self.writes.bind(namespace, name, merged[label])
            elif label in ways or own and label in own.values:
                raise ValueError(f"merge has returned no {label!r}, which the child has changed")

    def _by_function(self, rule, path, base, now):
        """What a function makes of a whole variable. _AS_IT_IS: it becomes the child's."""
        base = ABSENT if base is ABSENT else View(self.snapshot).value(base)
        try:
            child = View(self.snapshot, self.data).variable(path[0][1])
        except KeyError:
            child = ABSENT
        if rule is NAMED["readonly"]:
            if self.policy == "child":
                self._count_conflict(path)
                return _AS_IT_IS
            return self._conflict("it is readonly, and a task has changed it", path, base, now, child)
        if (now is ABSENT or child is ABSENT) and not rule.takes_absent:
            return self._conflict("one task has deleted what the other has changed", path, base, now, child)
        return rule.leaf(base, now, child)

    # ---- one place ----

    def _slot(self, base, now, child, rule, path, default=None):
        """The child has put `child` where `base` was; `now` is what the parent has there. What will be there; what is in it
        is merged too. default: a function that makes what a new value merges from."""
        if not self._differs(base, now):
            return child
        if now is child and kind_of(now) is not None:
            return now
        if now is ABSENT and child is ABSENT:
            return ABSENT
        if child is ABSENT and self.snapshot.index.get(id(base)) in self._met and now is base:
            return ABSENT  # the child has moved it, and what the parent has changed in it goes with it
        if base is ABSENT and default is not None:
            empty = default()
            if type(empty) is type(now) or is_number(empty) and is_number(now):
                base = empty
        kind = None if now is ABSENT or child is ABSENT else _same_kind(now, child)
        if kind in (None, Whole, Tuple):
            return self._leaf(base, now, child, rule, path)
        index = self.snapshot.index
        if now is base and (kind is Object or id(child) in index) and is_reachable(self.snapshot, base, self.own):
            return child  # the child refers to another object, and what the parent has changed in the old one is still there
        if id(child) in index or (now is not base and id(now) in index):
            return self._conflict("one task has replaced what the other has changed", path, base, now, child)
        return self._contents(kind, base, now, child, rule, path)

    def _leaf(self, base, now, child, rule, path):
        if (now is ABSENT or child is ABSENT) and not rule.takes_absent:
            return self._conflict("one task has deleted what the other has changed", path, base, now, child)
        if id(base) in self.snapshot.index:
            base = View(self.snapshot).value(base)
        try:
            merger = merger_of(type(now))
            if merger and rule in (BY_TYPE, NAMED["sum"]) and type(now) is type(child):
                if base is ABSENT:
                    raise Undecided("both tasks have put one there, and there is none at the fork to merge from")
                return merger(base, now, child)
            return rule.leaf(base, now, child)
        except Undecided as reason:
            return self._conflict(str(reason), path, base, now, child)

    def _contents(self, kind, base, now, child, rule, path):
        """Both have a container there, and both are of one kind: the child's is merged into the parent's."""
        if (id(now), id(child)) in self._pairs:
            return self._pairs[id(now), id(child)][2]
        is_new = _is_absent(kind, base, now)
        if kind is Array and (is_new or not base.shape == now.shape == child.shape):
            return self._leaf(base, now, child, rule, path)
        if kind in SEQUENCES and is_new and rule in (BY_TYPE, EITHER):
            if rule is EITHER and same_leaf(now, child):
                return now
            return self._conflict("both tasks have put one there, and nobody can tell whether its items are the same; use a "
                                  'defaultdict, or say "sum" if all items count, or "either" if both compute the same',
                                  path, base, now, child)
        number = None if is_new else self.snapshot.index.get(id(base))
        shadow = kind.shadow(kind.empty(now) if is_new else base) if number is None else self.snapshot.shadows[number]
        target = copied(kind, now) if now is base else now  # the child has made a new object of it
        self._pairs[id(now), id(child)] = now, child, target
        own = kind.changes(shadow, child)
        if own is not None:
            self._merge(kind, shadow, target, own, {}, rule, path)
        return target

    def _way(self, number, now, rule, path):
        """The child has changed something in the container `number`, which is still at its place there. What will be in this
        place of the parent, which has `now` there."""
        base, kind = self.snapshot.lives[number], self.snapshot.kinds[number]
        if kind is Whole:
            return self._whole_value(number, now, rule, path)
        if now is not base and kind is Object and is_reachable(self.snapshot, base):
            return now  # the parent refers to another object, and the old one is merged where it is
        if now is not base and (_is_absent(kind, now, base) or id(now) in self.snapshot.index):
            child = View(self.snapshot, self.data).value(base)
            what = "deleted" if now is ABSENT else "replaced"
            return self._conflict(f"one task has {what} what the other has changed", path,
                                  View(self.snapshot).value(base), now, child)
        self._visit(number, now, rule, path)
        return now

    def _whole_value(self, number, now, rule, path):
        child = self.own[number]
        if now is not ABSENT and type(now) is type(child) and (id(now), number) in self._whole:
            return self._whole[id(now), number][1]
        shadow = self.snapshot.shadows[number]
        if now is not ABSENT and type(now) is type(child) and Whole.changes(shadow, now) is None:
            value = child
        else:
            value = self._leaf(pickle.loads(shadow), now, child, rule, path)
        self._whole[id(now), number] = now, value
        return value

    # ---- one container ----

    def _visit(self, number, live, rule, path):
        met = self._visited.get(id(live))
        if met is not None and met[1] == number:
            return
        if met is not None:
            self._conflict("the parent has made one object of two that the child has changed", path,
                           ABSENT, live, View(self.snapshot, self.data).value(self.snapshot.lives[number]))
            return
        self._visited[id(live)] = live, number
        self._todo.append((number, live, rule, path))

    def _work(self):
        while self._todo:
            number, live, rule, path = self._todo.pop(0)
            if self._costs:
                self._costs.turn_to(path[0][1])
            own, ways = self.own.get(number), self.ways.get(number, {})
            if (own is not None or ways) and self.snapshot.kinds[number] is not Whole:
                self._merge(self.snapshot.kinds[number], self.snapshot.shadows[number], live, own, ways, rule, path)

    def _merge(self, kind, shadow, live, own, ways, rule, path):
        """The child's changes `own` of a container, and those that are found through its places `ways`, into `live`."""
        if kind in MAPPED:
            self._mapped(kind, shadow, live, own, ways, rule, path)
        elif kind in SEQUENCES:
            self._sequence(kind, shadow, live, own, ways, rule, path)
        elif kind is Array:
            rule = EITHER if rule is BY_TYPE else rule
            array_parts(shadow, live, own, rule, self.writes,
                        lambda key, *values: self._leaf(*values, rule, [*path, (f"[{key!r}]", key)]))
        elif kind is Set:
            self._set(shadow, live, own, ways, rule, path)
        else:
            for key, number in ways.items():
                self._way(number, lookup(kind, live, key), rule, [*path, step(kind, key)])

    def _mapped(self, kind, shadow, live, own, ways, rule, path):
        def decide(key, child):
            now, base = lookup(kind, live, key), shadow.get(key, ABSENT)
            if key in own.moved and type(child) in ATOMS and same_leaf(base, child):
                value = now  # it has moved only
            else:
                value = self._slot(base, now, child, rule, [*path, step(kind, key)], lambda: self._default(live, rule))
            moved = key in own.moved and value is not ABSENT
            if moved and now is not ABSENT:
                self.writes.store(kind, live, key, ABSENT)
            if moved or value is not now:
                self.writes.store(kind, live, key, value)

        if own and kind is Dict:
            merge_atoms(shadow, live, own, rule, lambda values: self.writes.update(live, values), decide)
        elif own:
            for key, child in own.values.items():
                decide(key, child)
        for key, number in ways.items():
            if type(key) is InKey:
                self._met.add(number)
                continue
            now = lookup(kind, live, key)
            if self._is_elsewhere(kind, live, number, now):
                continue
            value = self._way(number, now, rule, [*path, step(kind, key)])
            if value is not now:
                self.writes.store(kind, live, key, value)

    def _default(self, live, rule):
        default = default_of(live)
        return 0 if default is ABSENT and rule is NAMED["sum"] else default

    def _is_elsewhere(self, kind, live, number, now):
        """Whether the parent has moved a container within the one that held it; its changes are made there."""
        base = self.snapshot.lives[number]
        if now is base or not any(value is base for _, value in kind.parts(kind.shadow(live))):
            return False
        self._met.add(number)
        return True

    def _set(self, shadow, live, own, ways, rule, path):
        if own:
            added, removed = own
            union = rule is NAMED["union"] and set.__ne__(shadow, live)
            self.writes.update_set(live, added, set() if union else removed)
        for key, number in ways.items():
            now = lookup(Set, live, key)
            if now is not ABSENT:
                value = self._way(number, now, rule, [*path, step(Set, key)])
                if value is not now:
                    self.writes.update_set(live, {value}, {now})

    def _sequence(self, kind, shadow, live, own, ways, rule, path):
        theirs = kind.changes(shadow, live)
        if kind is Bytes and rule is BY_TYPE:
            rule = EITHER
        if own is not None and theirs is not None and own.middle() and theirs.middle():
            values = list(shadow), list(live), own.apply(shadow)
            value = rule.leaf(*values) if rule.takes_absent else self._conflict(
                "both tasks have inserted between other items", path, *values)
            self.writes.contents(kind, live, value)
            return
        states = {}  # {index at the fork: what will be there}, of the items that change
        for index in (*own.items, *sorted(own.deleted)) if own is not None else ():
            now = _item_now(shadow, theirs, index)
            value = self._slot(shadow[index], now, own.items.get(index, ABSENT), rule, [*path, step(kind, index)])
            if value is not now:
                states[index] = value
        for index, number in ways.items():
            now = _item_now(shadow, theirs, index)
            if self._is_elsewhere(kind, live, number, now):
                continue
            value = self._way(number, now, rule, [*path, step(kind, index)])
            if value is not now:
                states[index] = value
        store_sequence(self.writes, kind, live, join_sequences(shadow, live, own, theirs, states))

    # ---- questions ----

    def _differs(self, base, now):
        """Whether the parent has changed a place: it holds something else than at the fork, or that has changed."""
        if base is not now:
            if type(now) not in ATOMS or not same_leaf(base, now):
                return True
        number = self.snapshot.index.get(id(base))
        return number is not None and self._has_changed(number)

    def _has_changed(self, number):
        """Whether the parent has changed a container since the fork, or anything that it leads to."""
        seen, todo = {number}, [number]
        snapshot = self.snapshot
        for number in todo:
            kind = snapshot.kinds[number]
            if number not in self._changed:
                self._changed[number] = kind.changes(snapshot.shadows[number], snapshot.lives[number]) is not None
            if self._changed[number]:
                return True
            for _, value in kind.parts(snapshot.shadows[number]):
                part = snapshot.index.get(id(value))
                if part is not None and part not in seen:
                    seen.add(part)
                    todo.append(part)
        return False

    def _count_conflict(self, path):
        if self._costs:
            self._costs.count(path[0][1], 1)

    def _conflict(self, reason, path, base, now, child):
        """What on_conflict says; raises Conflict if it says "raise"."""
        self._count_conflict(path)
        if self.policy == "parent":
            return now
        if self.policy == "child":
            return child
        if self.snapshot.index.get(id(base)) is not None:
            base = View(self.snapshot).value(base)
        conflict = Conflict._about(reason, path, base, now, child, self.tasks)
        if self.policy == "raise":
            raise conflict
        return self.policy(conflict)


_AS_IT_IS = object()


def _of_parts(rule):
    """The rule for what is in a variable: a function that merges whole variables, and readonly, say nothing about it."""
    return BY_TYPE if rule.whole or rule is NAMED["readonly"] else rule


def _is_absent(kind, base, now):
    """Whether the container of the parent has nothing of its kind at the fork to be compared with."""
    return type(base) is not type(now) or kind_of(base) is not kind


def _same_kind(now, child):
    try:
        kind = kind_of(now)
        return kind if type(now) is type(child) and kind is kind_of(child) else None
    except TypeError:  # pandas
        return None


def _item_now(shadow, theirs, index):
    """What the parent has of an item of the fork, or ABSENT."""
    if theirs is None:
        return shadow[index]
    return ABSENT if index in theirs.deleted else theirs.items.get(index, shadow[index])
