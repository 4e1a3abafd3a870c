"""Which slots of a container hold another object than before, found by identity. Internal; for _merge_kinds.py.

`before` is a copy of the container that nobody has changed since it was made. Comparing identities reads no object in the
container: in a forked child no page of theirs is copied, and no __eq__ runs. CPython has these functions in C, in
ext/py/base/changes.c; here they are for PyPy.
"""

ATOMS = frozenset((int, float, complex, str, bytes, bool, type(None)))  # the commonest types that nobody can change


def others(container, leaves):
    """[(key, value)] of the values whose type is not in the set `leaves`, and which are no tuples of ATOMS. In a list the
    key is the index; what is no dict and no list is iterated over, and each element is its own key."""
    if isinstance(container, dict):
        items = container.items()
    else:
        items = enumerate(container) if isinstance(container, list) else zip(container, container)
    return [(key, value) for key, value in items if type(value) not in leaves and not (
            type(value) is tuple and all(type(item) in ATOMS for item in value))]


def dict_changes(before, now):
    """None if both have the same keys in the same order with the same objects. Else (gone, held, moved): the keys that are
    gone; (key, value) of those that are new, or hold another object, or have moved behind others, in the order of `now`;
    and the keys that have moved. Who deletes the keys that are gone or have moved, and then stores those that are held in
    their order, makes `before` into `now`."""
    gone, held, moved = [], [], []
    missing = set()  # what has moved, until it is met
    old, new = iter(before.items()), iter(now.items())
    pair = next(old, None)
    for key, value in new:
        while pair is not None and pair[0] is not key:
            if pair[0] in now:
                missing.add(pair[0])
            else:
                gone.append(pair[0])
            pair = next(old, None)
        if pair is not None:
            if pair[1] is not value:
                held.append((key, value))
            pair = next(old, None)
        else:
            if key in missing:
                moved.append(key)
            held.append((key, value))
    while pair is not None:
        gone.append(pair[0])
        pair = next(old, None)
    return (gone, held, moved) if gone or held or moved else None


def list_changes(before, now):
    """None if both hold the same objects. Else (indices, same): the indices below both lengths whose objects differ, and
    how many objects at the end are the same, not counting those before the first index that differs."""
    shorter = min(len(before), len(now))
    indices = [index for index in range(shorter) if before[index] is not now[index]]
    if not indices and len(before) == len(now):
        return None
    most = shorter - (indices[0] if indices else shorter)
    same = 0
    while same < most and before[-1 - same] is now[-1 - same]:
        same += 1
    return indices, same


def changed(lives, shadows, first):
    """The least index from `first` on at which a container may have changed, or -1. In doubt it may: the kinds look again.
    A shadow that is the container itself is that of a tuple."""
    for index in range(first, len(lives)):
        live, shadow = lives[index], shadows[index]
        if shadow is not live and not (type(shadow) is dict is type(live) and dict_changes(shadow, live) is None or
                                       type(shadow) is list is type(live) and list_changes(shadow, live) is None):
            return index
    return -1


try:
    from snakefish._snakefish import _changed as changed  # type: ignore[no-redef]  # noqa: F401,F811
    from snakefish._snakefish import _dict_changes as dict_changes  # type: ignore[no-redef]  # noqa: F811
    from snakefish._snakefish import _list_changes as list_changes  # type: ignore[no-redef]  # noqa: F811
    from snakefish._snakefish import _others as others  # type: ignore[no-redef]  # noqa: F401,F811
except ImportError:  # PyPy
    pass
