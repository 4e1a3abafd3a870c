"""Which cases of a test with many parameters are long: `make test` leaves them to `make stress`.

Of a matrix with the marker `diagonal` these are the cells beside its diagonal, on which each value of each parameter is. A
conftest imports the hook that marks them."""
import collections

import pytest


def first(count, values):
    """The values for parametrize, of which all after the first `count` are long. A tuple is the values of several parameters."""
    return [pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=[pytest.mark.long] * (at >= count))
            for at, value in enumerate(values)]


def is_on_diagonal(place, sizes):
    """Whether a walk along all axes at once, each again from its begin, meets this cell before it has met all values of each.
    place: the cell's place on each axis."""
    return any(all(at == step % size for at, size in zip(place, sizes)) for step in range(max(sizes)))


def places(items):
    """The place of each of these cells of one matrix. A value's place is when it came first; it is known by its identity."""
    seen, found = collections.defaultdict(dict), []
    for item in items:
        place = []
        for axis, mark in enumerate(item.iter_markers("parametrize")):
            names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
            value = tuple(id(item.callspec.params[name.strip()]) for name in names)
            place.append(seen[axis].setdefault(value, len(seen[axis])))
        found.append(place)
    return found


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out by marker
def pytest_collection_modifyitems(items):
    matrices = {}
    for item in items:
        if item.get_closest_marker("diagonal"):
            matrices.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cells in matrices.values():
        found = places(cells)
        sizes = [max(axis) + 1 for axis in zip(*found)]
        for item, place in zip(cells, found):
            if not is_on_diagonal(place, sizes):
                item.add_marker(pytest.mark.long)
