"""trace.instrument: Pools and executors in the trace database."""
import pytest
from conftest import PYPY
from instrumented import QUIET, check, needs_collector, traced, unnumbered  # noqa: F401

pytestmark = needs_collector


POOL = """
import multiprocessing
def square(n):
    return n * n
def fail(n):
    raise ValueError(n)
with multiprocessing.Pool(2) as pool:
    print(pool.map(square, range(100), 10), pool.starmap(pow, [(2, 3)] * 5), pool.apply(square, (7,)))
    print(list(pool.imap(square, range(5))), sorted(pool.imap_unordered(square, range(20), 4)))
    print(pool.map_async(square, range(3), 1).get(20), pool.map(square, []))
    try:
        pool.map(fail, [1], 1)
    except ValueError as error:
        print(error)
    try:
        pool.apply(lambda: 1)
    except Exception as error:
        print(type(error).__name__)
    pool.close()
    pool.join()
"""


def test_a_pool_does_the_same_with_and_without(traced):
    with_it, _ = traced(POOL)
    without, db = traced(POOL, instrument="")
    assert with_it == without and len(with_it.splitlines()) == 5
    assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name IN ('send', 'fork')") == 0


def test_the_work_of_a_pool_is_recorded_in_maps_chunks_and_results(traced):
    _, db = traced(POOL)
    check(db)
    assert db.rows("SELECT t.name, s.a, s.b FROM span s JOIN task t ON t.id = s.object WHERE s.kind = 'map' ORDER BY start_ns"
                   ) == [("map", 10, 2), ("starmap", 5, 2), ("map", 0, 2), ("map", 1, 2)]
    chunks = db.rows("SELECT b, count(*) FROM span WHERE kind = 'chunk' GROUP BY 1 ORDER BY 1")
    # apply, imap, map_async, the failing map; imap_unordered; map. starmap: five of one
    assert chunks == [(1, 5 + 1 + 5 + 3 + 1), (4, 5), (10, 10)]
    assert db.spans("result") == db.spans("chunk") == 30
    assert db.one("SELECT count(*) FROM span WHERE kind = 'result' AND a = 0") == 0
    assert db.spans("run") == db.spans("fork") == 2
    assert db.rows("SELECT count(*) FROM process p JOIN task t ON t.id = p.task WHERE t.kind = 'process'") == [(2,)]
    # what a worker sends in its results is what the pool's own process receives
    sent = db.one("SELECT sum(a) FROM span WHERE kind = 'result'")
    main = db.one("SELECT id FROM process WHERE parent IS NULL")
    assert db.one("SELECT sum(bytes) FROM message WHERE receiver = ? AND sender <> ?", main, main) == sent
    assert unnumbered(db) == 1  # the call of what does not pickle
    tasks = db.one("SELECT count(*) FROM message WHERE sender = ? AND receiver <> ?", main, main)
    assert tasks == 30 + 2  # and one that ends each worker


@pytest.mark.skipif(PYPY, reason="PyPy forks while another thread imports, also where nothing is traced: a Pool that "
                    "replaces workers hangs now and then")
def test_workers_that_are_replaced_and_a_pool_that_is_terminated_lose_no_event(traced):
    out, db = traced("""
import multiprocessing, time
def work(n):
    return n
with multiprocessing.Pool(2, maxtasksperchild=3) as pool:
    print(sum(pool.map(work, range(30), 1)))
    pool.map_async(time.sleep, [30] * 4, 1)
""")
    check(db)
    assert out == "435\n"
    assert db.one("SELECT count(*) FROM process") > 10
    assert db.one("SELECT count(*) FROM span WHERE kind = 'chunk' AND closed") == 30


def test_a_pool_whose_first_chunk_fails_at_once_raises_that(check_program):
    assert check_program(QUIET + """
from multiprocessing import pool
from snakefish import trace
original = pool.Pool._map_async
def failed_already(*args):
    result = original(*args)
    result.wait()
    return result
pool.Pool._map_async = failed_already
trace.instrument("multiprocessing")
with pool.Pool(1) as workers:
    try:
        workers.map(int, iter(["1", "x"]))
    except ValueError as error:
        print(error)
    workers.close()
    workers.join()
try:
    workers.map(int, numbers := iter(["1"]))
except ValueError as error:
    print(error, next(numbers))
""") == "invalid literal for int() with base 10: 'x'\nPool not running 1\n"


def test_a_function_that_has_a_name_of_the_pools_own_is_one_task(traced):
    out, db = traced("""
import multiprocessing
def mapstar(n):
    return -n
with multiprocessing.Pool(1) as pool:
    print(pool.apply(mapstar, (5,)))
    pool.close()
    pool.join()
""")
    check(db)
    assert out == "-5\n"


def test_a_thread_pool_is_left_alone(traced):
    out, db = traced("""
from multiprocessing.pool import ThreadPool
with ThreadPool(2) as pool:
    print(pool.map(abs, [-1, -2]), pool.apply(abs, (-3,)), list(pool.imap(abs, [-4])))
""")
    check(db)
    assert out == "[1, 2] 3 [4]\n" and db.spans("map") == db.spans("chunk") == 0


@pytest.mark.skipif(PYPY, reason="some 10 s there, most of it for processes that start")
def test_a_process_pool_executor_is_recorded_by_its_processes_and_messages(traced):
    out, db = traced("""
import concurrent.futures, multiprocessing
def square(n):
    return n * n
with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as executor:
    print(sum(executor.map(square, range(40))))
""")
    check(db)
    assert out == "20540\n"
    assert db.spans("run") == db.spans("fork") == db.spans("join") == 2
    main = db.one("SELECT id FROM process WHERE parent IS NULL")
    there = db.one("SELECT count(*) FROM message WHERE sender = ? AND receiver <> ?", main, main)
    back = db.one("SELECT count(*) FROM message WHERE sender <> ? AND receiver = ?", main, main)
    assert there == 40 + 2 and 40 <= back <= 40 + 2 and unnumbered(db) == 0  # and one for each worker's end
