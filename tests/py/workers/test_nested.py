"""A map inside a worker: its share of the CPUs, and what BLAS and OpenMP get."""
import os
import time

import pytest
import snakefish
from snakefish import cpu_count, imap

CPUS = cpu_count()
WAYS = {
    "map": snakefish.map,
    "merge": lambda f, args, *more: snakefish.map(f, args, *more, extract=lambda g: 1, merge=lambda g, e: 1),
    "imap": lambda f, args, *more: list(imap(f, args, *more)),
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


def siblings(_):
    """How many children my parent has, once the last one is there."""
    time.sleep(0.1)
    parent = os.getppid()
    with open(f"/proc/{parent}/task/{parent}/children") as file:
        return len(file.read().split())


def workers_by_default(way):
    return max(WAYS[way](siblings, range(3 * CPUS)))


@pytest.mark.diagonal
@EVERY_WAY
@pytest.mark.parametrize("outer", sorted({1, 2, CPUS, 2 * CPUS}))
def test_a_map_in_a_worker_has_the_workers_share_of_the_cpus(way, outer):
    shares = snakefish.map(lambda _: (workers_by_default(way), cpu_count()), range(outer), outer, 1)
    assert shares == [(max(1, CPUS // outer), CPUS)] * outer


@EVERY_WAY
def test_so_has_one_in_a_worker_of_any_map(way):
    assert WAYS[way](lambda _: workers_by_default("map"), range(2), 2) == [max(1, CPUS // 2)] * 2


def test_a_map_of_one_worker_hands_on_all_cpus_and_the_parent_keeps_its_own():
    assert snakefish.map(lambda _: workers_by_default("map"), [0]) == [CPUS]
    assert workers_by_default("map") == CPUS


def test_a_third_level_shares_what_the_second_has():
    def second(_):
        return snakefish.map(lambda _: workers_by_default("map"), range(CPUS), CPUS, 1)

    assert snakefish.map(second, [0]) == [[1] * CPUS]


def test_a_thread_in_a_worker_has_the_workers_share():
    def work(_):
        with snakefish.Thread(lambda: workers_by_default("map")) as thread:
            thread.start()
            thread.join()
            return thread.get_result()

    assert snakefish.map(work, range(CPUS), CPUS, 1) == [1] * CPUS


@EVERY_WAY
def test_a_given_concurrency_is_taken_as_it_is(way):
    assert snakefish.map(lambda _: max(WAYS[way](siblings, range(9), 3)), range(2), 2, 1) == [3, 3]


# ---- BLAS and OpenMP ----

THREADS = """
import ctypes, snakefish
openmp = ctypes.CDLL("libgomp.so.1")
def threads(_=None):
    return openmp.omp_get_max_threads()
here = threads()
assert here == snakefish.cpu_count(), here
"""


@pytest.mark.parametrize("call", ["snakefish.map(threads, [0, 1], 2, 1{})", "list(snakefish.imap(threads, [0, 1], 2{}))",
                                  "snakefish.starmap(threads, [(0,), (1,)], 2, 1, extract=len, merge=print{})"])
def test_blas_threads_limits_what_each_worker_has_and_nothing_here(call, check_program):
    pytest.importorskip("threadpoolctl")
    pytest.importorskip("ctypes").CDLL("libgomp.so.1")
    check_program(THREADS + f"""
given = {call.format(", blas_threads=1")}
shared = {call.format(", blas_threads=0")}
default = {call.format("")}
assert (given, shared, default) == ([1, 1], [{max(1, CPUS // 2)}] * 2, [here] * 2), (here, given, shared, default)
assert threads() == here
""".replace("merge=print", "merge=lambda g, e: None").replace("extract=len", "extract=lambda g: None"))


@pytest.mark.parametrize("call", ["snakefish.map(abs, [1], blas_threads=1)", "snakefish.imap(abs, [1], blas_threads=0)"])
def test_without_threadpoolctl_the_error_says_what_to_do(call, tmp_path, check_program):
    (tmp_path / "threadpoolctl.py").write_text("raise ImportError('not here')")
    assert check_program(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import snakefish
        assert snakefish.map(abs, [-1], blas_threads=None) == [1]
        try:
            {call}
        except ImportError as error:
            print(error)
        """).startswith("blas_threads needs the package threadpoolctl, which is not installed. Without it, set OMP_NUM_THREADS")


@pytest.mark.parametrize("value,error,words", [(-1, ValueError, "blas_threads must be at least 0"),
                                               (True, TypeError, "blas_threads must be an int, not the bool"),
                                               (1.5, TypeError, "blas_threads must be an int, not float")])
def test_a_wrong_number_of_blas_threads_is_refused_by_name(value, error, words):
    for give in (snakefish.map, imap):
        with pytest.raises(error, match=words):
            give(abs, [1], blas_threads=value)
