"""map and starmap with executor=: the standard library's executors of processes and of threads. Those of loky, Dask and MPI
are in test_engines.py."""
import enum
import multiprocessing.pool
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from conftest import PYPY

import snakefish
from snakefish import starmap

parallel_map = snakefish.map
ENGINES = {"processes": lambda: ProcessPoolExecutor(2), "threads": lambda: ThreadPoolExecutor(2),
           "snakefish": lambda: snakefish.Executor(2)}
try:
    import cloudpickle
except ImportError:
    cloudpickle = None  # type: ignore[assignment]
needs_cloudpickle = pytest.mark.skipif(cloudpickle is None, reason="this Python has no cloudpickle")
# a fork in a thread of the pool warns, as it does without an executor
pytestmark = pytest.mark.filterwarnings("ignore:this process has other threads:DeprecationWarning")
hits = new_hits = 0


@pytest.fixture(params=ENGINES)
def executor(request):
    with ENGINES[request.param]() as made:
        yield made


@pytest.fixture
def processes():
    with ProcessPoolExecutor(2) as made:
        yield made


def square(x):
    return x * x


def pid_of(x):
    time.sleep(0.02)
    return os.getpid()


class Odd(Exception):
    """Its __init__ takes more than its args."""

    def __init__(self, number, more):
        super().__init__(number)
        self.more = more


def fail_from_5_on(x):
    if x >= 5:
        raise Odd(x, "more")
    return x


# ---- results ----


@pytest.mark.parametrize("chunksize", [0, 1, 3, 100, None])
def test_results_come_in_the_order_of_the_arguments(executor, chunksize):
    assert parallel_map(square, range(50), executor=executor, chunksize=chunksize) == [x * x for x in range(50)]


def test_starmap_and_any_iterable(executor):
    assert starmap(pow, zip([2, 3, 10], iter([3, 2, 1])), executor=executor) == [8, 9, 10]
    assert parallel_map(len, {"a": 1, "bc": 2}, executor=executor) == [1, 2]
    assert parallel_map(square, [], executor=executor) == []


@needs_cloudpickle
def test_lambdas_and_closures_by_cloudpickle(processes):
    factor = 7
    assert parallel_map(lambda x: factor * x, range(5), executor=processes) == [0, 7, 14, 21, 28]
    assert [f() for f in parallel_map(lambda x: lambda: x, range(3), executor=processes)] == [0, 1, 2]


def test_threads_get_what_is_there_and_no_copy_of_it():
    got = []
    with ThreadPoolExecutor(2) as threads:
        items = [object(), threading.Lock()]
        assert parallel_map(lambda x: got.append(x) or x, items, executor=threads, chunksize=2) == items
    assert got == items


class Colour(enum.Enum):
    """A class is callable, and this one is iterable too."""

    RED = 1
    BLUE = 2


def name_and_pid(colour):
    return colour.name, os.getpid()


def test_arguments_that_are_callable_too(processes):
    told = []
    got = parallel_map(name_and_pid, Colour, executor=processes, chunksize=1, progress=lambda *both: told.append(both))
    assert told == [(1, 2), (2, 2)]  # it runs once
    assert [name for name, _ in got] == ["RED", "BLUE"] and {pid for _, pid in got} <= set(processes._processes)
    with pytest.raises(TypeError, match="f is the first argument"):
        parallel_map(Colour.RED, name_and_pid, executor=processes)


def test_none_is_a_map_without_an_executor():
    assert parallel_map(lambda x: os.getppid(), range(4), 2, executor=None) == [os.getpid()] * 4
    counted = []
    parallel_map(lambda x: x, range(4), lambda g: g["__name__"], lambda g, e: counted.append(e), 2, executor=None, local=None)
    assert counted == [__name__] * 2


def test_few_chunks_are_under_way_at_a_time_and_a_failure_ends_it():
    def work(x):
        time.sleep(0.02)
        if x == 3:
            raise LookupError(x)

    with CountingThreads(2) as threads, pytest.raises(LookupError):
        parallel_map(work, range(1000), executor=threads, chunksize=1)
    assert len(threads.submitted) < 20


class Counting:
    """Keeps what is submitted."""

    def __init__(self, workers):
        super().__init__(workers)
        self.submitted = []

    def submit(self, f, *args):
        self.submitted.append(args)
        return super().submit(f, *args)


class CountingThreads(Counting, ThreadPoolExecutor):
    pass


class CountingProcesses(Counting, ProcessPoolExecutor):
    pass


def test_chunks_are_shares_of_what_is_left_and_as_large_as_is_asked_for():
    with CountingProcesses(2) as counting:
        parallel_map(abs, range(100), executor=counting, chunksize=30)
        assert [args[2] for args in counting.submitted] == [0, 30, 60, 90]  # the first arguments
        counting.submitted.clear()
        parallel_map(time.sleep, [0.03] * 40, executor=counting)
        firsts = [args[2] for args in counting.submitted]
        sizes = [b - a for a, b in zip(firsts, [*firsts[1:], 40])]
        assert sizes[0] == 10 and sizes[-1] <= 2 and sizes == sorted(sizes, reverse=True)


class Large:
    """A function with much in it."""

    def __init__(self):
        self.data = os.urandom(1 << 20)

    def __call__(self, x):
        return x + len(self.data)


def test_a_large_function_goes_to_each_worker_and_not_with_each_chunk():
    with CountingProcesses(2) as counting:
        assert parallel_map(Large(), range(40), executor=counting, chunksize=1) == [x + (1 << 20) for x in range(40)]
        sizes = [sum(len(arg) for arg in args if isinstance(arg, bytes)) for args in counting.submitted]
    assert len(sizes) >= 40 and sum(size > 1 << 20 for size in sizes) <= 6


# ---- exceptions and deaths ----


def test_an_exception_comes_out_with_its_class_and_the_remote_traceback_as_cause(processes):
    with pytest.raises(Odd) as caught:
        parallel_map(fail_from_5_on, range(20), executor=processes, chunksize=2)
    assert caught.value.args == (5,) and caught.value.more == "more"
    assert "in fail_from_5_on" in str(caught.value.__cause__) and f"pid {os.getpid()} " not in str(caught.value.__cause__)


def test_of_threads_the_exception_itself_comes_out():
    raised = Odd(1, "more")

    def work(x):
        raise raised

    with ThreadPoolExecutor(1) as threads, pytest.raises(Odd) as caught:
        parallel_map(work, [1], executor=threads)
    assert caught.value is raised and caught.traceback[-1].name == "work"


def fail_late_for_0(x):
    if x == 0:
        time.sleep(0.3)
    if x < 2:
        raise LookupError(x)


def test_the_exception_of_the_earliest_failing_argument_is_raised(executor):
    with pytest.raises(LookupError, match="0"):
        parallel_map(fail_late_for_0, range(8), executor=executor, chunksize=1)


def kill_at_5(x):
    if x == 5:
        time.sleep(0.3)  # until the results before it are here
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_the_death_of_a_process_is_told_with_its_pid_its_signal_and_the_chunk(processes):
    words = r"worker of the ProcessPoolExecutor \(pid \d+ was killed by signal 9\) died .* chunk 2, arguments 4 to 5"
    with pytest.raises(snakefish.ChildDied, match=words) as caught:
        parallel_map(kill_at_5, range(6), executor=processes, chunksize=2)
    assert type(caught.value.__cause__).__name__ == "BrokenProcessPool"


def test_sys_exit_in_f_is_a_death(executor):
    with pytest.raises(snakefish.ChildDied, match="sys.exit at argument 3: exit status 7") as caught:
        parallel_map(exit_at_3, range(8), executor=executor, chunksize=2)
    assert caught.value.exit_status == 7


def exit_at_3(x):
    if x == 3:
        sys.exit(7)


def test_an_executor_that_was_shut_down_says_so(executor):
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        parallel_map(square, [1], executor=executor)


def test_an_executor_that_is_shut_down_meanwhile_names_the_chunk():
    with ThreadPoolExecutor(1) as threads:
        def work(x):
            threads.shutdown(wait=False, cancel_futures=True)
            time.sleep(0.1)
            return x

        with pytest.raises(RuntimeError, match="(chunk 1, arguments 1 to 1|after shutdown)"):
            parallel_map(work, range(4), executor=threads, chunksize=1)


class NotToPickle:
    """PyPy pickles what others do not: generators, locks."""

    def __reduce__(self):
        raise TypeError("no pickle of this")


def give_it_at_3(x):
    return NotToPickle() if x == 3 else x


def test_a_result_that_cannot_be_pickled_names_its_argument(processes):
    with pytest.raises(snakefish.ChildDied, match=r"its result for argument 3 \(NotToPickle\) cannot be pickled"):
        parallel_map(give_it_at_3, range(8), executor=processes, chunksize=4)


def test_an_argument_that_cannot_be_pickled_is_named_and_an_earlier_failure_wins(processes):
    bad = [1, 2, NotToPickle()]
    with pytest.raises(TypeError, match="pickle") as caught:
        parallel_map(square, bad, executor=processes, chunksize=3)
    assert caught.value.__notes__ == ["argument 2 cannot be pickled"]
    with pytest.raises(TypeError, match="'NoneType'"):
        parallel_map(square, [1, None, NotToPickle()], executor=processes, chunksize=3)


WITHOUT = """
import sys
sys.modules["cloudpickle"] = None
import snakefish
from concurrent.futures import ProcessPoolExecutor

def double(x):
    return 2 * x

with ProcessPoolExecutor(1) as executor:
    print(snakefish.map(double, [1, 2], executor=executor))
    try:
        snakefish.map(lambda x: x, [1], executor=executor)
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_without_cloudpickle_functions_go_by_name_and_the_error_says_what_to_install(check_program):
    first, second = check_program(WITHOUT).splitlines()
    assert first == "[2, 4]" and second.startswith("PicklingError f cannot be pickled for the executor's workers")
    assert "install cloudpickle (Debian: python3-cloudpickle)" in second


# ---- extract and merge ----


def hit(x):
    global new_hits
    new_hits += x
    return os.getpid()


def new_hits_of(g):
    return g["new_hits"]


def merge_hits(g, extracted):
    g["hits"].append(extracted)


@pytest.mark.parametrize("local", [None, 2])
def test_merges_come_in_the_order_of_the_arguments_and_workers_keep_nothing(executor, local):
    global hits
    for _ in range(2):  # what the first has changed in the workers would be added again
        hits = []
        pids = parallel_map(hit, range(8), new_hits_of, merge_hits, executor=executor, chunksize=4, local=local)
        assert hits == ([6, 22] if local is None else [1, 5, 9, 13]) and new_hits == 0
        assert len(set(pids)) == len(hits) and os.getpid() not in pids


def fail_at_7(x):
    if x == 7:
        raise LookupError(x)


def test_a_map_that_raises_merges_nothing(executor):
    merged = []
    with pytest.raises(LookupError):
        parallel_map(fail_at_7, range(8), extract=len, merge=lambda g, e: merged.append(e), executor=executor, chunksize=2)
    assert merged == []


def test_extract_and_merge_get_the_globals_that_are_given():
    mine, merged = {"n": 0}, []
    with ThreadPoolExecutor(2) as threads:
        def work(x):
            mine["n"] += x

        parallel_map(work, range(4), lambda g: g["n"], lambda g, e: merged.append((g is mine, e)), executor=threads,
                     chunksize=2, globals=mine)
    assert merged == [(True, 1), (True, 5)] and mine == {"n": 0}


BY_VALUE = """
import snakefish, multiprocessing
from concurrent.futures import ProcessPoolExecutor

total, new = 0, 0

def count(x):
    global new
    new += x

def extract(g):
    return g["new"]

def merge(g, extracted):
    g["total"] += extracted

class Point:
    pass

if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        snakefish.map(count, range(10), extract, merge, executor=executor)
        new = 100  # a chunk starts from the globals as they are at the call
        snakefish.map(count, range(10), extract, merge, executor=executor, chunksize=5)
        print(total, new, type(snakefish.map(lambda x: Point(), [1], executor=executor)[0]) is Point)
"""


def test_snakefishs_own_executor_inherits_functions_and_tells_its_deaths():
    lock = threading.Lock()  # cannot be pickled
    with snakefish.Executor(2) as executor:
        def work(x):
            with lock:
                return x + 1, os.getpid()

        assert [x for x, _ in parallel_map(work, range(8), executor=executor)] == list(range(1, 9))
        words = r"worker of the Executor \(pid \d+ was killed by signal 9\) died"
        with pytest.raises(snakefish.ChildDied, match=words) as caught:
            parallel_map(kill_at_5, range(6), executor=executor, chunksize=2)
        assert caught.value.exit_status == -9 and caught.value.pid and type(caught.value.__cause__).__name__ == "WorkerDied"
        assert parallel_map(square, range(4), executor=executor) == [0, 1, 4, 9]


def test_the_same_function_keeps_the_workers_of_snakefishs_own_executor():
    with snakefish.Executor(1) as executor:
        def where(x):
            return os.getpid()

        pids = [parallel_map(where, [1], executor=executor)[0] for _ in range(3)]
        assert len(set(pids)) == 1


def test_its_task_timeout_is_that_of_a_chunk():
    with snakefish.Executor(1, task_timeout=0.3) as executor, pytest.raises(TimeoutError) as caught:
        parallel_map(time.sleep, [0, 30], executor=executor, chunksize=1)
    assert caught.value.__notes__ == ["it had not sent its results for chunk 1, arguments 1 to 1"]


@needs_cloudpickle
@pytest.mark.skipif(PYPY, reason="PyPy's ProcessPoolExecutor cannot spawn processes")
def test_globals_of_the_program_travel_with_its_functions(check_program):
    assert check_program(BY_VALUE) == "290 100 True\n"


# ---- progress ----


def test_progress_is_told_here_after_each_chunk(executor):
    told = []
    parallel_map(square, range(10), executor=executor, chunksize=4, progress=lambda *both: told.append((os.getpid(), *both)))
    assert {(pid, total) for pid, _, total in told} == {(os.getpid(), 10)} and told[-1][1] == 10 and len(told) == 3


def test_what_progress_raises_ends_the_map():
    with ThreadPoolExecutor(1) as threads, pytest.raises(ZeroDivisionError):
        parallel_map(square, range(10), executor=threads, chunksize=1, progress=lambda done, total: 1 // 0)


# ---- local ----


def test_local_shares_a_chunk_among_processes_of_each_worker(executor):
    pids = parallel_map(pid_of, range(24), executor=executor, chunksize=12, local=3)
    assert len(set(pids)) > 2 and os.getpid() not in pids  # on a busy machine one process may do the work of two


def test_a_death_in_a_local_process_is_told_as_map_tells_it(executor):
    with pytest.raises(snakefish.ChildDied, match=r"killed by signal 9.*numbers are counted from argument 4"):
        parallel_map(kill_at_5, range(8), executor=executor, chunksize=4, local=2)
    assert parallel_map(square, range(4), executor=executor) == [0, 1, 4, 9]  # the executor lives


# ---- what is wrong ----


@pytest.mark.parametrize("keywords,words", [
    ({"concurrency": 2}, "concurrency= does not go with executor=: the executor has its own workers"),
    ({"rounds": True, "extract": len, "merge": len}, "rounds= does not go with executor=: .*Leave out one of them"),
    ({"timeout": 1}, "timeout= does not go with executor="),
    ({"blas_threads": 0}, "blas_threads= does not go with executor=: .*initializer")])
def test_what_does_not_go_together_says_what_to_write(keywords, words):
    with ThreadPoolExecutor(1) as threads, pytest.raises(ValueError, match=words):
        parallel_map(square, [1], executor=threads, **keywords)


def test_local_alone_says_what_to_write():
    with pytest.raises(ValueError, match="local= goes with executor=.*write concurrency="):
        parallel_map(square, [1], local=2)


@pytest.mark.parametrize("local,error", [(-1, ValueError), (True, TypeError), ("2", TypeError), (1.5, TypeError)])
def test_a_wrong_local_is_refused_by_name(local, error):
    with ThreadPoolExecutor(1) as threads, pytest.raises(error, match="local must be"):
        parallel_map(square, [1], executor=threads, local=local)


@pytest.mark.parametrize("args,keywords,error,words", [
    ((square, 5), {}, TypeError, "args must be an iterable, not int"),
    (([1], square), {}, TypeError, "f is the first argument"),
    ((square,), {}, TypeError, "args"),
    ((square, [1]), {"chunksize": 1.5}, TypeError, "chunksize must be an int"),
    ((square, [1]), {"progress": 1}, TypeError, "progress must be"),
    ((square, [1]), {"extract": len}, ValueError, "go together"),
    ((square, [1]), {"nonsense": 1}, TypeError, "nonsense")])
def test_other_wrong_arguments_are_told_as_without_an_executor(args, keywords, error, words):
    with ThreadPoolExecutor(1) as threads, pytest.raises(error, match=words):
        parallel_map(*args, executor=threads, **keywords)


def test_what_is_no_executor_says_what_to_write():
    with pytest.raises(TypeError, match="executor must be a concurrent.futures.Executor, not int"):
        parallel_map(square, [1], executor=2)
    with multiprocessing.pool.ThreadPool(1) as pool, pytest.raises(TypeError, match="make a .*ProcessPoolExecutor"):
        parallel_map(square, [1], executor=pool)
