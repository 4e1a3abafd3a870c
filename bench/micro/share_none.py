"""share-none: a process that may change a shared table of ints, and changes nothing"""
from bench.support import sharing
from bench.support.sharing import check_size, expected, floor_is, needs, operation, output, size, sizes, unit  # noqa: F401

seconds = 1.0
full_only = True
targets = {}  # its cost is shown; share-one has a target


def keys(count, turn):
    return ()


operations, ready, floor = sharing.rounds_of(10, keys)
