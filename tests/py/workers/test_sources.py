"""The arguments of imap, where their iterable may block: results are handed out meanwhile, and workers end."""
import itertools
import queue
import threading
import time

import pytest
from conftest import PYPY, children, settles
from snakefish import imap, imap_unordered

BOTH = pytest.mark.parametrize("any_imap", [imap, imap_unordered])


@BOTH
def test_a_list_of_work_that_is_fed_by_its_own_results_works(any_imap):
    todo, out, seen = queue.Queue(), 1, 0
    todo.put(3)
    for links in any_imap(lambda n: [n - 1] * 2 if n else [], iter(todo.get, None)):
        seen += 1
        out += len(links) - 1
        for n in links:
            todo.put(n)
        if not out:
            todo.put(None)
    assert seen == 15


@BOTH
def test_results_are_handed_out_while_the_source_blocks(any_imap):
    gate = threading.Event()

    def source():
        yield 1
        yield 2
        assert gate.wait(30)
        yield 3

    results = any_imap(abs, source(), 2)
    assert {next(results), next(results)} == {1, 2}
    gate.set()
    assert list(results) == [3]


@BOTH
def test_an_iterator_left_while_its_source_blocks_ends_its_workers(any_imap):
    before, gate = children(), threading.Event()

    def source():
        yield 1
        gate.wait(30)

    results = any_imap(abs, source(), 2)
    assert next(results) == 1
    results.close()
    assert children() == before and next(results, None) is None
    gate.set()


def test_a_program_may_end_while_a_source_blocks(check_program):
    assert check_program("""
        import queue, snakefish
        results = snakefish.imap(abs, iter(queue.Queue().get, None))
        todo = queue.Queue()
        todo.put(-1)
        more = snakefish.imap(abs, iter(todo.get, None), 2)
        print(next(more))
        """) == "1\n"


def test_forks_of_imap_warn_of_no_thread_of_its_own(check_program):
    assert check_program("""
        import logging, threading, snakefish, warnings
        warnings.simplefilter("error")
        def source():
            for i in range(20):
                logging.debug("next")
                assert threading.current_thread() is not threading.main_thread()
                yield i
        print(list(snakefish.imap(abs, source(), 4)) == list(range(20)))
        """) == "True\n"


def test_imap_over_imap_is_a_pipeline():
    doubled = imap(lambda x: 2 * x, range(50), 2)
    assert list(imap(lambda x: x + 1, doubled, 2, 3)) == [2 * x + 1 for x in range(50)]


def test_a_source_sees_the_context_of_the_call_of_next():
    contextvars = pytest.importorskip("contextvars")
    variable = contextvars.ContextVar("variable")

    def source():
        yield variable.get()
        yield variable.get()

    variable.set("here")
    assert list(imap(str.upper, source(), 1)) == ["HERE"] * 2


@pytest.mark.skipif(PYPY, reason="PyPy collects when it likes")
def test_a_cycle_through_the_source_is_collected():
    import gc
    before = children()

    def run_it_halfway():
        def generate():
            yield from itertools.count()
            print(results)

        results = imap(abs, generate(), 2)
        next(results)
        assert len(children() - before) == 2

    run_it_halfway()
    time.sleep(0.1)  # the source's thread has nothing to do
    gc.collect()
    assert settles(lambda: children() - before) == set()


@pytest.mark.skipif(PYPY, reason="PyPy collects when it likes")
def test_a_cycle_through_f_is_collected():
    import gc
    before = children()

    def run_it_halfway():
        def f(x):
            return x, results

        results = imap(lambda x: f and x, itertools.count(), 2)
        next(results)
        assert len(children() - before) > 0

    run_it_halfway()
    gc.collect()
    assert settles(lambda: children() - before) == set()
