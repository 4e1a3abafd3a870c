"""Garbage collection and dispose() of a Thread, Generator or Channel."""
import gc
import os
import time
import weakref

import pytest
from conftest import PYPY, descriptors

from snakefish import Channel, Generator, Thread


def forever():
    while True:
        yield 1


def test_a_generator_that_is_collected_ends_its_child_and_warns():
    generator = Generator(forever)
    generator.start()
    generator.next()
    pid = generator.pid
    with pytest.warns(ResourceWarning):
        del generator
        gc.collect()
    assert not os.path.exists(f"/proc/{pid}")


def test_dispose_of_a_running_one_ends_it_warns_and_is_idempotent():
    for task in (Thread(time.sleep, args=(60,)), Generator(forever)):
        task.start()
        with pytest.warns(ResourceWarning, match="still running"):
            task.dispose()
        task.dispose()
        assert not os.path.exists(f"/proc/{task.pid}") and task.is_alive() is False
        with pytest.raises(RuntimeError, match="disposed"):
            task.join()


def test_one_that_has_ended_or_never_started_is_collected_in_silence(recwarn):
    task = Thread(lambda: 1)
    task.start()
    while task.is_alive():
        time.sleep(0.01)
    del task
    Thread(lambda: 1)
    Generator(forever)
    Channel(1024)
    gc.collect()
    assert [str(w.message) for w in recwarn] == []


@pytest.mark.skipif(PYPY, reason="PyPy collects no cycles that go through an object written in C")
def test_cycles_through_f_are_collected():
    def make(kind):
        class Holder:
            pass

        holder = Holder()
        holder.task = kind(lambda: holder) if kind is Thread else kind(lambda h=holder: (yield h))
        return weakref.ref(holder)

    references = [make(Thread), make(Generator)]
    gc.collect()
    assert [r() for r in references] == [None, None]


def test_objects_take_weak_references_and_subclasses():
    class Named(Thread):
        def __init__(self, f):
            super().__init__(f, name="sub")
            self.extra = 1

    task = Named(lambda: 5)
    assert weakref.ref(task)() is task and weakref.ref(Channel(1024)) is not None
    with task:
        task.start()
    assert task.get_result() == 5 and task.extra == 1


def test_a_subclass_that_forgets_init_gets_errors_and_costs_no_descriptor():
    class Forgetful(Thread):
        def __init__(self):
            pass

    class ForgetfulGenerator(Generator):
        def __init__(self):
            pass

    class ForgetfulChannel(Channel):
        def __init__(self):
            pass

    before = descriptors()
    for task in (Forgetful(), ForgetfulGenerator()):
        for call in (task.start, task.join, task.try_join, task.get_exit_status, task.fileno, task.kill, task.__enter__):
            with pytest.raises(RuntimeError, match="__init__"):
                call()
        repr(task), task.name, task.pid, task.is_alive()
        task.dispose()
        task.__exit__(None, None, None)
        del task
    channel = ForgetfulChannel()
    for call in (channel.receive_pyobj, lambda: channel.send_pyobj(1)):
        with pytest.raises(RuntimeError, match="__init__"):
            call()
    channel.dispose()
    gc.collect()
    assert descriptors() == before


def test_init_twice_is_refused():
    for thing, arguments in ((Channel(1024), (1024,)), (Thread(len), (len,)), (Generator(forever), (forever,))):
        with pytest.raises(RuntimeError, match="once"):
            thing.__init__(*arguments)


def test_a_thread_may_be_disposed_by_its_own_merge():
    tasks = [Thread(lambda: 5, lambda g: 1, lambda g, e: tasks[0].dispose())]
    tasks[0].start()
    tasks[0].join()
    assert tasks[0].get_result() == 5


CLOSED_ALL = """
import os, signal, time
import snakefish

def forever(x=0):
    while True:
        time.sleep(60)

def items():
    yield os.getpid()
    forever()

def run(what):
    if what == "imap":
        iterator = snakefish.imap_unordered(lambda x: x or forever(), [1, 0], 2)
        assert next(iterator) == 1
        os.closerange(3, 1024)
        iterator.close()
        return
    task = snakefish.Generator(items) if what == "Generator" else snakefish.Thread(forever)
    task.start()
    pid = next(task) if what == "Generator" else task.pid
    os.closerange(3, 1024)
    assert what == "Generator" or task.is_alive()
    if what == "terminate":
        task.terminate()
        task.join()
        assert task.get_exit_status() == -signal.SIGTERM and not task.is_alive()
        try:
            task.get_result()
        except snakefish.ChildDied as died:
            assert "killed by signal 15" in str(died), died
    elif what == "killed":
        os.kill(pid, signal.SIGKILL)
        while task.is_alive():
            time.sleep(0.01)
        task.join()
        try:
            task.get_result()
            raise AssertionError("it was killed")
        except snakefish.ChildDied:
            pass
    task.dispose()
    try:
        os.kill(pid, 0)
        raise AssertionError("it is still there")
    except ProcessLookupError:
        pass
"""


@pytest.mark.parametrize("what", ["Thread", "Generator", "imap", "terminate", "killed"])
def test_children_end_also_when_the_program_has_closed_all_descriptors(what, check_program):
    check_program(CLOSED_ALL + f"\nrun({what!r})\n")


@pytest.mark.parametrize("end", ["join", "dispose"])
def test_descriptors_that_have_become_the_programs_are_left_alone(end, check_program):
    """Every descriptor is closed, and the program's own get their numbers, before the Thread is joined or disposed of."""
    check_program(f"""
        import os, socket, time
        import snakefish
        task = snakefish.Thread(time.sleep, args=(0.2 if {end!r} == "join" else 60,))
        task.start()
        os.closerange(3, 1024)
        pairs = [socket.socketpair() for _ in range(8)]
        task.{end}()
        if {end!r} == "join":
            assert task.get_result() is None
        for a, b in pairs:
            a.sendall(b"x")
            assert b.recv(2) == b"x"
    """)
