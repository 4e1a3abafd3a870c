"""How the items of two sequences, the elements of two arrays, and the atoms of two dicts come together. Internal; for
_merge_join.py."""

from collections import Counter, defaultdict

from snakefish._merge_changes import ATOMS
from snakefish._merge_conflict import ABSENT
from snakefish._merge_rules import BY_TYPE, EITHER, NAMED, merger_of


def merge_atoms(shadow, live, own, rule, update, decide):
    """The commonest changes of a dict, many at once: atoms in the place of what the parent has not changed, and ints that both
    have changed, if the rule adds them or takes equal ones. update(values) writes these, decide(key, child) is for each
    other change. They are called in the child's order."""
    adds, finds_equal = rule in (BY_TYPE, NAMED["sum"]) and not merger_of(int), rule is EITHER
    empty, moved, get, values = _empty_count(live, rule), own.moved, shadow.get, {}
    for key, child in own.values.items():
        if type(child) in ATOMS and key not in moved:
            now, base = dict.get(live, key, ABSENT), get(key, ABSENT)
            if now is base and (base is ABSENT or type(base) in ATOMS):
                values[key] = child
                continue
            if type(child) is int is type(now):
                base = empty if base is ABSENT else base
                if adds and type(base) is int:
                    values[key] = now + (child - base)
                    continue
                if finds_equal and now == child:
                    continue
        if values:
            update(values)
            values = {}
        decide(key, child)
    if values:
        update(values)


def _empty_count(live, rule):
    """What a count merges from if its key is new to both tasks; None: another value, or none."""
    if isinstance(live, defaultdict):
        return 0 if live.default_factory is int else None
    return 0 if rule is NAMED["sum"] or isinstance(live, Counter) else None


def join_sequences(shadow, live, own, theirs, states):
    """(items, added, all): {index in `live`: new value} and the new items at the end, if nothing else changes, and all None;
    else all items of the merged sequence.

    own, theirs: the changes of the child and of the parent, or None. states: {index at the fork: what will be there, or
    ABSENT} of the items that the child has changed. Where both have inserted at the end, the parent's come first, for they
    were there first; so do the parent's at the front stand nearer to the old items."""
    length = len(shadow)
    inserted = own.inserted if own is not None else {}
    at_end = inserted.get(length, [])
    if ABSENT not in states.values() and set(inserted) <= {length} and (theirs is None or not (
            theirs.deleted or set(theirs.inserted) - {length})):
        return states, at_end, None
    now = []
    before = theirs.inserted if theirs is not None else {}
    for index in range(length):
        mine = inserted.get(index, [])
        now += [*mine, *before.get(index, [])]
        value = states[index] if index in states else _kept(shadow, theirs, index)
        if value is not ABSENT:
            now.append(value)
    now += [*before.get(length, []), *at_end]
    return {}, [], now


def _kept(shadow, theirs, index):
    if theirs is None:
        return shadow[index]
    return ABSENT if index in theirs.deleted else theirs.items.get(index, shadow[index])


def store_sequence(writes, kind, live, joined):
    items, added, everything = joined
    if everything is not None:
        writes.contents(kind, live, everything)
        return
    for index, value in items.items():
        writes.store(kind, live, index, value)
    if added:
        writes.extend(kind, live, added)


def array_parts(shadow, live, own, rule, writes, leaf):
    """The child's changes of an array. leaf(index, base, now, child): merges one element that both have changed."""
    import numpy

    if live.shape != shadow.shape or live.dtype != shadow.dtype:
        raise TypeError(f"an array of shape {shadow.shape} and type {shadow.dtype} has become one of {live.shape} and "
                        f"{live.dtype} in place, so nothing can be merged into it: bind a new array instead")
    indices = numpy.arange(live.size) if own[0] is None else own[0]
    base, now, child = shadow.reshape(-1)[indices], live.flat[indices], own[1]

    def differ(one, other):
        return _bytes_of(one) != _bytes_of(other)

    only_now = differ(base, now).any(axis=1)
    both = numpy.flatnonzero(only_now & differ(base, child).any(axis=1))
    value = numpy.where(only_now, now, child)
    if both.size:
        value[both] = _merged(rule, base[both], now[both], child[both], [int(at) for at in indices[both]], shadow.shape, leaf)
    writes.elements(live, indices, value)


def _bytes_of(array):
    import numpy

    return numpy.ascontiguousarray(array).view(numpy.uint8).reshape(-1, array.itemsize)


def _merged(rule, base, now, child, indices, shape, leaf):
    import numpy

    if rule is NAMED["sum"] and base.dtype.kind in "iufc":
        return now + (child - base)
    if rule in (NAMED["max"], NAMED["min"]) and base.dtype.kind in "iuf":
        return (numpy.maximum if rule is NAMED["max"] else numpy.minimum)(now, child)
    merged = now.copy()
    for at, flat in enumerate(indices):
        place = tuple(int(step) for step in numpy.unravel_index(flat, shape))
        merged[at] = leaf(place[0] if len(place) == 1 else place, base[at], now[at], child[at])
    return merged
