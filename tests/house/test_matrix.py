"""Which cells of a matrix of parameters are long."""
import itertools
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import matrix

SOURCE = """
import pytest
from matrix import first

@pytest.mark.diagonal
@pytest.mark.parametrize("a, also", [(0, 0), (1, 0), (2, 0)])
@pytest.mark.parametrize("b", "xy")
def test_both(a, also, b):
    pass

@pytest.mark.parametrize("a", range(3))
@pytest.mark.parametrize("b", range(3))
def test_all(a, b):
    pass

@pytest.mark.parametrize("a", first(1, range(3)))
def test_one(a):
    pass

@pytest.mark.parametrize("a, b", first(1, [(1, 2), (3, 4)]))
def test_pair(a, b):
    pass
"""


def test_each_value_of_each_parameter_is_on_the_diagonal():
    for sizes in (1,), (4, 4), (2, 7, 3):
        kept = [place for place in itertools.product(*map(range, sizes)) if matrix.is_on_diagonal(place, sizes)]
        assert len(kept) == max(sizes)
        assert [set(axis) for axis in zip(*kept)] == [set(range(size)) for size in sizes]


def test_the_other_cells_are_long_where_a_test_asks_for_that(tmp_path):
    (tmp_path / "conftest.py").write_text("from matrix import pytest_collection_modifyitems\n")
    (tmp_path / "test_cells.py").write_text(SOURCE)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", "-m", "not long",
                           "test_cells.py"], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.path.dirname(matrix.__file__)})
    found = [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    assert found[:3] == ["test_both[x-0-0]", "test_both[x-2-0]", "test_both[y-1-0]"], done.stdout
    assert found[3 + 9:] == ["test_one[0]", "test_pair[1-2]"]
