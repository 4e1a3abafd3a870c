"""How map's results travel: in blocks, large ones alone, from any kind of arguments."""

import time

import pytest
import snakefish

from conftest import PYPY

MIB = 1 << 20


@pytest.mark.diagonal
@pytest.mark.parametrize("chunksize", [0, 1, 7, 1000])
@pytest.mark.parametrize("make", [range, lambda n: list(range(n)), lambda n: tuple(range(n)), lambda n: iter(range(n))])
def test_results_of_many_small_tasks_come_back_in_order(make, chunksize):
    assert snakefish.map(lambda x: x * x, make(20000), 2, chunksize) == [x * x for x in range(20000)]


def test_a_list_that_f_makes_shorter_is_an_error_that_says_so():
    numbers = list(range(100))

    def shorten(x):
        numbers.clear()
        return x

    with pytest.raises(RuntimeError, match="args was made shorter while map ran"):
        snakefish.map(shorten, numbers, 2)
    assert len(numbers) == 100


@pytest.mark.skipif(PYPY, reason="PyPy counts no references")
def test_the_arguments_are_not_touched_and_the_result_is_nobody_elses(run_program):
    ended = run_program("""
        import gc, sys, snakefish
        arguments = [object() for _ in range(1000)]
        before = [sys.getrefcount(x) for x in arguments]
        found = []
        def look(done, total):
            found.extend(x for x in gc.get_objects()
                         if type(x) is list and len(x) == 1000 and x is not arguments and x is not before)
        results = snakefish.map(lambda x: None, arguments, 2, 10, progress=look)
        print([sys.getrefcount(x) for x in arguments] == before, found, gc.is_tracked(results), len(results))
        """)
    assert ended.stdout == "True [] True 1000\n", ended.stderr


def test_a_range_with_a_step_gives_its_own_numbers():
    assert snakefish.map(lambda x: x, range(1000, -1000, -7), 3, 10) == list(range(1000, -1000, -7))


def test_large_results_between_small_ones_come_back_each_in_its_place():
    def work(n):
        return bytes([n % 256]) * (3 * MIB if n % 5 == 0 else MIB if n % 7 == 0 else 10)

    assert snakefish.map(work, range(60), 2, 9) == [work(n) for n in range(60)]


@pytest.mark.diagonal
@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("size", [0, 65535, 65536, MIB - 100, MIB, 9 * MIB])
def test_results_keep_their_type_at_any_size(kind, size):
    results = snakefish.map(lambda n: kind(bytes([n]) * size), range(3), 2)
    assert [type(r) for r in results] == [kind] * 3 and results == [bytes([n]) * size for n in range(3)]


def test_arrays_as_results_are_whole_and_writable():
    numpy = pytest.importorskip("numpy")
    results = snakefish.map(lambda n: numpy.full((300, 500), n, order="F"), range(8), 2)
    for n, result in enumerate(results):
        assert (result == n).all() and result.flags["F_CONTIGUOUS"]
        result[0, 0] = -1


def test_an_exception_in_the_middle_of_a_chunk_is_the_earliest_ones():
    def work(n):
        if n in (777, 1500):
            raise ValueError(n)
        return n

    with pytest.raises(ValueError, match="^777$"):
        snakefish.map(work, range(2000), 2)


def test_a_large_result_followed_by_an_exception_raises_it():
    def work(n):
        if n == 3:
            raise KeyError(n)
        return bytes(2 * MIB)

    with pytest.raises(KeyError):
        snakefish.map(work, range(4), 1)


def test_one_result_that_cannot_be_pickled_names_its_chunk():
    with pytest.raises(snakefish.ChildDied, match="chunk 1, arguments 10 to 19.*cannot be pickled"):
        snakefish.map(lambda n: (lambda: n) if n == 13 else n, range(20), 2, 10)


def test_slow_tasks_after_quick_ones_still_come_back():
    def work(n):
        if n > 4990:
            time.sleep(0.01)
        return n

    assert snakefish.map(work, range(5000), 2) == list(range(5000))
