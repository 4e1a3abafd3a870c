"""share-first: the first process that changes one key of a shared table of ints, when nothing is known of the table yet

The state at the fork has to be kept, so the table is copied once. In share-one that has happened before.
"""
from bench.micro.share_one import keys
from bench.support import sharing
from bench.support.sharing import check_size, expected, needs, operation, output, size, unit  # noqa: F401

seconds = 0.5
floor_is = "os.fork, a copy of the dict, and memcmp of as many entries"
full_only = True
targets = {"floor": 1 / 1.5}
operations, ready, floor = sharing.rounds_of(1, keys, rehearsed=False, before=dict)
