"""map without chunksize: which chunks the workers claim, counted in a trace, and what becomes of them."""
import os
import random
import shutil
import subprocess
import sys
import time

import pytest
import snakefish
from conftest import PYPY, children, environment
from databases import TRACER, Database
from matrix import first

traced = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")
parallel_map = snakefish.map


class OwnError(Exception):
    pass


@pytest.fixture
def chunks_of(check_program, tmp_path):
    def chunks_of(call):
        """The sizes of the chunks that this call of map has made, by their numbers, and the a of its map event."""
        check_program(f"""
            import sys, time, snakefish
            from snakefish import trace
            with trace.session(sys.argv[1]):
                {call}
            """, tmp_path / "run.db")
        with Database(tmp_path / "run.db") as db:
            chunks = sorted(db.rows("SELECT a, b FROM span WHERE kind = 'chunk' AND closed"))
            assert [number for number, _ in chunks] == list(range(len(chunks)))
            assert db.losses() == [] and db.one("SELECT count(*) FROM span WHERE kind = 'map'") == 1
            return [size for _, size in chunks], db.one("SELECT a FROM span WHERE kind = 'map'")
    return chunks_of


@traced
def test_quick_tasks_are_claimed_many_at_once_and_no_chunk_is_more_than_its_share(chunks_of):
    sizes, told = chunks_of("assert snakefish.map(lambda x: x * x, range(100_000), 2) == [x * x for x in range(100_000)]")
    assert sum(sizes) == 100_000 and len(sizes) == told
    assert max(sizes) <= 100_000 // (2 * 2)
    assert len(sizes) <= 1000  # one claim for a hundred tasks of 0.1 us each, though each begins with a single one


@traced
def test_tasks_that_take_longer_than_a_claim_should_are_claimed_one_by_one(chunks_of):
    sizes, told = chunks_of("snakefish.map(lambda x: time.sleep(0.006), range(30), 2)")
    assert sizes == [1] * 30 and told == 30


@traced
def test_with_a_chunksize_and_with_extract_and_merge_the_chunks_are_of_one_size(chunks_of):
    assert chunks_of("snakefish.map(abs, range(10), 2, 4)") == ([4, 4, 2], 3)
    assert chunks_of("snakefish.map(abs, range(10), 3, extract=lambda g: 1, merge=lambda g, e: 1)") == ([4, 4, 2], 3)


@pytest.mark.parametrize("count", [2, 9, 1000])
def test_while_one_worker_is_at_a_long_task_the_others_take_all_that_is_left(count):
    """The first task ends when all others have: it waits for a message of each. An even split would wait for ever."""
    with snakefish.Channel(1 << 20) as done:
        def work(x):
            if x:
                done.send_pyobj(x)
                return os.getpid()
            assert sorted(done.receive_pyobj(timeout=30) for _ in range(count - 1)) == list(range(1, count))
            return os.getpid()

        pids = parallel_map(work, range(count), 2)
    assert len(set(pids[1:])) == 1 and pids[0] not in pids[1:]


def test_long_tasks_at_the_beginning_are_shared():
    def work(x):
        time.sleep(0.02 if x < 30 else 0)
        return os.getpid()

    pids = parallel_map(work, range(2000), 2)[:30]
    assert len(set(pids)) == 2 and min(pids.count(pid) for pid in set(pids)) >= 5


def test_tasks_that_become_long_are_shared():
    """By then the workers claim thousands at once, but never more than a part of what is left."""
    def work(x):
        if x >= 100_000:
            time.sleep(0.005)
        return os.getpid()

    pids = parallel_map(work, range(100_100), 2)[100_000:]
    assert len(set(pids)) == 2 and min(pids.count(pid) for pid in set(pids)) >= 20


@pytest.mark.parametrize("seed", first(3, range(8)))
def test_the_exception_of_the_earliest_failing_argument_is_raised_wherever_it_is(seed):
    chance = random.Random(seed)
    count, before = chance.choice([5, 300, 20_000]), children()
    bad = {chance.randrange(count) for _ in range(chance.randint(2, 4))}

    def work(x):
        if x in bad:
            time.sleep(0.3 if x == min(bad) else 0)  # by then the others have failed
            raise OwnError(x)
        return x

    with pytest.raises(OwnError) as caught:
        parallel_map(work, range(count), chance.randint(2, 4))
    assert caught.value.args == (min(bad),) and children() == before


def test_results_come_home_in_order_whoever_is_slow():
    chance = random.Random(7)
    naps = [chance.choice([0, 0, 0, 0.001, 0.01]) for _ in range(600)]

    def work(x):
        time.sleep(naps[x])
        return x, b"x" * (70_000 if x % 50 == 0 else x)  # every fiftieth travels alone

    got = parallel_map(work, range(600), 4)
    assert [x for x, _ in got] == list(range(600)) and len(got[100][1]) == 70_000


def test_one_worker_and_more_workers_than_arguments():
    assert parallel_map(abs, range(1000), 1) == list(range(1000))
    for count in range(1, 6):
        assert parallel_map(lambda x: -x, range(count), 7) == [-x for x in range(count)]


@pytest.mark.skipif(not shutil.which("gdb") or PYPY, reason="gdb kills the worker, in the functions of CPython's extension")
@pytest.mark.parametrize("more", ["", ", chunksize=7"])
def test_a_worker_killed_between_its_claim_and_the_note_of_it_is_found_missing(more, tmp_path):
    """Nothing says whose these arguments were, and no result of them ever comes."""
    program = tmp_path / "program.py"
    program.write_text(f"""
import snakefish
try:
    snakefish.map(abs, range(100), 1{more})
except snakefish.ChildDied as died:
    print("told:", died)
""")
    gdb = ["gdb", "-nx", "-batch", *(word for command in (
        "set confirm off", "set breakpoint pending on", "set follow-fork-mode child", "break sf_map_begin_chunk", "run", "kill")
        for word in ("-ex", command)), "--args", sys.executable, str(program)]
    ended = subprocess.run(gdb, env=environment(), capture_output=True, text=True, timeout=50)
    if "hit Breakpoint" not in ended.stdout:
        pytest.skip("gdb may not stop programs here: " + ended.stderr[-200:])
    assert "signal 9 (Killed) before it had sent its results for " in ended.stdout
