"""How changes travel that consist of atoms only, which most do: by marshal. Internal; for _merge_snapshot.py.

Pickle would name their classes, and look for them at the other end. In a fresh process, and in one that has just forked, that
runs into a hundred pages which are copied because of it.
"""

import itertools
import marshal

from snakefish._merge_changes import ATOMS
from snakefish._merge_conflict import ABSENT
from snakefish._merge_mapped import Mapped
from snakefish._merge_sequence import SequenceChanges

_VERSION = 4  # of marshal's format: that of all Pythons that run this
_ATOMS_OR_ABSENT = ATOMS | {type(ABSENT)}
_GONE = ...  # stands for ABSENT, which marshal does not know; it is no atom


def holds_atoms(changes):
    """Whether nothing in these changes could be a container of the snapshot."""
    if isinstance(changes, Mapped):
        return ATOMS.issuperset(map(type, changes.values)) and _ATOMS_OR_ABSENT.issuperset(map(type, changes.values.values()))
    return isinstance(changes, SequenceChanges) and ATOMS.issuperset(
        map(type, itertools.chain(changes.items.values(), *changes.inserted.values())))


def packed_atoms(own, ways):
    return marshal.dumps(({number: _plain(changes) for number, changes in own.items()}, ways), _VERSION)


def is_pickle(data):
    """Or what packed_atoms() has made."""
    return data[:1] == b"\x80"  # PROTO; no code of marshal's


def unpacked_atoms(data):
    own, ways = marshal.loads(data)
    return {number: _of_plain(*changes) for number, changes in own.items()}, ways


def _plain(changes):
    if isinstance(changes, SequenceChanges):
        return changes.length, changes.items, changes.deleted, changes.inserted
    values = changes.values
    if type(ABSENT) in map(type, values.values()):
        values = {key: _GONE if value is ABSENT else value for key, value in values.items()}
        return values, changes.moved, True
    return values, changes.moved, False


def _of_plain(first, second, third, *more):
    if more:
        return SequenceChanges(first, second, third, *more)
    return Mapped({key: ABSENT if value is _GONE else value for key, value in first.items()} if third else first, second)
