"""share-hundredth: a process that changes every hundredth key of a shared table of ints"""
from bench.support import sharing
from bench.support.sharing import check_size, expected, floor_is, needs, operation, output, size, sizes, unit  # noqa: F401

seconds = 3.0
full_only = True
targets = {}  # its cost is shown; share-one has a target


def keys(count, turn):
    return range(turn, count, 100)


operations, ready, floor = sharing.rounds_of(3, keys)
