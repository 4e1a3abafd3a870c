"""The table "Programs written for the snakefish of 2020" in ext/README.md: what each row says is so."""
import os
import signal
import sys

import pytest

import snakefish

total = 0


def started(f, *more, **arguments):
    thread = snakefish.Thread(f, *more, **arguments)
    thread.start()
    return thread


def extract(child_globals):
    return child_globals["total"] + 1


def merge(my_globals, extracted):
    my_globals["total"] += extracted


@pytest.fixture(autouse=True)
def from_zero():
    global total
    total = 0


def test_sys_exit_gives_its_status_and_no_result():
    t = started(sys.exit, args=(3,))
    t.join()
    assert t.get_exit_status() == 3
    with pytest.raises(snakefish.ChildDied) as died:
        t.get_result()
    assert died.value.exit_status == 3


def test_a_child_that_raises_is_merged_and_has_exit_status_0():
    def raises():
        raise KeyError("in the child")

    t = started(raises, extract, merge)
    t.join()
    assert (t.get_exit_status(), total) == (0, 1)
    with pytest.raises(KeyError, match="in the child"):
        t.get_result()


def test_a_second_join_returns_and_merges_nothing():
    t = started(os.getpid, extract, merge)
    for _ in range(3):
        t.join()
        assert t.try_join()
    assert total == 1


def test_wrong_states_say_what_to_call():
    t = snakefish.Thread(os.getpid)
    for call in (t.join, t.try_join, t.get_result, t.get_exit_status):
        with pytest.raises(snakefish.RuntimeError, match=r"start\(\)"):
            call()
    t.start()
    with pytest.raises(snakefish.RuntimeError, match="started already"):
        t.start()
    with pytest.raises(snakefish.RuntimeError, match=r"call join\(\) first"):
        t.get_result()
    t.join()


def test_a_generator_that_is_joined_early_runs_its_finally_blocks_and_is_merged(tmp_path):
    def items():
        global total
        try:
            yield 1
            yield 2
        finally:
            total = 10
            (tmp_path / "finally").write_text(str(os.getpid()))

    g = snakefish.Generator(items, extract, merge)
    g.start()
    assert g.next() == 1
    pid = g.pid
    g.join()
    assert (tmp_path / "finally").read_text() == str(pid)
    assert (g.get_exit_status(), total) == (0, 11)
    for _ in range(2):
        with pytest.raises(StopIteration):
            g.next()


def test_waits_that_nothing_can_end_raise():
    with snakefish.Channel(1 << 12) as c:
        with pytest.raises(EOFError):
            c.receive_pyobj()
        with pytest.raises(OverflowError):
            c.send_pyobj(bytes(1 << 13), True)
        with pytest.raises(BrokenPipeError):
            while True:
                c.send_pyobj(bytes(100), True)


def test_a_child_that_is_killed_is_child_died_wherever_its_result_is_asked_for():
    def kills(n=0):
        os.kill(os.getpid(), signal.SIGKILL)

    def items():
        kills()
        yield 1

    t = started(kills)
    t.join()
    g = snakefish.Generator(items)
    g.start()
    for ask in (t.get_result, g.next, lambda: snakefish.map(kills, [1]), lambda: list(snakefish.imap(kills, [1]))):
        with pytest.raises(snakefish.ChildDied, match="signal 9"):
            ask()
    g.join()


def test_a_map_that_raises_merges_nothing():
    with pytest.raises(ZeroDivisionError):
        snakefish.map(lambda n: 1 // n, [1, 2, 0, 3], extract, merge, 2, 1)
    assert total == 0


def test_both_forms_of_the_arguments_of_map():
    for call in (lambda: snakefish.map(abs, range(4), extract, merge, 2, 1),
                 lambda: snakefish.map(abs, range(4), 2, 1, extract=extract, merge=merge)):
        before = total
        call()
        assert total > before
