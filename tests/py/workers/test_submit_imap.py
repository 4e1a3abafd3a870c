"""imap and imap_unordered with executor=, on the standard library's executors of processes and of threads."""
import contextlib
import gc
import itertools
import os
import queue
import signal
import threading
import time
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from conftest import settles

import snakefish
from snakefish import imap, imap_unordered

pytestmark = pytest.mark.filterwarnings("ignore:this process has other threads:DeprecationWarning")
ENGINES = {"processes": lambda: ProcessPoolExecutor(2), "threads": lambda: ThreadPoolExecutor(2),
           "snakefish": lambda: snakefish.Executor(2)}
BOTH = pytest.mark.parametrize("form", [imap, imap_unordered])


@pytest.fixture(params=ENGINES)
def executor(request):
    with ENGINES[request.param]() as made:
        yield made


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as made:
        yield made


def square(x):
    return x * x


def fail_at_5(x):
    if x == 5:
        raise LookupError(x)
    return x


def kill_at_5(x):
    if x == 5:
        time.sleep(0.3)  # until the results before it are here
        os.kill(os.getpid(), signal.SIGKILL)
    return x


class NotToPickle:
    """PyPy pickles what others do not: generators, locks."""

    def __reduce__(self):
        raise TypeError("no pickle of this")


def later_for_0(x):
    if x == 0:
        time.sleep(0.3)
    return x


@pytest.mark.diagonal
@pytest.mark.parametrize("chunksize", [1, 3, None])
@BOTH
def test_results_come_in_order_or_as_they_come(executor, form, chunksize):
    got = list(form(square, iter(range(30)), executor=executor, chunksize=chunksize))
    assert (got if form is imap else sorted(got)) == [x * x for x in range(30)]


def test_imap_waits_for_the_first_and_imap_unordered_does_not(executor):
    assert list(imap(later_for_0, range(4), executor=executor)) == [0, 1, 2, 3]
    unordered = list(imap_unordered(later_for_0, range(4), executor=executor))
    assert sorted(unordered) == [0, 1, 2, 3] and unordered[0] != 0


@BOTH
@pytest.mark.parametrize("endless", [itertools.count, lambda: list(range(1000))], ids=["thread", "in place"])
def test_endless_arguments_are_taken_a_few_chunks_ahead(threads, form, endless):
    done = []

    def work(x):
        done.append(x)
        return x

    with form(work, endless(), executor=threads, chunksize=2) as results:
        assert done == []  # nothing begins before the first next()
        for _ in range(10):
            next(results)
        time.sleep(0.1)
        assert len(done) <= 10 + 2 * (3 * 2 + 2)


def test_it_is_lazy_in_asking_for_arguments_too(threads):
    asked = []

    def arguments():
        for x in itertools.count():
            asked.append(x)
            yield x

    with imap(square, arguments(), executor=threads) as results:
        next(results)
        time.sleep(0.1)
        assert len(asked) <= 1 + 2 * 3 * 2


def test_arguments_that_wait_for_results_get_them(executor):
    fed: queue.Queue = queue.Queue()
    fed.put(3)
    results = imap(square, iter(fed.get, None), executor=executor)
    assert next(results) == 9
    fed.put(4)
    assert next(results) == 16
    fed.put(None)
    assert list(results) == []


def test_an_exception_comes_in_the_place_of_its_result_and_then_no_more(executor):
    results, got = imap(fail_at_5, range(20), executor=executor, chunksize=3), []
    with pytest.raises(LookupError, match="5"):
        for x in results:
            got.append(x)
    assert got == [0, 1, 2, 3, 4] and list(results) == []


def test_what_the_arguments_raise_comes_after_the_results_before_it(executor):
    def arguments():
        yield from range(4)
        raise LookupError("no more")

    results, got = imap(square, arguments(), executor=executor), []
    with pytest.raises(LookupError, match="no more"):
        for x in results:
            got.append(x)
    assert got == [0, 1, 4, 9] and list(results) == []


def test_an_argument_that_cannot_be_pickled_comes_after_the_results_before_it():
    got = []
    with ProcessPoolExecutor(2) as processes, pytest.raises(TypeError, match="pickle") as caught:
        for x in imap(square, [1, 2, 3, NotToPickle(), 5], executor=processes, chunksize=2):
            got.append(x)
    assert got == [1, 4, 9] and caught.value.__notes__ == ["argument 3 cannot be pickled"]


def test_a_death_comes_after_the_results_that_are_here():
    got = []
    with ProcessPoolExecutor(1) as processes:
        with pytest.raises(snakefish.ChildDied, match="killed by signal 9.* chunk 5, arguments 5 to 5"):
            for x in imap(kill_at_5, range(20), executor=processes):
                got.append(x)
    assert got == [0, 1, 2, 3, 4]


def test_an_early_end_takes_back_what_has_not_begun(threads):
    done = []

    def work(x):
        done.append(x)
        time.sleep(0.05)

    with imap(work, range(100), executor=threads) as results:
        next(results)
    seen = len(done)
    assert list(results) == []
    time.sleep(0.2)
    assert len(done) <= seen + 2  # those that were running


def test_one_that_nobody_refers_to_ends_its_thread_and_what_has_not_begun(threads):
    class Arguments:
        def __iter__(self):
            return self

        def __next__(self):
            return 1

    arguments = Arguments()
    gone = weakref.ref(arguments)
    results = imap(square, arguments, executor=threads)
    next(results)
    del arguments, results
    gc.collect()
    assert not settles(lambda: [t for t in threading.enumerate() if t.name == "sf-imap-source"])
    gc.collect()
    assert gone() is None


def test_two_threads_may_not_ask_at_once_and_close_ends_the_one_that_waits(threads):
    go = threading.Event()
    results = imap(lambda x: go.wait(20), [1], executor=threads)
    came = []
    waiting = threading.Thread(target=lambda: came.append(list(results)))
    waiting.start()
    time.sleep(0.1)
    with pytest.raises(RuntimeError, match="one at a time"):
        next(results)
    results.close()
    waiting.join(10)
    go.set()
    assert came == [[]]


def test_ctrl_c_while_it_waits_loses_nothing(threads):
    begun, go = threading.Event(), threading.Event()

    def work(x):
        begun.set()
        return go.wait(20) and x

    def interrupt():
        begun.wait(20)
        time.sleep(0.2)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    results = imap(work, range(1, 30), executor=threads)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    interrupter.join()
    go.set()
    assert list(results) == list(range(1, 30))


class Interrupted(ThreadPoolExecutor):
    """A signal's handler raises while it submits its third task."""

    submitted = 0

    def submit(self, *task):
        self.submitted += 1
        if self.submitted == 3:
            signal.raise_signal(signal.SIGUSR1)
        return super().submit(*task)


def test_what_a_signal_handler_raises_while_it_submits_comes_out_as_it_is_and_loses_nothing():
    def raise_it(number, frame):
        raise LookupError("from the handler")

    old = signal.signal(signal.SIGUSR1, raise_it)
    try:
        with Interrupted(2) as interrupted:
            results = imap(square, range(20), executor=interrupted)
            with pytest.raises(LookupError, match="from the handler"):
                next(results)
            assert list(results) == [x * x for x in range(20)]
    finally:
        signal.signal(signal.SIGUSR1, old)


def pid_of(x):
    time.sleep(0.02)
    return os.getpid()


def test_local_shares_a_chunk_among_processes(executor):
    pids = list(imap(pid_of, range(16), executor=executor, chunksize=8, local=2))
    assert len(set(pids)) > 2 and os.getpid() not in pids
    with pytest.raises(ValueError, match="local=2 divides each chunk .* write chunksize=, at least 2"):
        imap(pid_of, range(16), executor=executor, local=2)


def test_an_exception_in_a_local_process_comes_after_the_results_before_it(executor):
    results, got = imap(fail_at_5, range(20), executor=executor, chunksize=10, local=2), []
    with pytest.raises(LookupError, match="5"):
        for x in results:
            got.append(x)
    assert got == [0, 1, 2, 3, 4]


@BOTH
@pytest.mark.parametrize("keywords,error,words", [
    ({"concurrency": 2}, ValueError, "concurrency= does not go with executor="),
    ({"timeout": 2}, ValueError, "timeout= does not go with executor="),
    ({"chunksize": 0}, ValueError, "chunksize must be at least 1"),
    ({"nonsense": 1}, TypeError, "nonsense")])
def test_wrong_arguments_are_told_when_it_is_called(threads, form, keywords, error, words):
    with pytest.raises(error, match=words):
        form(square, [1], executor=threads, **keywords)
    with pytest.raises(TypeError, match="args must be an iterable"):
        form(square, 5, executor=threads)


def test_a_fork_of_the_program_leaves_it_to_the_parent(threads):
    results = imap(square, range(10), executor=threads)
    assert next(results) == 0
    held, go = threading.Event(), threading.Event()
    conditions = [future._condition for *_, future in results._call.under_way.values()]

    def hold():
        with contextlib.ExitStack() as stack:
            for condition in conditions:
                stack.enter_context(condition)
            held.set()
            go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = snakefish.Thread(results.close)  # locks of futures are held by a thread that the child does not have
    child.start()
    try:
        child.join(10)
    finally:
        child.kill()
        go.set()
        holder.join()
    assert child.get_exit_status() == 0 and list(results) == [x * x for x in range(1, 10)]
