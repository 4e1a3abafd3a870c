"""imap with share=, in forked processes: a chunk's changes are merged right before its first result is handed out."""
import gc
import itertools
import os
import signal
import threading
import time

import pytest
from conftest import check_refused_in_a_fork, children
from merging import Unpicklable

import snakefish
from snakefish import imap
from snakefish.merge import Conflict

hits, seen, words, rows, row = 0, [], {}, [], []


@pytest.fixture(autouse=True)
def begin():
    rows_now = [[], 1]
    globals().update(hits=0, seen=[], words={}, rows=rows_now, row=rows_now[0], name="nobody")


def bump(x):
    global hits
    hits += x
    seen.append(x)
    return hits


def pid_and_bump(x):
    time.sleep(0.01)
    return os.getppid(), os.getpid(), bump(x)


def put(x):
    bump(1)
    words[x % 2] = x
    return x


def fail_at_3(x):
    put(x)
    if x == 3:
        raise LookupError(x)
    return x


@pytest.mark.diagonal
@pytest.mark.parametrize("make", [list, iter])  # what is asked in place, and by a thread
@pytest.mark.parametrize("concurrency, chunksize", [(1, 1), (2, 1), (3, 2), (2, 100)])
def test_the_result_is_that_of_a_map(make, concurrency, chunksize):
    came = []
    for result in imap(bump, make(range(1, 8)), concurrency, chunksize, share=["hits", "seen"]):
        end = (len(came) // chunksize + 1) * chunksize
        assert seen == list(range(1, 8))[:end] and hits == sum(seen)  # its chunk is merged
        came.append(result)
    imap_came, imap_state = came, (hits, seen)
    globals().update(hits=0, seen=[])
    assert snakefish.map(bump, range(1, 8), concurrency, chunksize, share=["hits", "seen"]) == imap_came
    assert (hits, seen) == imap_state


def test_all_chunks_start_from_the_state_at_the_first_next():
    global hits
    results = imap(pid_and_bump, itertools.repeat(1), 2, share=["hits"])
    hits = 100
    came = []
    for _ in range(12):
        came.append(next(results))
        hits += 1000
    results.close()
    assert [value for *_, value in came] == [101] * 12 and hits == 100 + 12 * 1001
    assert len({worker for worker, *_ in came}) == 2 and len({pid for _, pid, _ in came}) == 12


def test_workers_are_forked_at_once_but_no_more_than_can_be_needed():
    with imap(bump, range(4), 8, 2, share=["hits"]) as results:
        assert len(children()) == 0
        next(results)
        assert len(children()) == 2

    def wait():
        yield 1
        release.wait()
        yield 2

    release = threading.Event()
    with imap(put, wait(), 3, share=["hits"]) as results:
        assert next(results) == 1 and hits == 2  # it is not held back by what comes later
        assert len(children()) == 3
        release.set()
        assert list(results) == [2]
    assert not children()


def test_it_is_lazy_and_bounded():
    asked = []

    def ask():
        for n in itertools.count():
            asked.append(n)
            yield n

    results = imap(put, ask(), 2, share={"hits": None, "words": "last"})
    assert asked == []
    for n in range(20):
        assert next(results) == n and len(asked) <= n + 2 + 3 * 2
    results.close()
    assert hits == 20 and list(results) == []


def test_an_argument_that_is_shared_is_the_variable_there():
    def take(part):
        part.append(os.getpid())
        return part is row, part is rows

    assert list(imap(take, [row, rows, [0]], 2, share=["rows"])) == [(True, False), (False, True), (False, False)]
    assert rows[0] is row and len(row) == 1 and len(rows) == 3


def test_closures_and_values_that_cannot_be_pickled():
    words["lock"] = Unpicklable()
    by = 3
    assert list(imap(lambda x: bump(by * x) if words["lock"] else None, [1, 2], 2, share=["hits", "words"])) == [3, 6]
    assert hits == 9


# ---- what fails ----


def test_what_was_changed_before_an_exception_is_merged():
    results = imap(fail_at_3, range(8), 2, 2, share={"hits": None, "words": "last"})
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError) as caught:
        next(results)
    assert "in fail_at_3" in str(caught.value.__cause__)
    assert list(results) == [] and (hits, words) == (4, {0: 2, 1: 3}) and not children()


def test_a_conflict_comes_in_the_place_of_its_chunk():
    results = imap(put, range(6), 2, 2, share=["hits", "words"])
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(Conflict, match="the parent has made it 0, chunk 1, arguments 2 to 3 2"):
        next(results)
    assert list(results) == [] and (hits, words) == (2, {0: 0, 1: 1}) and not children()
    words.clear()
    assert list(imap(put, range(6), 2, 2, share=["hits", "words"], on_conflict="child")) == list(range(6))
    assert (hits, words) == (8, {0: 4, 1: 5})


def test_merge_functions():
    def merge(base, current, child):
        return {"hits": current["hits"] - base["hits"] + child["hits"] + 10}

    assert list(imap(bump, [1, 2, 3], 2, share=["hits"], merge=merge)) == [1, 2, 3]
    assert hits == 36


@pytest.mark.parametrize("victim", [os.getpid, os.getppid])
def test_a_process_that_is_killed(victim):
    """The fork that runs the chunk, or the worker itself."""

    def die_at_3(x):
        bump(1)
        if x == 3:
            os.kill(victim(), signal.SIGKILL)
            time.sleep(60)
        return x

    results = imap(die_at_3, range(8), 2, 2, share=["hits"])
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(snakefish.ChildDied, match="killed by signal 9"):
        next(results)
    assert list(results) == [] and hits == 2 and not children()


def test_timeout():
    def sleep_at_3(x):
        bump(1)
        time.sleep(60 if x == 3 else 0)
        return x

    results = imap(sleep_at_3, range(8), 2, 2, timeout=0.5, share=["hits"])
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(TimeoutError, match=r"argument 1 took longer than .* \(numbers are counted from argument 2\)"):
        next(results)
    assert list(results) == [] and hits == 2 and not children()


def test_results_and_changes_that_cannot_be_pickled():
    results = imap(lambda x: Unpicklable() if bump(x) == 2 else x, [1, 2, 3], 2, share=["hits"])
    assert next(results) == 1
    with pytest.raises(snakefish.ChildDied, match="its result for argument 1 .Unpicklable. cannot be pickled"):
        next(results)
    assert hits == 3  # the task has ended, so what it has changed is merged
    with pytest.raises(TypeError, match="what a task has changed in words cannot be pickled"):
        list(imap(lambda x: words.update(lock=Unpicklable()), [1], share=["words"]))
    assert words == {}


def test_arguments_that_raise_or_cannot_be_pickled():
    def ask():
        yield 1
        yield 2
        raise LookupError("no more")

    for args, count, failure, text in (([1, 2, Unpicklable(), 3], 2, TypeError, "cannot pickle"),
                                       (ask(), 2, LookupError, "no more")):
        for chunksize in 1, 2, 3:
            results = imap(bump, args if count == 2 and isinstance(args, list) else ask(), 2, chunksize, share=["hits"])
            came = []
            with pytest.raises(failure, match=text) as caught:
                for result in results:
                    came.append(result)
            assert len(came) == count and list(results) == []
            if failure is TypeError:
                assert caught.value.__notes__ == ["argument 2 cannot be pickled"]


def test_wrong_arguments():
    for wrong, error, text in (({"share": ["hitz"]}, ValueError, "has no global 'hitz'"),
                               ({"share": ["hits"], "on_conflict": "guess"}, ValueError, "on_conflict is"),
                               ({"on_conflict": "child"}, ValueError, "on_conflict goes with share"),
                               ({"merge": max, "share": None}, ValueError, "merge goes with share"),
                               ({"share": ["hits"], "merge": max, "chunksize": 0}, ValueError, "chunksize"),
                               ({"share": ["hits"], "extract": len}, TypeError, "extract"),
                               ({"share": {"name": None}}, TypeError, "no merge follows")):
        with pytest.raises(error, match=text):
            next(imap(bump, [1], **wrong))
    with pytest.raises(TypeError, match="args must be an iterable"):
        imap(bump, 5, share=["hits"])
    with pytest.raises(ValueError, match="share= does not go with imap_unordered"):
        snakefish.imap_unordered(bump, [1], share=["hits"])
    assert list(imap(bump, [1], share=None)) == [1] and hits == 0
    assert list(imap(bump, [1], on_conflict=None, merge=None, globals=None)) == [1] and hits == 0


def test_the_globals_of_others():
    mine = {"hits": 5}

    def count(x):
        mine["hits"] += x

    assert list(imap(count, [1, 2], share=["hits"], globals=mine)) == [None, None] and (mine, hits) == ({"hits": 8}, 0)
    exec("def count(x):\n    global hits\n    hits += x", mine)
    assert list(imap(mine["count"], [1, 2], share=["hits"])) == [None, None] and (mine["hits"], hits) == (11, 0)


# ---- its end ----


def test_close_and_garbage_collection_end_the_workers():
    results = imap(lambda x: time.sleep(0 if x == 0 else 60), range(9), 3, share=["hits"])
    next(results)
    assert children()
    results.close()
    assert not children() and list(results) == []
    results = imap(lambda x: time.sleep(0 if x == 0 else 60), range(9), 3, share=["hits"])
    next(results)
    del results
    gc.collect()
    assert not children()


def test_the_process_that_began_it_iterates_and_one_at_a_time():
    results = imap(bump, range(9), 2, share=["hits"])
    next(results)
    check_refused_in_a_fork(results)

    def merge(base, current, child):
        with pytest.raises(RuntimeError, match="one at a time"):
            next(inner)
        return child

    inner = imap(bump, [5], share=["hits"], merge=merge)
    assert list(inner) == [5]
    results.close()


def test_ctrl_c_in_a_merge_loses_nothing():
    interrupts = [1]

    def merge(base, current, child):
        if interrupts:
            interrupts.pop()
            raise KeyboardInterrupt
        return {"hits": current["hits"] + child["hits"] - base["hits"]}

    results = imap(bump, [1, 2, 3], 2, share=["hits"], merge=merge)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert hits == 0 and list(results) == [1, 2, 3] and hits == 6
