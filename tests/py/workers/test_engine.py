"""The worker engine under map and imap: workers that are killed at any moment, arguments of any size, little memory, calls
from below."""
import itertools
import operator
import os
import random
import re
import signal
import threading
import time
import warnings

import pytest
import snakefish
from conftest import children
from matrix import first
from snakefish import ChildDied, imap, imap_unordered

BOTH = pytest.mark.parametrize("any_imap", [imap, imap_unordered])
MIB = 1 << 20


class Killer:
    """A process beside us that kills a random child of ours at a random moment, and again until it is told to end."""

    def __init__(self, chance, within_s):
        parent, moments = os.getpid(), [chance.uniform(0, within_s) for _ in range(1000)]
        self.pid = os.fork()
        if self.pid == 0:
            for moment in moments:
                time.sleep(moment)
                victims = children_of(parent) - {os.getpid()}
                if victims:
                    try:
                        os.kill(chance.choice(sorted(victims)), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            os._exit(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return set(map(int, file.read().split()))
    except OSError:
        return set()


def outcome(call):
    """What it returned, or the ChildDied that it raised. Anything else is a failure of the test."""
    try:
        return call()
    except ChildDied as died:
        assert died.exit_status == -signal.SIGKILL and "map worker" in died.name
        return died


# ---- workers that are killed ----


@pytest.mark.parametrize("seed", first(2, range(6)))
def test_map_with_workers_killed_at_random_gives_all_results_or_child_died(seed):
    chance = random.Random(seed)
    chunksize, count = chance.choice([(1, 300), (7, 3000), (0, 30000)])
    with Killer(chance, 0.03):
        for more in ({}, {"extract": lambda g: b"x" * 100000, "merge": lambda g, e: None, "chunksize": count // 10}):
            for _ in range(6):
                got = outcome(lambda: snakefish.map(lambda x: bytes(x % 3000), range(count), 2, **{"chunksize": chunksize,
                                                                                                   **more}))
                assert isinstance(got, ChildDied) or list(map(len, got)) == [x % 3000 for x in range(count)]


@BOTH
@pytest.mark.parametrize("seed", first(2, range(6)))
def test_imap_with_workers_killed_at_random_gives_good_results_then_child_died(any_imap, seed):
    chance = random.Random(seed)
    size = chance.choice([100, 70000, 3 * MIB])
    chunksize = chance.choice([1, 3])
    with Killer(chance, 0.05):
        for _ in range(6):
            arguments = [bytes([x]) * (size + x) for x in range(40)]
            taken = []

            def take():
                taken.extend(any_imap(lambda b: (b[0], len(b), b"y" * (size // 2)), arguments, 2, chunksize))
                return len(taken)

            got = outcome(take)
            numbers = [first for first, _, _ in taken]
            assert all((length, len(back)) == (size + first, size // 2) for first, length, back in taken)
            assert numbers == list(range(len(taken))) if any_imap is imap else len(set(numbers)) == len(numbers)
            assert isinstance(got, ChildDied) or got == 40


@pytest.mark.diagonal
@BOTH
@pytest.mark.parametrize("chunksize", [1, 2])
@pytest.mark.parametrize("victims", ["first", "second", "both"])
def test_a_worker_killed_while_it_takes_a_large_chunk_ends_no_wait_but_by_child_died(any_imap, chunksize, victims):
    """The parent feeds as much of a chunk as there is room for, and then is not in next(): a worker is in the middle of
    taking it, the other one idle."""
    large = b"x" * (48 * MIB)
    before = children()
    results = any_imap(len, itertools.chain([b"a", b"b"], itertools.repeat(large)), 2, chunksize)
    assert next(results) == 1
    time.sleep(0.1)
    first, second = sorted(children() - before)
    for pid in {"first": [first], "second": [second], "both": [first, second]}[victims]:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(ChildDied, match="signal 9"):
        for _ in range(20):
            assert next(results) in (1, len(large))
    assert children() == before


def test_the_death_of_a_map_worker_names_the_argument_it_was_at():
    def f(x):
        if x == 13:
            os._exit(3)
        return x

    with pytest.raises(ChildDied, match="status 3 at argument 13 .*its results for chunk 0, arguments 0 to 19$"):
        snakefish.map(f, range(20), 1, 20)
    with pytest.raises(ChildDied, match=r"status 3 at argument 13 .*its results for arguments? \d+( to \d+)?$") as caught:
        snakefish.map(f, range(20), 1)
    first, last = re.search(r"arguments? (\d+)(?: to (\d+))?$", str(caught.value)).groups()
    assert int(first) <= 13 <= int(last or first)


def test_sys_exit_in_a_worker_brings_its_traceback_home():
    def leave(x):
        raise SystemExit(4)

    for call in (lambda: snakefish.map(leave, [1], 1), lambda: list(imap(leave, [1], 1))):
        with pytest.raises(ChildDied, match="exit status 4 at argument 0") as caught:
            call()
        assert "in leave" in str(caught.value.__cause__)


# ---- arguments and results of any size ----


@pytest.mark.diagonal
@BOTH
@pytest.mark.parametrize("chunksize", [1, 3, 50])
def test_chunks_larger_than_the_ring_pass_whole(any_imap, chunksize):
    sizes = [n * 700_001 % (9 * MIB) for n in range(30)]
    assert sorted(any_imap(len, (bytes(n) for n in sizes), 2, chunksize)) == sorted(sizes)


@pytest.mark.diagonal
@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("size", [0, 1, MIB - 40, MIB, 5 * MIB])
def test_arguments_keep_their_type_at_any_size(kind, size):
    sent = [kind(bytes([n]) * size) for n in range(4)]
    assert list(imap(lambda x: (type(x), x), sent, 2)) == [(kind, x) for x in sent]


def test_workers_compute_while_a_chunk_larger_than_the_ring_is_fed():
    """Results are received while the parent waits for room: else both sides would wait for each other."""
    large = [bytes(6 * MIB)] * 12
    assert list(imap(lambda b: b, large, 2, 2)) == large


def test_imap_and_map_work_in_little_address_space(check_program):
    assert check_program("""
        import resource, snakefish
        with open("/proc/self/status") as status:
            kib = int(next(l for l in status if l.startswith("VmSize")).split()[1])
        resource.setrlimit(resource.RLIMIT_AS, ((kib + 60_000) << 10,) * 2)
        print(list(snakefish.imap(abs, [-1, 2, -3])), snakefish.map(abs, [-1, 2, -3]), list(snakefish.imap(abs, iter([-1]))))
        """) == "[1, 2, 3] [1, 2, 3] [1]\n"


# ---- what cannot be pickled or unpickled ----


def test_a_result_of_map_that_cannot_be_pickled_names_its_argument():
    with pytest.raises(ChildDied, match=r"argument 700, of chunk 1, arguments 500 to 999 \(.*lock\) cannot be pickled"):
        snakefish.map(lambda x: threading.Lock() if x == 700 else x, range(1000), 2, 500)
    with pytest.raises(ChildDied, match=r"its result for argument 700 \(.*lock\) cannot be pickled"):
        snakefish.map(lambda x: threading.Lock() if x == 700 else x, range(1000), 2)


class ComesBackAs:
    """Unpickles by raising something."""

    def __init__(self, *raised):
        self.raised = raised

    def __reduce__(self):
        return raise_it, self.raised


def raise_it(kind, *arguments):
    raise kind(*arguments)


@pytest.mark.diagonal
@BOTH
@pytest.mark.parametrize("error", [IndexError, EOFError, TimeoutError, StopIteration, BlockingIOError])
def test_what_unpickling_a_result_raises_is_raised_and_hangs_nobody(any_imap, error):
    before = children()
    with pytest.raises(error, match="of the result"):
        results = any_imap(lambda x: ComesBackAs(error, "of the result"), range(3), 2)
        next(results)
    with pytest.raises(IndexError):
        list(any_imap(lambda x: Indexing(), range(3), 2))
    assert children() == before


class Indexing:
    def __reduce__(self):
        return operator.getitem, ([], 0)


def test_good_results_before_a_bad_one_are_handed_out():
    def f(x):
        time.sleep(0.3 if x == 0 else 0)
        return ComesBackAs(ValueError, "bad") if x == 1 else x

    got = []
    with pytest.raises(ValueError, match="bad"):
        for x in imap(f, range(4), 2):
            got.append(x)
    assert got == [0]


@pytest.mark.parametrize("how, error, words", [("raises", ValueError, "of f"), ("lock", ChildDied, "cannot be pickled")])
def test_a_failure_waits_for_slower_results_before_it(how, error, words):
    """The worker that has sent the failure ends at once: its end is not taken for the loss of what others compute."""
    def f(x):
        if x < 2:
            time.sleep(0.5)
        elif how == "lock":
            return threading.Lock()
        else:
            raise ValueError("of f")
        return x

    got = []
    with pytest.raises(error, match=words):
        for x in imap(f, range(9), 3):
            got.append(x)
    assert got == [0, 1]


def test_what_follows_a_result_that_cannot_be_unpickled_does_no_harm():
    def f(x):
        time.sleep(0.005 if x < 100 else 0.0003)  # chunk 1 is done, in several blocks, before chunk 0
        return ComesBackAs(ValueError, "bad") if x == 130 else x

    with pytest.raises(ChildDied, match="argument 130, of chunk 1, .*cannot be unpickled: bad"):
        snakefish.map(f, range(200), 2, 100)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_not_about_the_bytes_passes_through_unpickling_unchanged(error):
    for call in (lambda: snakefish.map(lambda x: ComesBackAs(error, "typed"), [1, 2], 2),
                 lambda: list(imap(lambda x: ComesBackAs(error, "typed"), [1, 2], 2))):
        before = children()
        with pytest.raises(error, match="typed"):
            call()
        assert children() == before


def test_ctrl_c_while_an_argument_is_pickled_comes_out_at_once():
    class Interrupted:
        def __reduce__(self):
            raise KeyboardInterrupt("typed")

    before, began = children(), time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="typed"):
        list(imap(lambda x: time.sleep(20), [1, Interrupted()], 2))
    assert time.monotonic() - began < 10 and children() == before


class SlowToUnpickle:
    """In C, where no signal handler can run."""

    def __reduce__(self):
        return sum, (range(3000),)


def test_signal_handlers_run_while_results_come_faster_than_they_are_taken():
    times = [time.monotonic()]
    old = signal.signal(signal.SIGALRM, lambda *_: times.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        snakefish.map(lambda x: SlowToUnpickle(), range(60_000), 4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    times.append(time.monotonic())
    assert max(after - before for before, after in zip(times, times[1:])) < (times[-1] - times[0]) / 3


# ---- calls from below ----


class CallsBack:
    """Unpickles by calling `call_back`."""

    def __reduce__(self):
        return _call_back, ()


def _call_back():
    return call_back()


def test_next_within_next_is_refused_with_a_sentence():
    global call_back
    said = []

    def call_back():
        with pytest.raises(RuntimeError) as caught:
            next(results)
        said.append(str(caught.value))
        return "opened"

    results = imap(lambda x: CallsBack(), [1, 2], 1)
    assert list(results) == ["opened", "opened"]
    assert len(said) == 2 and "in next() already" in said[0]


def test_close_within_next_ends_it():
    before = children()
    results = imap(time.sleep, [60, 60], 2)
    old = signal.signal(signal.SIGALRM, lambda *_: results.close())
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        assert next(results, "closed") == "closed"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert children() == before


def test_close_by_another_python_thread_ends_next():
    before = children()
    results = imap(time.sleep, [60, 60], 2)
    timer = threading.Timer(0.2, results.close)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        timer.start()
        assert next(results, "closed") == "closed"
    timer.join()
    assert children() == before


def test_close_ends_a_next_that_waits_for_workers_to_end():
    def f(x):
        threading.Thread(target=time.sleep, args=(60,)).start()  # the worker's process ends after it
        return x

    before, began, got = children(), time.monotonic(), []
    results = imap(f, [1, 2], 2)
    closer = threading.Timer(0.5, results.close)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forks beside the timer's thread
        closer.start()
        got.extend(results)
    closer.join()
    assert got == [1, 2] and time.monotonic() - began < 30 and children() == before


def test_a_worker_may_call_its_own_iterator_and_does_no_harm():
    def f(x):
        results.close()
        try:
            next(results)
        except RuntimeError:
            return x

    results = imap(f, [1, 2, 3], 2)
    assert list(results) == [1, 2, 3]


def test_an_idle_worker_hears_signals():
    """What its handler raises ends it, and comes out here."""
    gate = threading.Event()

    def source():
        yield 1
        gate.wait(30)

    results = imap(lambda x: os.getpid(), source(), 1)
    os.kill(next(results), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    gate.set()


SLOW_FORK = """
import os, time, snakefish

with snakefish.Executor(1, max_tasks_per_child=1) as executor:
    first = executor.submit(os.getpid).result()
    while os.path.exists(f"/proc/{first}"):
        time.sleep(0.01)
    os.register_at_fork(before=lambda: time.sleep(0.5))  # meanwhile the manager's thread looks for dead workers
    print(executor.submit(abs, -1).result())
"""


def test_a_worker_that_is_forked_while_another_thread_looks_for_the_dead_is_reaped(check_program):
    assert check_program(SLOW_FORK) == "1\n"
