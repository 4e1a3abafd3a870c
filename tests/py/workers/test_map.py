"""map and starmap: results in order, chunks, both call forms, failures, extract and merge."""
import inspect
import os
import signal
import time

import pytest

import snakefish
from snakefish import Channel, ChildDied, starmap

seen = []
parallel_map = snakefish.map


def square(x):
    return x * x


@pytest.mark.diagonal
@pytest.mark.parametrize("concurrency", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("chunksize", [0, 1, 3, 1000])
@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_results_are_those_of_the_builtin(count, chunksize, concurrency):
    assert parallel_map(square, range(count), concurrency, chunksize) == [x * x for x in range(count)]
    assert starmap(pow, ((x, 2) for x in range(count)), concurrency, chunksize) == [x * x for x in range(count)]


@pytest.mark.parametrize("items", [[1, 2, 3], (1, 2, 3), {1: 0, 2: 0, 3: 0}, (x for x in (1, 2, 3)), iter([1, 2, 3]),
                                   range(1, 4), bytearray(b"\1\2\3")])
def test_any_iterable_will_do(items):
    assert parallel_map(square, items, 2) == [1, 4, 9]


def test_a_class_with_getitem_only_is_iterable_too():
    class Old:
        def __getitem__(self, i):
            if i == 3:
                raise IndexError
            return i

    assert parallel_map(square, Old()) == [0, 1, 4]


def test_what_the_iterable_raises_comes_through_before_any_fork():
    def broken():
        yield 1
        raise LookupError("broken iterable")

    with pytest.raises(LookupError, match="broken iterable"):
        parallel_map(square, broken())


def test_arguments_and_results_that_only_fork_can_carry():
    offset = 10
    assert parallel_map(lambda f: f(1) + offset, [lambda x: x, lambda x: -x], 2) == [11, 9]
    assert starmap(lambda *a: a, [(1, 2), "ab", [3], (x for x in (4, 5))]) == [(1, 2), ("a", "b"), (3,), (4, 5)]


def pids_of_all(count, **more):
    """The processes of a map of so many arguments, each of which waits until all have begun."""
    with Channel(1 << 14) as arrived, Channel(1 << 14) as go:
        def open_the_gate():
            for _ in range(count):
                arrived.receive_pyobj(timeout=20)
            for _ in range(count):
                go.send_pyobj(1)

        def work(_):
            arrived.send_pyobj(1)
            go.receive_pyobj(timeout=20)
            return os.getpid()

        with snakefish.Thread(open_the_gate) as gate:
            gate.start()
            return parallel_map(work, range(count), **more)


@pytest.mark.parametrize("count,more", [
    (3, {"concurrency": 3, "chunksize": 1}), (2, {"concurrency": 50}), (snakefish.cpu_count(), {}),
    (2, {"concurrency": 2, "extract": lambda g: 1, "merge": lambda g, e: 1})])
def test_as_many_processes_as_concurrency_work_at_the_same_time_and_this_one_does_not(count, more):
    pids = set(pids_of_all(count, **more))
    assert len(pids) == count and os.getpid() not in pids


def test_the_default_chunk_with_extract_and_merge_is_an_even_split_and_there_are_never_more_processes_than_concurrency():
    def work(_):
        return os.getpid()

    for chunksize in (0, 1):
        assert len(set(parallel_map(work, range(100), concurrency=2, chunksize=chunksize))) <= 2
    pids = parallel_map(work, range(12), 4, extract=lambda g: 1, merge=lambda g, e: 1)
    assert len(set(pids)) == 4 and all(len(set(pids[i:i + 3])) == 1 for i in range(0, 12, 3))


def test_a_free_worker_takes_the_next_chunk():
    started = time.monotonic()
    parallel_map(time.sleep, [0.6] + [0.02] * 30, 2, 1)
    assert time.monotonic() - started < 1.1


def take(g):
    return list(g["seen"])


def put(g, extracted):
    g["seen"] += extracted


def see(x):
    seen.append((x, len(seen)))
    return -x


@pytest.mark.parametrize("form", ["positional", "keyword", "mixed", "all keyword"])
def test_both_call_forms(form):
    seen.clear()
    items = list(range(6))
    if form == "positional":
        got = parallel_map(see, items, take, put, 2, 3)
    elif form == "mixed":
        got = parallel_map(see, items, 2, 3, extract=take, merge=put)
    elif form == "keyword":
        got = parallel_map(see, items, extract=take, merge=put, concurrency=2, chunksize=3)
    else:
        got = parallel_map(f=see, args=items, extract=take, merge=put, concurrency=2, chunksize=3)
    assert got == [-x for x in items]
    assert seen == [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2)]
    merged = seen[:]
    seen.clear()
    assert starmap(see, [(x,) for x in items], take, put, 2, 3) == got and seen == merged
    assert starmap(see, [(x,) for x in items], chunksize=2, concurrency=3) == got and seen == merged
    assert parallel_map(see, items, None, None, 2, 3) == got and seen == merged


@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_extract_and_merge_do_not_depend_on_concurrency(concurrency):
    def slow_first(x):
        time.sleep(0.1 if x == 0 else 0)
        return see(x)

    seen.clear()
    parallel_map(slow_first, range(8), take, put, concurrency, 2)
    assert seen == [(x, x % 2) for x in range(8)]


def test_each_chunk_begins_with_the_globals_of_the_call_and_at_most_concurrency_run():
    channel = Channel(1 << 16)
    changes = []

    def work(x):
        channel.send_pyobj(1)
        time.sleep(0.1)
        channel.send_pyobj(-1)
        return x, os.getpid()

    pids = parallel_map(work, range(6), take, put, 2, 1)
    assert len({pid for _, pid in pids}) == 6
    while True:
        try:
            changes.append(channel.receive_pyobj(False))
        except IndexError:
            break
    assert max(sum(changes[:i]) for i in range(len(changes) + 1)) == 2
    channel.dispose()


# ---- failures ----


class OwnError(Exception):
    pass


def fail_late_and_early(x):
    if x == 2:
        time.sleep(0.3)
    if x >= 2:
        raise OwnError(x)
    return x


@pytest.mark.diagonal
@pytest.mark.parametrize("more", [{}, {"extract": take, "merge": put}], ids=["counter", "merge"])
@pytest.mark.parametrize("concurrency,chunksize", [(1, 1), (4, 1), (2, 2), (8, 1)])
def test_the_exception_of_the_earliest_failing_argument_is_raised(concurrency, chunksize, more):
    seen.clear()
    with pytest.raises(OwnError) as caught:
        parallel_map(fail_late_and_early, range(8), concurrency, chunksize, **more)
    assert caught.value.args == (2,)
    assert "fail_late_and_early" in str(caught.value.__cause__)
    assert seen == [], "a map that raises merges nothing"


def test_the_other_workers_are_ended_and_reaped():
    def work(x):
        if x == 0:
            raise OwnError
        time.sleep(30)

    for more in ({}, {"extract": take, "merge": put}):
        started = time.monotonic()
        with pytest.raises(OwnError):
            parallel_map(work, range(4), 4, 1, **more)
        assert time.monotonic() - started < 10
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


@pytest.mark.diagonal
@pytest.mark.parametrize("more", [{}, {"extract": take, "merge": put}], ids=["counter", "merge"])
@pytest.mark.parametrize("how,status,words", [
    (lambda: os.kill(os.getpid(), signal.SIGKILL), -9, "signal 9"), (lambda: os._exit(0), 0, "status 0"),
    (lambda: os._exit(5), 5, "status 5"), (lambda: exit(6), 6, "status 6")], ids=["SIGKILL", "_exit 0", "_exit", "exit"])
def test_a_worker_that_dies_is_told_with_its_fate_and_its_arguments(how, status, words, more):
    def work(x):
        if x == 13:
            how()
        return x

    with pytest.raises(ChildDied, match=f"{words}.*arguments 12 to 14") as caught:
        parallel_map(work, range(20), 2, 3, **more)
    assert caught.value.exit_status == status and caught.value.pid > 0


@pytest.mark.parametrize("more", [{}, {"extract": take, "merge": put}], ids=["counter", "merge"])
def test_results_and_exceptions_that_do_not_pickle_are_told(more):
    with pytest.raises(ChildDied, match="pickled"):
        parallel_map(lambda x: (lambda: x), range(4), 2, **more)

    def raising(x):
        raise OwnError(lambda: x)

    with pytest.raises(ChildDied, match="OwnError.*pickled"):
        parallel_map(raising, range(4), 2, **more)


def test_an_item_of_starmap_that_is_not_iterable_is_a_type_error():
    with pytest.raises(TypeError, match="iterable"):
        starmap(pow, [(1, 2), 3])


def test_exceptions_of_extract_and_merge_are_raised_and_nothing_is_merged_by_the_first():
    seen.clear()
    with pytest.raises(ZeroDivisionError):
        parallel_map(see, range(4), lambda g: 1 / (g["seen"][0][0] - 2), put, 2, 2)
    assert seen == []
    with pytest.raises(OwnError):
        parallel_map(see, range(4), take, lambda g, e: (_ for _ in ()).throw(OwnError), 2, 2)


def test_base_exceptions_of_f_come_through():
    def work(x):
        raise KeyboardInterrupt("typed")

    with pytest.raises(KeyboardInterrupt, match="typed"):
        parallel_map(work, [1])


def test_big_results_of_all_chunks_pass():
    got = parallel_map(lambda x: bytes([x]) * (3 << 20), range(20), 4, 1)
    assert [g == bytes([i]) * (3 << 20) for i, g in enumerate(got)] == [True] * 20


def test_map_in_a_worker_of_map():
    assert parallel_map(lambda n: parallel_map(square, range(n), 2), range(4), 2, 1) == [
        [x * x for x in range(n)] for n in range(4)]


def test_map_from_several_python_threads(check_program):
    assert check_program("""
        import threading, warnings
        import snakefish
        warnings.simplefilter("ignore", DeprecationWarning)
        results = {}
        def work(n):
            results[n] = snakefish.map(lambda x: x + n, range(50), 2, 5)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(all(results[n] == [x + n for x in range(50)] for n in range(4)))
        """) == "True\n"


def test_the_parent_only_coordinates():
    def work(x):
        return os.getpid()

    assert os.getpid() not in parallel_map(work, [1], 1)
    assert inspect.signature(parallel_map).parameters["concurrency"].default == 0


def test_the_same_result_also_when_items_share_state():
    items = [[0], [1], [2]]
    assert parallel_map(lambda item: item.append(5) or item, items, 2, 1) == [[0, 5], [1, 5], [2, 5]]
    assert items == [[0], [1], [2]]
