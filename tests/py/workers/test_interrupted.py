"""What is not about the results (Ctrl-C, what a handler raises, no memory) comes out of map and imap unchanged. No worker
is left, and imap's results that had come can still be taken. And calls from everywhere, on the object that is in a call."""
import itertools
import os
import signal
import threading
import time
import warnings

import pytest
from conftest import children
from snakefish import Channel, imap, imap_unordered, map as parallel_map

BOTH = pytest.mark.parametrize("any_imap", [imap, imap_unordered])
NOTHING = {"extract": lambda g: None, "merge": lambda g, extracted: None}
BOTH_WAYS = pytest.mark.parametrize("more", [{}, NOTHING, {**NOTHING, "rounds": True}], ids=["counter", "merge", "rounds"])


class Alarm(Exception):
    """What a signal handler raises."""


def raise_alarm(*_):
    raise Alarm("rings")


class Calls:
    """Unpickles as 'opened', after it has called the function `here` of this process."""

    def __reduce__(self):
        return call_here, ()


here = None


def call_here():
    here()
    return "opened"


def calls_once(what):
    """A function that calls `what` the first time, and nothing after that."""
    left = [what]

    def call():
        if left:
            left.pop()()

    return call


def interrupt():
    raise KeyboardInterrupt("typed")


def no_memory():
    raise MemoryError("none")


def ring():
    """The handler runs within the unpickling."""
    old = signal.signal(signal.SIGUSR1, raise_alarm)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(100):
            pass
    finally:
        signal.signal(signal.SIGUSR1, old)


FROM_ELSEWHERE = pytest.mark.parametrize("what,error", [(interrupt, KeyboardInterrupt), (no_memory, MemoryError), (ring, Alarm)],
                                         ids=["Ctrl-C", "memory", "handler"])


@pytest.mark.diagonal
@BOTH_WAYS
@FROM_ELSEWHERE
@pytest.mark.parametrize("chunksize", [1, 4])
def test_what_comes_while_map_unpickles_passes_through(what, error, more, chunksize):
    global here
    before, here = children(), calls_once(what)
    with pytest.raises(error) as caught:
        parallel_map(lambda n: Calls(), range(8), 2, chunksize, **more)
    assert type(caught.value) is error and children() == before


@pytest.mark.diagonal
@BOTH
@FROM_ELSEWHERE
@pytest.mark.parametrize("chunksize", [1, 4])
def test_what_comes_while_imap_unpickles_passes_through_and_nothing_is_lost(any_imap, what, error, chunksize):
    global here
    before, here = children(), lambda: None
    results = any_imap(lambda n: Calls(), range(40), 1, chunksize)
    got = [next(results) for _ in range(4)]
    here = calls_once(what)
    with pytest.raises(error):
        for result in results:
            got.append(result)
    assert children() == before
    left = list(results)
    assert left and len(got) + len(left) >= 5 and set(got + left) == {"opened"}
    assert next(results, "end") == "end"


@BOTH
def test_what_a_handler_raises_while_imap_waits_comes_out_and_ends_the_workers(any_imap):
    def work(n):
        if n >= 4:
            time.sleep(60)
        return n

    before, got = children(), []
    results = any_imap(work, itertools.count(), 2)
    old = signal.signal(signal.SIGALRM, raise_alarm)
    try:
        with pytest.raises(Alarm):
            for result in results:
                got.append(result)
                if len(got) == 4:
                    signal.setitimer(signal.ITIMER_REAL, 0.2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert sorted(got) == [0, 1, 2, 3] and children() == before
    assert list(results) == []


def test_a_result_that_is_here_is_not_lost_when_the_next_chunk_cannot_be_handed_out():
    class Interrupts:
        def __reduce__(self):
            raise KeyboardInterrupt("typed")

    before = children()
    results = imap(lambda x: x, itertools.chain(range(6), [Interrupts()]), 1)
    got = []
    with pytest.raises(KeyboardInterrupt, match="typed"):
        for result in results:
            got.append(result)
            time.sleep(0.2)  # the next results are here
    assert children() == before
    left = list(results)
    assert left and got + left == list(range(len(got) + len(left)))


@BOTH
def test_what_the_caller_raises_leaves_the_iterator_as_it_is(any_imap):
    results = any_imap(abs, range(10), 2)
    with pytest.raises(Alarm):
        for _ in results:
            raise_alarm()
    assert len(list(results)) == 9


# ---- calls from everywhere ----


@BOTH
def test_close_and_next_within_the_unpickling_of_its_own_result(any_imap):
    global here
    said = []

    def call():
        with pytest.raises(RuntimeError, match="in next"):
            next(results)
        said.append(1)
        results.close()

    before, here = children(), call
    results = any_imap(lambda n: Calls(), range(10), 1)
    assert list(results) == [] and said == [1] and children() == before


@BOTH_WAYS
def test_a_map_within_the_unpickling_of_a_map(more):
    global here
    inner = []
    here = calls_once(lambda: inner.append(parallel_map(abs, [-1, -2], 2, **more)))
    assert parallel_map(lambda n: Calls(), range(4), 2, 1, **more) == ["opened"] * 4
    assert inner == [[1, 2]]


def test_maps_within_merge_extract_and_progress():
    found = []

    def merge(g, extracted):
        found.append((extracted, parallel_map(abs, [-3], 1, **NOTHING), list(imap(abs, [-4]))))

    got = parallel_map(abs, range(2), 2, 1, extract=lambda g: parallel_map(abs, [-5]), merge=merge, rounds=True,
                       progress=lambda *_: parallel_map(abs, [-6]))
    assert got == [0, 1] and found == [([5], [3], [4])] * 2


def test_imap_within_f_of_map_and_of_imap():
    assert parallel_map(lambda n: list(imap(abs, range(n), 2)), range(4), 2) == [list(range(n)) for n in range(4)]
    assert list(imap(lambda n: sum(imap_unordered(abs, range(n), 2)), range(4), 2)) == [0, 0, 1, 3]


def test_next_in_a_signal_handler_and_in_another_thread_is_refused():
    said, gate = [], threading.Event()

    def ask(*_):
        try:
            next(results)
        except RuntimeError as error:
            said.append(str(error))

    with Channel(1 << 16) as go, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = imap(lambda n: go.receive_pyobj(timeout=30), [1, 2], 1)
        old = signal.signal(signal.SIGALRM, ask)

        def other():
            time.sleep(0.3)
            ask()
            os.kill(os.getpid(), signal.SIGALRM)
            gate.wait(0.2)
            go.send_pyobj("first")

        thread = threading.Thread(target=other)
        thread.start()
        try:
            assert next(results) == "first"
        finally:
            thread.join()
            signal.signal(signal.SIGALRM, old)
            results.close()
    assert len(said) == 2 and all("in next() already" in words for words in said)


# ---- processes that the program forks below a call, and that come back ----


def fork_here(status):
    """Forks; both come back. The child's end is looked after by `end_forked`."""
    pid = os.fork()
    if pid:
        forked.append(pid)
    else:
        in_child.append(status)


forked, in_child = [], []


def end_forked():
    """Ends the child, with 0 if it came as far as this, and waits for it in the parent."""
    if in_child:
        os._exit(0)
    assert [os.waitpid(pid, 0)[1] for pid in forked] == [0] * len(forked) and forked
    forked.clear()


@pytest.mark.parametrize("chunksize", [1, 4])
def test_a_fork_in_the_unpickling_of_map_takes_no_results_of_the_parent(chunksize):
    global here
    here = calls_once(lambda: fork_here(0))
    try:
        got = parallel_map(lambda n: Calls(), range(100), 2, chunksize)
    except RuntimeError as error:
        assert in_child and "only that process gets their results" in str(error)
    finally:
        end_forked()
    assert got == ["opened"] * 100


@BOTH
def test_a_fork_in_the_unpickling_of_imap_takes_no_results_of_the_parent(any_imap):
    global here
    here, got = calls_once(lambda: fork_here(0)), []
    results = any_imap(lambda n: Calls(), range(100), 2)
    try:
        for result in results:
            got.append(result)
    except RuntimeError:
        assert in_child
    finally:
        end_forked()
    assert got == ["opened"] * 100


@BOTH_WAYS
def test_a_fork_in_progress_and_merge_comes_back_in_both(more):
    told = []

    def tell(done, total):
        told.append(done)
        if done == 2:
            fork_here(0)

    try:
        got = parallel_map(abs, range(6), 2, 1, progress=tell, **more)
    except RuntimeError:
        assert in_child
    finally:
        end_forked()
    assert got == list(range(6)) and told == [1, 2, 3, 4, 5, 6]


def test_a_fork_in_the_source_of_imap_comes_back_and_ends():
    def source():
        yield 1
        pid = os.fork()
        if pid == 0:
            yield 99  # nobody takes it: its process has no caller
            return
        forked.append(pid)
        yield 2

    assert list(imap(abs, source(), 2)) == [1, 2]
    end_forked()


class ForksInWorker:
    """Forks when it is unpickled; both processes come back."""

    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        return fork_and_return, (self.number,)


def fork_and_return(number):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return number


@BOTH
@pytest.mark.parametrize("chunksize", [1, 3])
def test_a_fork_in_the_unpickling_of_arguments_computes_nothing(any_imap, chunksize, tmp_path):
    def work(n):
        with open(tmp_path / str(n), "a") as file:
            file.write("called ")
        return n

    assert sorted(any_imap(work, list(map(ForksInWorker, range(6))), 2, chunksize)) == list(range(6))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {str(n): "called " for n in range(6)}
