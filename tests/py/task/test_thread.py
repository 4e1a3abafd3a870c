"""Thread: results, exceptions, states, extract and merge. Which globals these get: test_globals.py."""
import functools
import os
import select
import signal
import threading
import time

import pytest

from snakefish import ChildDied, Thread

counter = 0
log = []


def ran(f, *arguments, **more):
    """A joined Thread."""
    task = Thread(f, *arguments, **more)
    task.start()
    task.join()
    return task


class OwnError(Exception):
    pass


class Quits(BaseException):
    pass


def raise_it(exception):
    raise exception


def suicide():
    os.kill(os.getpid(), signal.SIGKILL)


# ---- results ----


@pytest.mark.parametrize("value", [None, 0, "words", [1, {"a": 2}], ValueError("returned"), OwnError, StopIteration(3)])
def test_a_result_is_what_f_returned_also_an_exception_object(value):
    task = ran(lambda: value)
    got = task.get_result()
    assert type(got) is type(value) and (got == value or got.args == value.args)
    assert task.get_result() is got
    assert task.get_exit_status() == 0


def test_args_kwargs_and_name_reach_f_and_messages():
    task = ran(lambda *a, **k: (a, k), args=[1, 2], kwargs={"x": 3}, name="my work")
    assert task.get_result() == ((1, 2), {"x": 3}) and task.name == "my work" and "my work" in repr(task)


def test_default_names_say_what_it_is_and_differ():
    one, two = Thread(raise_it), Thread(raise_it)
    assert one.name != two.name and "Thread" in one.name and "raise_it" in one.name


def test_f_runs_in_another_process():
    task = ran(os.getpid)
    assert task.get_result() == task.pid != os.getpid()
    assert Thread(len).pid is None


@pytest.mark.parametrize("raised", [ValueError("a", 1), OwnError(), KeyError("k"), OSError(2, "gone"), Quits("base"),
                                    KeyboardInterrupt("typed"), GeneratorExit(), StopIteration(5), MemoryError()])
def test_an_exception_comes_out_with_type_and_args_and_the_remote_traceback_as_cause(raised):
    task = ran(raise_it, args=(raised,))
    for _ in range(2):
        with pytest.raises(type(raised)) as caught:
            task.get_result()
        assert type(caught.value) is type(raised) and caught.value.args == raised.args
        assert "raise_it" in str(caught.value.__cause__) and "Traceback" in str(caught.value.__cause__)
    assert task.get_exit_status() == 0


def test_join_does_not_raise_for_the_fate_of_f():
    for f in (functools.partial(raise_it, ValueError()), functools.partial(os._exit, 3), suicide, lambda: 1 / 0):
        task = Thread(f)
        task.start()
        assert task.join() is None
        assert task.try_join() is True


# ---- states ----


def test_the_states_of_a_thread_as_is_alive_tells_them():
    task = Thread(time.sleep, args=(0.3,))
    assert task.is_alive() is False
    task.start()
    assert task.is_alive() is True
    assert task.try_join() is False
    time.sleep(0.5)
    assert task.is_alive() is False  # it has ended, though it is not joined
    assert task.try_join() is True
    assert task.is_alive() is False


def test_wrong_states_are_runtime_errors_that_say_what_to_do():
    task = Thread(time.sleep, args=(0.2,))
    for call in (task.join, task.try_join, task.get_result, task.get_exit_status, task.fileno, task.terminate, task.kill):
        with pytest.raises(RuntimeError, match=r"start\(\)"):
            call()
    task.start()
    with pytest.raises(RuntimeError, match="started already"):
        task.start()
    for call in (task.get_result, task.get_exit_status):
        with pytest.raises(RuntimeError, match=r"join\(\)"):
            call()
    task.join()
    task.join()
    with pytest.raises(RuntimeError, match="started already"):
        task.start()
    task.dispose()
    with pytest.raises(RuntimeError, match="disposed"):
        task.start()


def test_a_timeout_of_join_passes_in_time_and_join_can_be_tried_again():
    task = Thread(time.sleep, args=(0.6,))
    task.start()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        task.join(0.2)
    with pytest.raises(TimeoutError):
        task.join(timeout=0)
    assert 0.2 <= time.monotonic() - started < 0.6
    task.join(timeout=20)
    assert task.get_result() is None


def test_fileno_becomes_readable_at_the_end():
    task = Thread(time.sleep, args=(0.2,))
    task.start()
    assert select.select([task], [], [], 0)[0] == []
    assert select.select([task], [], [], 10)[0] == [task]
    task.join()
    with pytest.raises(RuntimeError):
        task.fileno()


@pytest.mark.parametrize("how,status", [("terminate", -15), ("kill", -9)])
def test_terminate_and_kill_end_the_child(how, status):
    task = Thread(time.sleep, args=(30,), name="sleeper")
    task.start()
    getattr(task, how)()
    task.join()
    assert task.get_exit_status() == status
    with pytest.raises(ChildDied, match="sleeper") as caught:
        task.get_result()
    assert (caught.value.pid, caught.value.exit_status, caught.value.name) == (task.pid, status, "sleeper")
    getattr(task, how)()  # after its end: does nothing


def test_many_at_a_time_run_at_the_same_time():
    started = time.monotonic()
    tasks = [Thread(time.sleep, args=(0.5,)) for _ in range(8)]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert time.monotonic() - started < 2.5


def test_two_python_threads_may_join_the_same_thread():
    global counter
    counter = 0
    task = Thread(time.sleep, lambda g: 1, add, args=(0.3,))
    task.start()
    joiners = [threading.Thread(target=task.join) for _ in range(4)]
    for joiner in joiners:
        joiner.start()
    for joiner in joiners:
        joiner.join(10)
        assert not joiner.is_alive()
    assert counter == 0 and task.get_exit_status() == 0


def add(g, extracted):
    log.append(extracted)


# ---- the context manager ----


def test_a_with_block_joins_at_its_end():
    with Thread(time.sleep, args=(0.2,)) as task:
        task.start()
    assert task.get_result() is None and task.get_exit_status() == 0


def test_a_with_block_that_raises_ends_the_child():
    with pytest.raises(KeyError):
        with Thread(time.sleep, args=(30,)) as task:
            task.start()
            raise KeyError("block")
    assert not os.path.exists(f"/proc/{task.pid}")


def test_a_with_block_may_join_by_itself_or_never_start():
    with Thread(lambda: 5) as task:
        task.start()
        task.join()
        assert task.get_result() == 5
    assert task.get_result() == 5
    with Thread(lambda: 5):
        pass


def test_a_with_block_without_start_says_that_start_was_forgotten():
    with Thread(lambda: 5, name="mine") as task:
        pass
    for call in (task.get_result, task.join, task.try_join, task.get_exit_status, task.fileno, task.kill):
        with pytest.raises(RuntimeError, match=r"mine was never started.*call start\(\), in the with block"):
            call()
    with pytest.raises(RuntimeError, match="disposed"):
        task.start()


def test_a_with_block_whose_join_is_interrupted_ends_the_child():
    def interrupt(*_):
        raise KeyError("handler")

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with pytest.raises(KeyError, match="handler"):
            with Thread(time.sleep, args=(30,)) as task:
                task.start()
                timer.start()
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert not os.path.exists(f"/proc/{task.pid}")


def test_dispose_keeps_the_result_of_a_joined_thread():
    task = ran(lambda: [1])
    task.dispose()
    task.dispose()
    assert task.get_result() == [1] and task.get_exit_status() == 0


# ---- extract and merge ----


def take_counter(g):
    return {"counter": g["counter"]}


def add_counter(g, extracted):
    g["counter"] += extracted["counter"]


def bump():
    global counter
    counter += 5
    return counter


def bump_and_raise():
    bump()
    raise ValueError("after all")


def test_globals_change_here_only_by_merge():
    global counter
    counter = 10
    assert ran(bump).get_result() == 15 and counter == 10
    assert ran(bump, take_counter, add_counter).get_result() == 15 and counter == 25
    assert ran(bump, extract=take_counter, merge=add_counter).get_result() == 30 and counter == 55


def test_extract_and_merge_happen_also_when_f_raised():
    global counter
    counter = 1
    task = ran(bump_and_raise, take_counter, add_counter)
    assert counter == 7
    with pytest.raises(ValueError, match="after all"):
        task.get_result()


@pytest.mark.parametrize("how", [functools.partial(os._exit, 0), suicide])
def test_nothing_is_merged_of_a_child_that_died(how):
    global counter
    counter = 1
    ran(how, lambda g: 1, lambda g, e: g.update(counter=99))
    assert counter == 1


def test_merge_happens_in_join_once():
    log.clear()
    task = Thread(lambda: None, lambda g: "e", add)
    task.start()
    time.sleep(0.2)
    assert log == []
    assert task.try_join() is True and log == ["e"]
    task.join()
    assert log == ["e"]


def test_an_exception_of_extract_comes_out_of_join_and_the_child_is_reaped():
    task = Thread(lambda: 3, lambda g: 1 / 0, add)
    task.start()
    with pytest.raises(ZeroDivisionError) as caught:
        task.join()
    assert "Traceback" in str(caught.value.__cause__)
    assert not os.path.exists(f"/proc/{task.pid}")
    assert task.get_result() == 3 and task.get_exit_status() == 0


def test_an_exception_of_merge_comes_out_of_join_and_the_result_stays():
    task = Thread(lambda: 3, lambda g: 1, lambda g, e: raise_it(OwnError("merge")))
    task.start()
    with pytest.raises(OwnError, match="merge"):
        task.join()
    assert not os.path.exists(f"/proc/{task.pid}")
    assert task.get_result() == 3
    task.join()  # is joined already: does nothing


def test_what_extract_returns_need_not_be_a_dict_and_must_be_picklable():
    log.clear()
    ran(lambda: 1, lambda g: None, add)
    assert log == [None]
    task = Thread(lambda: 1, lambda g: (lambda: 2), add)
    task.start()
    with pytest.raises(ChildDied, match="extracted.*pickled"):
        task.join()
    assert task.get_result() == 1 and log == [None]


def test_f_without_extract_needs_no_merge_and_the_other_way_round():
    for more in ({"extract": take_counter}, {"merge": add_counter}):
        with pytest.raises(ValueError, match="extract and merge"):
            Thread(bump, **more)


# ---- the child and its own Thread ----


here = "this module"


def test_the_child_sees_the_globals_as_they_are_at_start():
    global here
    task = Thread(lambda: here)
    here = "at start"
    task.start()
    here = "this module"
    task.join()
    assert task.get_result() == "at start"


def test_the_child_cannot_misuse_the_thread_it_runs_in():
    tasks = []

    def misuse():
        task, refused = tasks[0], []
        for call in (task.start, task.join, task.try_join, task.get_result, task.kill):
            try:
                call()
            except RuntimeError as error:
                refused.append(str(error))
        task.dispose()
        with pytest.raises(RuntimeError):
            task.__enter__()
        return refused

    tasks.append(Thread(misuse))
    tasks[0].start()
    tasks[0].join()
    assert len(tasks[0].get_result()) == 5


def test_a_child_cannot_join_another_child_of_its_parent():
    with Thread(time.sleep, args=(0.5,)) as sister:
        sister.start()
        task = ran(sister.join)
        with pytest.raises(RuntimeError, match="process"):
            task.get_result()


def test_threads_nest_three_deep():
    def down(depth):
        if depth == 0:
            return [os.getpid()]
        with Thread(down, args=(depth - 1,)) as inner:
            inner.start()
        return inner.get_result() + [os.getpid()]

    assert len(set(ran(down, args=(3,)).get_result())) == 4


def test_results_of_64_mib_are_joined_before_they_are_read():
    task = ran(lambda: b"r" * (64 << 20))
    assert task.get_result() == b"r" * (64 << 20)
