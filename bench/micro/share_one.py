"""share-one: a process that changes one key of a shared table of ints"""
from bench.support import sharing
from bench.support.sharing import check_size, expected, floor_is, needs, operation, output, size, sizes, unit  # noqa: F401

seconds = 1.0
full_only = True
targets = {"floor": 1 / 1.5}


def keys(count, turn):
    return (turn,)


operations, ready, floor = sharing.rounds_of(10, keys)
