"""share_check=: warns when a task has changed a global of its module that nothing brings back. Internal; for _sharing.py.

    parent, at the fork    watch = Watch(namespace, snapshot)     what the module's globals are, but for those that are shared
    child, after f         watch.changed()                        the names of those that it has changed
    parent, at the join    warn(f, namespace, names)

A Watch is a Snapshot that refuses nothing. It knows dicts, lists, sets, deques, bytearrays, arrays, and objects whose class is
of the same module, with all that these hold; of objects of other modules' classes only which values their attributes have.
Functions, classes, modules, and all that it does not know count as changed only if the name has got another object.
"""

import types
import warnings

from snakefish._merge_conflict import ABSENT
from snakefish._merge_kinds import Array, Object, Whole, has_only_attributes, kind_of
from snakefish._merge_rules import EITHER, is_number
from snakefish._merge_share import unwrapped
from snakefish._merge_snapshot import ROOT, Snapshot

_warned = set()  # (function, variable): each once


class Outline(Object):
    """Objects of other modules' classes: what is in their attributes is theirs."""

    @staticmethod
    def parts(shadow):
        return ()


class Resizable(Array):
    @staticmethod
    def changes(shadow, live):
        same = live.shape == shadow.shape and live.dtype == shadow.dtype
        return Array.changes(shadow, live) if same else (None, live)


class Watch(Snapshot):
    """namespace: the globals of a module; shared: the Snapshot of those that come back."""

    def __init__(self, namespace, shared):
        self.namespace, self.shared = namespace, shared
        known = {name for where, name in shared.variables.values() if where is namespace}
        self._names = {name for name in namespace if type(name) is str} | known
        variables = {name: (namespace, name) for name in self._names - known if not _is_pythons(name)}
        super().__init__(variables, dict.fromkeys(variables, EITHER))

    def _add(self, owner, key, value):
        try:
            super()._add(owner, key, value)
        except Exception:  # a method of its class has raised
            pass

    def _kind_of(self, owner, key, value):
        if id(value) in self.shared.index:
            return None  # it comes back by another name
        try:
            kind = kind_of(value)
        except TypeError:
            return None
        if kind is Whole:
            kind = Object if has_only_attributes(type(value)) else None
        if kind is Array:
            return Resizable
        if kind is Object and type(value).__module__ != self.namespace.get("__name__"):
            return Outline
        return kind

    def is_current_beside(self, shared):
        """Whether nothing has changed, and what is shared now consists of the same objects."""
        return self.shared.index.keys() == shared.index.keys() and self.is_current()

    def changed(self):
        """The names of the variables that this process has changed or made, sorted."""
        names = {name for name, value in list(self.namespace.items())
                 if name not in self._names and type(name) is str and not _is_pythons(name) and
                 not isinstance(value, types.ModuleType)}
        known = {}
        for number, changes in self._changes():
            names.update(changes.values if number == ROOT else [self.variable(number, known)])
        return sorted(names)


def _is_pythons(name):
    """Whether a name belongs to Python itself, as __name__ and __warningregistry__ do."""
    return name.startswith("__") and name.endswith("__")


def warn(f, namespace, names):
    """Warns at the place in the program that joins, of each function and variable once. May raise, as warnings may."""
    from snakefish._threads import place

    f = unwrapped(f)
    function = getattr(f, "__qualname__", None) or type(f).__qualname__
    module = namespace.get("__name__")
    for name in names:
        if (module, function, name) in _warned:
            continue
        _warned.add((module, function, name))
        frame = place()
        where = f" of module {module!r}" if module else ""
        warnings.warn_explicit(
            f"{function} has changed the global {name!r}{where} in its process, and nothing brings it back: "
            f"{_remedy(name, namespace)}", RuntimeWarning, frame.f_code.co_filename, frame.f_lineno,
            frame.f_globals.get("__name__") or "<string>", frame.f_globals.setdefault("__warningregistry__", {}))


def _remedy(name, namespace):
    value = namespace.get(name, ABSENT)
    try:
        by_type = is_number(value) or kind_of(value) is not None
    except TypeError:  # pandas
        by_type = False
    remedy = f"share={[name] if by_type else {name: 'last'}} does"
    return f"{remedy}, if the global is there at the start" if value is ABSENT else remedy
