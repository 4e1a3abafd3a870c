"""Maps with executor=: forks, interruptions and the garbage collector at a bad moment. None of them waits for ever."""
import concurrent.futures
import gc
import threading
import time
import warnings

import pytest
from conftest import PYPY, check_refused_in_a_fork

import snakefish

LIMIT_S = 20


def test_a_forked_child_is_told_whose_iterator_it_is():
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        go_on = threading.Event()
        results = snakefish.imap(lambda n: go_on.wait(LIMIT_S) and n, range(3), executor=executor)
        check_refused_in_a_fork(results)
        go_on.set()
        assert list(results) == [0, 1, 2]


def test_a_forked_child_can_drop_an_iterator_whatever_locks_other_threads_had():
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        results = snakefish.imap(abs, iter([-1, -2]), executor=executor)
        assert next(results) == 1
        locked, go_on = threading.Event(), threading.Event()

        def hold():
            with results._source._wanted._cond:  # as the thread does that asks for arguments
                locked.set()
                go_on.wait(LIMIT_S)

        holder = threading.Thread(target=hold)
        holder.start()
        assert locked.wait(LIMIT_S)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                child = snakefish.Thread(results.close)
                child.start()
            child.join(LIMIT_S)
        finally:
            go_on.set()
            holder.join()
        results.close()


class Interruption(BaseException):
    pass


class Interrupted(concurrent.futures.Future):
    """A signal handler raises just after the map has asked to be told of this one's end."""

    def add_done_callback(self, callback):
        super().add_done_callback(callback)
        raise Interruption


class OnceInterrupted(concurrent.futures.Executor):
    """Its first task is run, but its submission is interrupted. The second one ends late."""

    def __init__(self):
        self.count = 0

    def submit(self, fn, /, *args, **kwargs):
        self.count += 1
        future = Interrupted() if self.count == 1 else concurrent.futures.Future()

        def run(delay_s=0.3 if self.count == 2 else 0):
            time.sleep(delay_s)
            future.set_result(fn(*args, **kwargs))

        threading.Thread(target=run).start()
        return future


def test_a_chunk_that_is_submitted_again_after_an_interruption_is_waited_for():
    results = snakefish.imap(abs, [-1, -2, -3], executor=OnceInterrupted())
    with pytest.raises(Interruption):
        next(results)
    assert list(results) == [1, 2, 3]


class Collecting(dict):
    """Of a ProcessPoolExecutor's tasks: the garbage collector runs in the midst of submit()."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        gc.collect()


@pytest.mark.skipif(PYPY, reason="its collector calls no destructor within submit()")
def test_an_iterator_that_is_collected_in_a_submission_to_its_executor_does_not_wait_for_that():
    with concurrent.futures.ProcessPoolExecutor(4) as executor:  # of 12 chunks ahead some can still be cancelled
        executor.submit(abs, 1).result(LIMIT_S)
        results = snakefish.imap(time.sleep, [0.3] * 40, executor=executor)
        assert next(results) is None
        gc.disable()
        try:
            loop = [results]
            loop.append(loop)
            del results, loop
            executor._pending_work_items = Collecting(executor._pending_work_items)
            executor._executor_manager_thread.pending_work_items = executor._pending_work_items
            submitting = threading.Thread(target=executor.submit, args=(abs, -1), daemon=True)
            submitting.start()
            submitting.join(LIMIT_S)
            assert not submitting.is_alive()
        finally:
            gc.enable()
