"""No failure in silence: what a Thread or Generator raised and nobody asked for is printed. And what repr says of it."""
import functools
import os
import signal
import sys
import time

import pytest
from conftest import PYPY, collect, settles

import snakefish
from snakefish import ChildDied, Generator, Thread, wait


class OwnError(Exception):
    pass


def fail(exception=None):
    raise exception or OwnError("disk full")


def failing(items=0):
    yield from range(items)
    fail()


def suicide():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def told():
    """What sys.unraisablehook is given in a test that listens: (message, repr of the object, exception)."""
    return []


def listens(test):
    """pytest sets a hook of its own around each test, so this one is set within it."""
    @functools.wraps(test)
    def listening(*arguments, told, **keywords):
        before = getattr(sys, "unraisablehook", None)
        sys.unraisablehook = lambda u: told.append((u.err_msg, repr(u.object), u.exc_value))
        try:
            test(*arguments, told=told, **keywords)
        finally:
            sys.unraisablehook = before

    return listening


def ran(f, *more, kind=Thread, **keywords):
    """Joined."""
    task = kind(f, *more, **keywords)
    task.start()
    task.join()
    return task


def drop(holder):
    """Frees the only item of the list."""
    holder.clear()
    if PYPY:
        collect()


# ---- what is told ----


@pytest.mark.parametrize("end", ["dispose", "collected"])
@listens
def test_an_exception_that_nobody_asked_for_is_told_once_with_the_remote_traceback(told, end):
    holder = [ran(fail, name="mine")]
    assert told == []
    if end == "dispose":
        holder[0].dispose()
        assert len(told) == 1
    drop(holder)
    (message, name, exception), = told
    assert message == "Exception never retrieved" and "mine" in name
    assert type(exception) is OwnError and exception.args == ("disk full",)
    assert "in fail" in str(exception.__cause__)


@pytest.mark.parametrize("f, words", [
    (suicide, "signal 9"), (functools.partial(os._exit, 3), "status 3"), (functools.partial(sys.exit, 4), "status 4"),
    (lambda: (lambda: 1), "pickled")])
@listens
def test_a_child_that_left_no_result_is_told_too(told, f, words):
    drop([ran(f)])
    (_, _, exception), = told
    assert type(exception) is ChildDied and words in str(exception)


@listens
def test_one_that_nobody_joined_is_told_too(told):
    Thread(fail).start()
    assert settles(lambda: wait([], 0) or collect() or not told) is False
    assert type(told[0][2]) is OwnError and len(told) == 1


@listens
def test_what_extract_raised_is_told_where_nobody_joined(told):
    Thread(int, lambda g: fail(), lambda g, x: None).start()
    assert settles(lambda: wait([], 0) or collect() or not told) is False
    assert type(told[0][2]) is OwnError and len(told) == 1


@listens
def test_a_with_block_that_ends_well_has_not_asked(told):
    with Thread(fail) as task:
        task.start()
    assert told == []  # it can still be asked for
    task.dispose()
    assert len(told) == 1


def test_by_default_it_is_printed_with_the_remote_traceback(run_program):
    ended = run_program("""
        import snakefish
        def work():
            raise ValueError("disk full")
        thread = snakefish.Thread(work, name="mine")
        thread.start()
        thread.join()
        del thread
        """)
    assert ended.status == 0 and ended.stderr.count("Exception never retrieved") == 1
    for words in ("'mine', joined, raised ValueError", "in work", "ValueError: disk full"):
        assert words in ended.stderr or PYPY and "joined" in words


@pytest.mark.parametrize("kept", ["thread = ", "import builtins; builtins.kept = ", ""])
@pytest.mark.parametrize("join", [True, False])
def test_it_is_printed_at_the_end_of_the_program_too(run_program, kept, join):
    ended = run_program(f"""
        import snakefish
        def work():
            raise ValueError("disk full")
        def started():
            thread = snakefish.Thread(work)
            thread.start()
            if {join}:
                thread.join()
            return thread
        {kept}started()
        """)
    assert ended.stderr.count("Exception never retrieved") == 1 and "in work" in ended.stderr and ended.status == 0


def test_a_child_prints_what_it_did_not_ask_its_own_threads_for(run_program):
    ended = run_program("""
        import snakefish
        def inner():
            raise ValueError("disk full")
        def outer():
            global kept
            kept = snakefish.Thread(inner)
            kept.start()
        with snakefish.Thread(outer) as t:
            t.start()
        t.get_result()
        """)
    assert ended.stderr.count("Exception never retrieved") == 1 and "in inner" in ended.stderr


@pytest.mark.skipif(PYPY, reason="PyPy's own hook takes anything")
def test_a_hook_can_hand_it_on_to_pythons_own(run_program):
    ended = run_program("""
        import sys, snakefish
        def work():
            raise ValueError("disk full")
        sys.unraisablehook = lambda told: (print("told"), sys.__unraisablehook__(told))
        thread = snakefish.Thread(work)
        thread.start()
        thread.join()
        thread.dispose()
        """)
    assert ended.stdout == "told\n"
    assert "Exception never retrieved: <snakefish.Thread" in ended.stderr and "ValueError: disk full" in ended.stderr


# ---- Generators ----


@pytest.mark.parametrize("taken", [0, 2])
@listens
def test_what_a_generator_raised_and_nobody_took_is_told(told, taken):
    """It is computed ahead, or asked for by a call that does not wait."""
    generator = Generator(failing, args=(taken,), prefetch=5)
    generator.start()
    assert [next(generator) for _ in range(taken)] == list(range(taken))
    assert settles(generator.is_alive) is False
    generator.join()
    drop([generator])
    del generator
    collect()
    (_, _, exception), = told
    assert type(exception) is OwnError and "in failing" in str(exception.__cause__)


@listens
def test_arguments_that_do_not_fit_a_generator_are_told_where_nobody_took_an_item(told):
    ran(failing, args=(1, 2, 3), kind=Generator).dispose()
    (_, _, exception), = told
    assert type(exception) is TypeError


@listens
def test_what_next_has_raised_is_not_told(told):
    generator = Generator(failing)
    generator.start()
    with pytest.raises(OwnError):
        next(generator)
    generator.join()
    generator.dispose()
    killed = Generator(failing, args=(9,))
    killed.start()
    os.kill(killed.pid, signal.SIGKILL)
    with pytest.raises(ChildDied):
        next(killed)
    killed.join()
    killed.dispose()
    assert told == []


@listens
def test_a_generator_that_was_left_early_or_ended_is_not_told(told):
    for items, more in ((3, {}), (3, {"prefetch": 1}), (0, {})):
        with Generator(iter_items, args=(items,), **more) as g:
            g.start()
            next(g, None)
        g.dispose()
    assert told == []


def iter_items(n):
    yield from range(n)


# ---- what is not told ----


@listens
def test_what_was_asked_for_is_not_told(told):
    task = ran(fail)
    with pytest.raises(OwnError):
        task.get_result()
    task.dispose()
    drop([task])
    assert told == []


@listens
def test_a_with_block_that_raises_says_enough(told):
    with pytest.raises(KeyError):
        with Thread(fail) as task:
            task.start()
            task.join()
            raise KeyError
    task.dispose()
    assert told == []


@pytest.mark.parametrize("end", ["terminate", "kill", "dispose"])
@listens
def test_a_child_that_the_program_itself_has_ended_is_not_told(told, end):
    task = Thread(time.sleep, args=(60,))
    task.start()
    if end == "dispose":
        with pytest.warns(ResourceWarning):
            task.dispose()
    else:
        getattr(task, end)()
        task.join()
    drop([task])
    del task
    collect()
    assert told == []


@listens
def test_what_f_raises_after_a_terminate_that_it_survives_is_told(told):
    def f():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ready.send_pyobj(1)
        time.sleep(0.2)
        fail()

    with snakefish.Channel(4096) as ready:
        task = Thread(f)
        task.start()
        ready.receive_pyobj(timeout=20)
        task.terminate()
        task.join()
        task.dispose()
    assert len(told) == 1


@listens
def test_an_exception_of_extract_does_not_hide_that_of_f(told):
    with pytest.raises(LookupError, match="in extract"):
        with Thread(fail, lambda g: fail(LookupError("in extract")), lambda g, x: None) as task:
            task.start()
    task.dispose()
    assert len(told) == 1 and type(told[0][2]) is OwnError


@listens
def test_terminate_after_its_end_hides_nothing(told):
    task = Thread(fail)
    task.start()
    assert settles(task.is_alive) is False
    task.terminate()
    task.join()
    task.dispose()
    assert len(told) == 1


@pytest.mark.parametrize("f", [int, sys.exit, functools.partial(sys.exit, 0), functools.partial(os._exit, 0),
                               functools.partial(fail, KeyboardInterrupt())])
@listens
def test_an_end_that_is_no_failure_is_not_told(told, f):
    ran(f).dispose()
    assert told == []


@listens
def test_an_exit_status_that_was_asked_for_is_enough_for_a_child_that_died(told):
    for f, status in ((suicide, -9), (functools.partial(os._exit, 3), 3)):
        task = ran(f)
        assert task.get_exit_status() == status
        task.dispose()
    assert told == []
    task = ran(fail)
    assert task.get_exit_status() == 0  # which says nothing
    task.dispose()
    assert len(told) == 1


@listens
def test_another_process_tells_nothing_of_its_parents(told):
    task = ran(fail)

    def look():
        task.dispose()
        return len(told)

    other = ran(look)
    assert other.get_result() == 0 and told == []
    task.dispose()
    assert len(told) == 1


# ---- what happens meanwhile ----


def test_a_hook_that_raises_harms_nothing(run_program):
    ended = run_program("""
        import sys, snakefish
        def work():
            raise ValueError("disk full")
        def hook(told):
            raise KeyError("from the hook")
        sys.unraisablehook = hook
        for _ in range(2):
            thread = snakefish.Thread(work)
            thread.start()
            thread.join()
            thread.dispose()
        print("here")
        """)
    assert ended.stdout == "here\n" and ended.status == 0


def test_a_hook_may_keep_the_object_and_ask_it(monkeypatch):
    asked = []

    def hook(told):
        with pytest.raises(OwnError):
            told.object.get_result()
        asked.append(told.object)

    if PYPY:
        pytest.skip("PyPy gives no object written in C to Python code at its end")
    monkeypatch.setattr(sys, "unraisablehook", hook)
    drop([ran(fail)])
    assert len(asked) == 1 and "joined, raised OwnError" in repr(asked[0])
    asked.clear()


def test_a_raise_in_flight_is_kept():
    """Freed while an exception is on its way, a task prints and the exception goes on."""
    def inner():
        task = ran(fail)
        assert task.pid
        raise LookupError("on its way")

    before = getattr(sys, "unraisablehook", None)
    sys.unraisablehook = lambda told: None
    try:
        with pytest.raises(LookupError, match="on its way"):
            inner()
        collect()
    finally:
        sys.unraisablehook = before


# ---- repr ----


THREAD = "Thread" if PYPY else "snakefish.Thread"  # PyPy leaves the module out of the names of types written in C


@listens
def test_repr_tells_the_state_and_what_came_of_it(told):
    task = Thread(time.sleep, args=(60,), name="mine")
    assert repr(task) == f"<{THREAD} 'mine', not started>"
    task.start()
    assert repr(task) == f"<{THREAD} 'mine', started, pid {task.pid}>"
    task.kill()
    task.join()
    assert repr(task) == f"<{THREAD} 'mine', joined, killed by signal 9, pid {task.pid}>"
    for f, words in ((int, "returned"), (fail, "raised OwnError"), (functools.partial(os._exit, 3), "exit status 3"),
                     (functools.partial(sys.exit, 4), "exit status 4"), (lambda: (lambda: 1), "its result is lost"),
                     (functools.partial(compile, "a b", "f", "exec"), "raised an exception")):
        task = ran(f)
        assert f", joined, {words}" in repr(task)
        try:
            task.get_result()
        except BaseException as error:
            words = words.replace("an exception", type(error).__name__)
        assert f", joined, {words}" in repr(task)
    never = Thread(int, name="mine")
    never.dispose()
    assert repr(never) == f"<{THREAD} 'mine', disposed>"


def test_repr_runs_no_code_of_the_exception():
    task = ran(fail_with_trap)
    trap.clear()
    assert "raised Trapped" in repr(task) and trap == []
    with pytest.raises(Trapped):
        task.get_result()
    assert trap == ["rebuilt"]


trap = []


class Trapped(Exception):
    def __reduce__(self):
        return rebuild, ()


def rebuild():
    trap.append("rebuilt")
    return Trapped()


def fail_with_trap():
    raise Trapped


@listens
def test_the_modules_name_is_left_out_of_a_class(told):
    task = ran(functools.partial(fail, snakefish.ChildDied("x")))
    assert ", joined, raised ChildDied, " in repr(task)
    with pytest.raises(ChildDied):
        task.get_result()
