"""share-all: a process that changes all keys of a shared table of ints"""
from bench.support import sharing
from bench.support.sharing import check_size, expected, floor_is, needs, operation, output, size, sizes, unit  # noqa: F401

seconds = 5.0
full_only = True
targets = {}  # its cost is shown; share-one has a target


def keys(count, turn):
    return range(count)


operations, ready, floor = sharing.rounds_of(2, keys)
