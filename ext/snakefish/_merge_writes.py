"""What a join will write, collected first and written at once. Internal; for _merge_join.py.

Nothing is written before commit(), so a join that fails has changed nothing. If a write raises, or a signal handler between
two writes, those before it are undone, the order of keys included.

Containers are written by the methods of their built-in classes: a subclass's own __setitem__ or __setattr__ has run in the
child already.
"""

from collections import OrderedDict, deque

from snakefish._merge_conflict import ABSENT
from snakefish._merge_kinds import Bytes, Deque, Dict, List, Object, Ordered, Set, fields, set_field

_CLASSES = {Dict: dict, Ordered: OrderedDict, List: list, Deque: deque, Bytes: bytearray}


class Writes:
    def __init__(self):
        self._todo = []  # (function, arguments)
        self._undo = []  # (function, arguments), noted before each write: what restores what was there
        self._copied = {}  # ids of the dicts that are copied for it

    def store(self, kind, live, key, value):
        """A key, attribute, item or element gets a value; ABSENT: it goes."""
        if kind is Object:
            self._todo.append((_store_attribute, (live, key, value)))
        elif kind is Set:
            self.update_set(live, set() if value is ABSENT else {value}, {key})
        elif value is ABSENT:
            self._todo.append((self._remove_key, (kind, live, key)))
        else:
            self._todo.append((_store_item, (_CLASSES[kind], live, key, value)))

    def update(self, live, values):
        """Of a dict: several keys get their values."""
        self._todo.append((_update, (live, values)))

    def bind(self, namespace, name, value):
        """A global gets a value; ABSENT: it goes."""
        self.store(Dict, namespace, name, value)

    def extend(self, kind, live, values):
        self._todo.append((_extend, (_CLASSES[kind], live, values)))

    def contents(self, kind, live, values):
        """A list, deque or bytearray gets these items in place of all that it has."""
        self._todo.append((_replace, (_CLASSES[kind], live, values)))

    def update_set(self, live, added, removed):
        self._todo.append((_update_set, (live, added, removed)))

    def elements(self, live, indices, values):
        """Of an array; indices: those of its flat elements."""
        self._todo.append((_store_elements, (live, indices, values)))

    def commit(self):
        try:
            for write, arguments in self._todo:
                write(self._undo, *arguments)
        except BaseException:
            self.revert()
            raise

    def revert(self):
        """Undoes the writes, if nobody has written since: of several commits the last one comes first. If it is interrupted
        it can be called again: to undo a write twice does no harm."""
        while self._undo:
            function, arguments = self._undo[-1]
            function(*arguments)
            self._undo.pop()

    def _remove_key(self, undo, kind, live, key):
        """A key that is stored again would stand at the end, so what undoes it is a copy: one for all keys of a dict."""
        if id(live) not in self._copied:
            self._copied[id(live)] = live
            undo.append((_restore_dict, (_CLASSES[kind], live, kind.shadow(live))))
        _CLASSES[kind].__delitem__(live, key)


def _store_item(undo, cls, live, key, value):
    old = dict.get(live, key, ABSENT) if isinstance(live, dict) else live[key]
    undo.append((_drop, (cls, live, key)) if old is ABSENT else (cls.__setitem__, (live, key, old)))
    cls.__setitem__(live, key, value)


def _update(undo, live, values):
    undo.append((_restore_items, (live, values, {key: dict.__getitem__(live, key) for key in values.keys() & dict.keys(live)})))
    dict.update(live, values)


def _restore_items(live, values, old):
    for key in values:
        if key not in old:
            _drop(dict, live, key)
    dict.update(live, old)


def _drop(cls, live, key):
    if key in live:
        cls.__delitem__(live, key)


def _restore_dict(cls, live, contents):
    cls.clear(live)
    for key, value in contents.items():
        cls.__setitem__(live, key, value)


def _store_attribute(undo, live, name, value):
    undo.append((_restore_attributes, (live, fields(live))))
    set_field(live, name, value)


def _restore_attributes(live, values):
    for name in fields(live):
        set_field(live, name, ABSENT)
    for name, value in values.items():
        set_field(live, name, value)


def _extend(undo, cls, live, values):
    undo.append((_replace_all, (cls, live, cls(live))) if getattr(live, "maxlen", None) is not None else
                (_cut, (cls, live, len(live))))
    cls.extend(live, values)


def _cut(cls, live, length):
    while len(live) > length:
        cls.pop(live)


def _replace(undo, cls, live, values):
    undo.append((_replace_all, (cls, live, cls(live))))
    _replace_all(cls, live, values)


def _replace_all(cls, live, values):
    if cls is bytearray:
        bytearray.__setitem__(live, slice(None), bytes(values))
    else:
        cls.clear(live)
        cls.extend(live, values)


def _update_set(undo, live, added, removed):
    removed = removed & live
    undo.append((_restore_set, (live, added - live, removed)))
    set.difference_update(live, removed)
    set.update(live, added)


def _restore_set(live, added, removed):
    set.difference_update(live, added)
    set.update(live, removed)


def _store_elements(undo, live, indices, values):
    undo.append((live.flat.__setitem__, (indices, live.flat[indices].copy())))
    live.flat[indices] = values
