"""Executor.submit with share=: result() merges what the task has changed."""
import asyncio
import concurrent.futures
import functools
import gc
import os
import sys

import pytest
from conftest import collect
from merging import Unpicklable

import snakefish
from snakefish.merge import Conflict

hits, seen, words, rows, row, ring = 0, [], {}, [], [], []


@pytest.fixture(autouse=True)
def begin():
    rows_now, ring_now = [[], 1], []
    ring_now.append(ring_now)
    globals().update(hits=0, seen=[], words={}, rows=rows_now, row=rows_now[0], ring=ring_now, name="nobody")


@pytest.fixture
def tell(monkeypatch):
    """Call it in the test, where pytest has its own hook already: a list of what sys.unraisablehook is told from then on."""
    def begin():
        found = []
        monkeypatch.setattr(sys, "unraisablehook", lambda told: found.append((told.err_msg, str(told.exc_value))))
        return found

    return begin


def bump(x):
    global hits
    hits += x
    seen.append(x)
    return hits


def put(word):
    bump(1)
    words["x"] = word


def fail(x):
    bump(x)
    raise LookupError(x)


def own_hits():
    return hits, len(seen)


# ---- what is merged, and when ----


def test_result_merges_once_in_the_order_of_the_calls(executor):
    futures = [executor.submit(bump, x, share=["hits", "seen"]) for x in range(1, 6)]
    concurrent.futures.wait(futures)
    assert hits == 0  # wait() merges nothing
    for future in reversed(futures):
        assert future.result() == future.result() == seen[-1] and future.exception() is None
    assert (hits, seen) == (15, [5, 4, 3, 2, 1])
    done = concurrent.futures.as_completed([executor.submit(bump, 1, share=["hits"]) for _ in range(4)])
    assert [future.result() for future in done] == [16] * 4 and hits == 19


def test_each_task_gets_the_values_of_its_submit_and_leaves_the_worker_as_it_was(executor):
    global hits
    executor.submit(bump, 0).result()
    assert executor.submit(own_hits).result() == (0, 0)  # from now on the workers have both functions
    for hits in 10, 20:
        assert executor.submit(bump, 1, share=["hits", "seen"]).result() == hits
        hits = 0
        assert executor.submit(own_hits).result() == (0, 0)
    assert seen == [1, 1]


def test_aliases_and_cycles(executor):
    def change(part):
        part.append(3)
        row.append(rows)
        ring.append(ring)
        return part is row, rows[0] is row, ring[0] is ring

    assert executor.submit(change, part=row, share=["rows", "row", "ring"]).result() == (True, True, True)
    assert rows[0] is row and row[0] == 3 and row[1] is rows and all(inner is ring for inner in ring) and len(ring) == 2


class Counting:
    def __init__(self):
        self.mine = 0

    def bump(self, x):
        self.mine += x
        return bump(x)

    def __call__(self, x):
        return self.bump(x)


def test_functions_of_every_kind(executor):
    one = Counting()
    for f in one.bump, one, functools.partial(one.bump, 1), functools.partial(bump, x=1), lambda x=1: bump(x):
        before = hits
        executor.submit(f, *[1] * (f in (one.bump, one)), share=["hits"]).result()
        assert hits == before + 1
    assert executor.submit(abs, -1, share=["hits"]).result() == 1
    assert one.mine == 0


def test_share_of_another_module(executor):
    import merging

    merging.counted_here = 1

    def count():
        merging.counted_here += 1

    try:
        executor.submit(count, share=["merging:counted_here"]).result()
        assert merging.counted_here == 2
    finally:
        del merging.counted_here


def test_what_was_changed_before_an_exception_is_merged(executor):
    future = executor.submit(fail, 2, share=["hits"])
    assert isinstance(future.exception(), LookupError) and hits == 2
    with pytest.raises(LookupError) as caught:
        future.result()
    assert "in fail" in str(caught.value.__cause__) and hits == 2


def test_asyncio(executor):
    async def main():
        await asyncio.wrap_future(executor.submit(bump, 3, share=["hits"]))
        failed = asyncio.wrap_future(executor.submit(put, "b", share={"hits": None, "words": "either"}))
        words["x"] = "a"
        with pytest.raises(Conflict):
            await failed

    asyncio.run(main())
    assert (hits, words) == (3, {"x": "a"})


# ---- rules and conflicts ----


def test_a_conflict_stays_the_futures_outcome_and_merges_nothing(executor):
    first, second = (executor.submit(put, word, share=["hits", "words"]) for word in "ab")
    first.result()
    for _ in range(2):
        with pytest.raises(Conflict, match=r"the parent has made it 'a', put\('b'\) 'b'"):
            second.result()
    assert isinstance(second.exception(), Conflict) and second.exception().child_task == "put('b')"
    assert (hits, words) == (1, {"x": "a"})
    third = executor.submit(put, "c", share=["hits", "words"], on_conflict="child")
    words["x"] = "d"
    third.result()
    assert (hits, words) == (2, {"x": "c"})


def test_rules_and_merge_functions(executor):
    global name
    futures = [executor.submit(put, word, share={"hits": "sum", "words": "last"}) for word in "ab"]
    assert [future.result() for future in futures] == [None, None] and (hits, words) == (2, {"x": "b"})

    def merge(base, current, child):
        return {"hits": 100 * base["hits"] + 10 * current["hits"] + child["hits"]}

    future = executor.submit(bump, 1, share=["hits"], merge=merge)
    bump(5)
    future.result()
    assert hits == 200 + 70 + 3


def test_share_belongs_to_a_function_that_has_such_a_parameter(executor):
    def own(share=None, on_conflict=None, merge=None):
        return share, on_conflict, merge

    def rest(**more):
        bump(1)
        return more

    assert executor.submit(own, share=["hits"]).result() == (["hits"], None, None)
    assert executor.submit(own, share=None, on_conflict=1).result() == (None, 1, None)
    assert executor.submit(rest, on_conflict=1, merge=2, share=None).result() == {"on_conflict": 1, "merge": 2}
    assert executor.submit(rest, share=["hits"], x=1).result() == {"x": 1} and hits == 1
    assert executor.submit(functools.partial(own, share=7), share=["hits"]).result() == (7, None, None)


# ---- what fails ----


def test_a_worker_that_dies_merges_nothing(executor):
    def die(x):
        bump(1)
        os.kill(os.getpid(), 9)

    def leave():
        bump(1)
        sys.exit(3)

    for f, arguments in (die, (1,)), (leave, ()):
        with pytest.raises(snakefish.WorkerDied, match=f.__name__):
            executor.submit(f, *arguments, share=["hits"]).result()
    assert hits == 0 and executor.submit(bump, 1, share=["hits"]).result() == 1


def test_what_cannot_be_pickled(executor):
    with pytest.raises(ValueError, match="has no global 'hitz'"):
        executor.submit(bump, 1, share=["hitz"])
    assert isinstance(executor.submit(bump, Unpicklable(), share=["hits"]).exception(), TypeError)
    with pytest.raises(TypeError, match="what a task has changed in hits, words cannot be pickled"):
        executor.submit(lambda: (bump(1), words.update(x=Unpicklable())), share=["hits", "words"]).result()
    assert (hits, words) == (0, {})
    words["lock"] = Unpicklable()
    with pytest.raises(TypeError, match="share: 'words' cannot be pickled"):
        executor.submit(bump, 1, share=["hits", "words"])
    with pytest.raises(TypeError, match="must take .base, current, child."):
        executor.submit(bump, 1, share=["hits"], merge=lambda mine, other: None)


def test_a_class_that_was_made_after_the_fork(executor):
    executor.submit(own_hits).result()

    class Later:
        __qualname__ = "Later"

    globals()["Later"] = Later
    try:
        words["later"] = Later()
        executor.submit(put, 1, share=["words"]).result()
        assert type(words["later"]) is Later and words["x"] == 1
    finally:
        del globals()["Later"]


# ---- what nobody asks for ----


def test_changes_that_nobody_merges_are_told(executor, tell):
    told = tell()
    executor.submit(put, 1, share=["hits", "words"])
    executor.submit(own_hits, share=["hits"])  # it changes nothing
    executor.submit(put, 2, share=["words"]).result()
    executor.submit(abs, -1).result()
    executor.shutdown()
    collect()
    assert told == [("Changes never merged", "put(1) has changed hits, words, and nobody has called result() or exception() "
                     "of its Future, which merges that: it is lost")]


def test_a_future_can_be_asked_after_the_shutdown(tell):
    told = tell()
    with snakefish.Executor(1) as executor:
        future = executor.submit(bump, 1, share=["hits"])
    assert future.result() == 1 and hits == 1
    del future
    collect()
    assert told == []


def test_they_are_told_at_the_end_of_the_program(run_program):
    ended = run_program("""
        import snakefish
        hits = 0
        def bump():
            global hits
            hits += 1
        executor = snakefish.Executor(1)
        kept = executor.submit(bump, share=["hits"])
        """)
    assert ended.status == 0 and ended.stderr.startswith("Changes never merged: <SharedFuture at "), ended.stderr


def test_a_fork_neither_merges_nor_tells(executor, tell):
    told = tell()
    future = executor.submit(bump, 1, share=["hits"])
    concurrent.futures.wait([future])

    def child():
        with pytest.raises(RuntimeError, match=f"process {os.getppid()}"):
            future.result()
        future.__del__()
        return hits, told

    with snakefish.Thread(child) as thread:
        thread.start()
    assert thread.get_result() == (0, [])
    assert future.result() == 1 and hits == 1


def test_ctrl_c_in_a_merge_loses_nothing(executor):
    interrupts = [1]

    def merge(base, current, child):
        if interrupts:
            interrupts.pop()
            raise KeyboardInterrupt
        assert future.result() == 1  # from within: it is there, and nothing waits for itself
        return child

    future = executor.submit(bump, 1, share=["hits"], merge=merge)
    with pytest.raises(KeyboardInterrupt):
        future.result()
    assert hits == 0 and future.result() == 1 and hits == 1


def test_cancelled_and_late(executor):
    gate = [executor.submit(os.read, 0, 0) for _ in range(20)]
    late = executor.submit(bump, 1, share=["hits"])
    with pytest.raises(concurrent.futures.TimeoutError):
        executor.submit(__import__("time").sleep, 1, share=["hits"]).result(timeout=0.01)
    assert late.result(timeout=30) == 1 and hits == 1
    del gate
    gc.collect()
