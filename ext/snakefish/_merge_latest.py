"""The snapshot of the last fork, brought up to date for the next one. Internal; for _sharing.py.

A new snapshot copies all containers, and so writes the reference count of each leaf. After a fork each page of the leaves
costs a page fault then, and another one when the old copy is freed: some fifty times what the fork and a comparison take. So
the last snapshot is kept, and at the next fork it gets what has changed since.

It is kept only if it consists of dicts and lists of atoms, nobody notices how long these live, and if the variables are
globals of modules. It stays as it is as long as a child needs it, in the parent and in the child itself.

It must not keep alive what the program has dropped. So each collection of garbage drops a snapshot of a module that is gone, or
whose variables are bound to other containers, and a full one also a snapshot in which anything has changed.
"""

import gc
import sys
import weakref

from snakefish._merge_changes import ATOMS, changed, dict_changes, list_changes, others
from snakefish._merge_kinds import Dict, List
from snakefish._merge_snapshot import ROOT, Snapshot

_latest: list = []  # at most one. Who renews it takes it out, so that no thread or signal handler meets it half renewed
_ATOMS = set(ATOMS)
try:
    from snakefish._snakefish import _stale_dropper
except ImportError:  # PyPy, whose collector calls nobody. There a new copy writes no reference counts, and nothing is kept
    _drop_stale = None
else:
    _drop_stale = _stale_dropper(_latest)  # a callback of the garbage collector


def snapshot_for(user, variables, rules):
    """A Snapshot of the variables as they are now. It stays as it is as long as the object `user` lives."""
    try:
        snapshot = _latest.pop()
    except IndexError:
        snapshot = None
    if snapshot is None or not _is_of(snapshot, variables, rules) or not _renew(snapshot):
        snapshot = Snapshot(variables, rules)
        keep = _is_plain(snapshot)
    else:
        keep = True
    snapshot.use(user)
    bound = _bound(snapshot) if keep and _drop_stale else None
    if bound is not None:
        snapshot.bound = bound
        _latest[:] = [snapshot]
        if _drop_stale not in gc.callbacks:
            gc.callbacks.append(_drop_stale)
    return snapshot


def _is_of(snapshot, variables, rules):
    """Compared by identity: a comparison of the namespaces would compare all that is in them."""
    return (snapshot.variables.keys() == variables.keys() and
            all(rules[label] is snapshot.rules[label] and snapshot.variables[label][0] is where and
                snapshot.variables[label][1] == name for label, (where, name) in variables.items()))


def _bound(snapshot):
    """[(weak reference to the module, name, container or None)] of the variables; None if one is no global of a module, whose
    namespace nobody else may refer to."""
    bound = []
    for label, (namespace, name) in snapshot.variables.items():
        module = sys.modules.get(namespace.get("__name__"))
        if getattr(module, "__dict__", None) is not namespace:
            return None
        value = snapshot.shadows[ROOT].get(label)
        bound.append((weakref.ref(module), name, value if id(value) in snapshot.index else None))
    return bound


def _is_plain(snapshot):
    """Whether there are dicts and lists only, and atoms in them. A rule that is a function may hold anything."""
    if any(rule.whole for rule in snapshot.rules.values()):
        return False
    if not _are_atoms(value for value in snapshot.shadows[ROOT].values() if id(value) not in snapshot.index):
        return False
    for kind, shadow in zip(snapshot.kinds[1:], snapshot.shadows[1:]):
        if kind is not Dict and kind is not List:
            return False
        if kind is Dict and others(shadow.keys(), _ATOMS):
            return False
        if any(id(value) not in snapshot.index for _, value in others(shadow, _ATOMS)):
            return False
    return True


def _are_atoms(values):
    return _ATOMS.issuperset(map(type, values))


def _renew(snapshot):
    """Brings a plain snapshot up to date. False: it cannot be, and must not be used any more."""
    if snapshot.is_used():
        return snapshot.is_current()
    before, now = snapshot.shadows[ROOT], snapshot.read()
    if before.keys() != now.keys():
        return False
    for label, value in now.items():
        if value is not before[label] and not (type(value) in ATOMS and isinstance(before[label], type(value))):
            return False
    snapshot.shadows[ROOT] = now
    number = changed(snapshot.lives, snapshot.shadows, 1)
    while number > 0:
        update = _update_dict if snapshot.kinds[number] is Dict else _update_list
        if not update(snapshot.shadows[number], snapshot.lives[number]):
            return False
        number = changed(snapshot.lives, snapshot.shadows, number + 1)
    return True


def _update_dict(shadow, live):
    found = dict_changes(shadow, live)
    if found is None:
        return True
    gone, held, moved = found
    new = dict(held)
    if not (_are_atoms(map(shadow.get, gone)) and _are_atoms(map(shadow.get, new)) and _are_atoms(new) and
            _are_atoms(new.values())):
        return False  # containers have come or gone
    for key in (*gone, *moved):
        del shadow[key]
    shadow.update(new)
    return True


def _update_list(shadow, live):
    if type(live) is not list:
        return False
    found = list_changes(shadow, live)
    if found is None:
        return True
    indices, length = found[0], min(len(shadow), len(live))
    if not (_are_atoms(map(live.__getitem__, indices)) and _are_atoms(map(shadow.__getitem__, indices)) and
            _are_atoms(shadow[length:]) and _are_atoms(live[length:])):
        return False
    for index in indices:
        shadow[index] = live[index]
    shadow[length:] = live[length:]
    return True
