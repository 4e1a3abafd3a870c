"""A started Thread lives until it ends, whoever refers to it. A Generator that nobody can read is ended."""
import os
import threading
import time
import weakref

import pytest
from conftest import PYPY, children, collect, descriptors, is_running, settles
from matrix import first

from snakefish import Channel, Generator, Thread, wait


@pytest.fixture
def channel():
    with Channel(1 << 16) as one:
        yield one


def start_and_drop(f, *args):
    """Starts a Thread that nobody refers to. Its pid, and a weak reference."""
    task = Thread(f, args=args)
    task.start()
    return task.pid, weakref.ref(task)


def let_go():
    """What makes the library look for Threads that have ended."""
    wait([], 0)
    if PYPY:
        collect()


def test_threads_without_a_reference_run_to_their_end(channel):
    def work(i):
        time.sleep(0.2)
        channel.send_pyobj(i)

    for i in range(4):
        task = Thread(work, args=(i,))  # the one before loses its only name here
        task.start()
    del task
    collect()
    assert sorted(channel.receive_pyobj(timeout=20) for _ in range(4)) == [0, 1, 2, 3]
    assert settles(lambda: let_go() or children()) == set()


def test_one_in_a_cycle_of_garbage_runs_to_its_end_too(channel):
    class Worker:
        def __init__(self):
            self.task = Thread(self.work)
            self.task.start()

        def work(self):
            time.sleep(0.2)
            channel.send_pyobj("done")

    worker = weakref.ref(Worker())
    collect()
    assert channel.receive_pyobj(timeout=20) == "done"
    if PYPY:  # it collects no cycles that go through an object written in C
        del worker().task
    assert settles(lambda: let_go() or collect() or worker() is not None) is False


def test_the_programs_end_waits_for_them(check_program):
    assert check_program("""
        import time, snakefish
        def speak():
            time.sleep(0.4)
            print("from the thread", flush=True)
        snakefish.Thread(speak).start()
        print("from the program", flush=True)
        """) == "from the program\nfrom the thread\n"


def test_the_end_of_a_child_waits_for_those_it_has_started(check_program):
    assert check_program("""
        import time, snakefish
        def outer():
            snakefish.Thread(lambda: time.sleep(0.4) or print("inner", flush=True)).start()
        with snakefish.Thread(outer) as t:
            t.start()
        print("joined")
        """) == "inner\njoined\n"


@pytest.mark.parametrize("look", [
    lambda: Thread(int).start(), lambda: Generator(lambda: (yield)).start(), lambda: wait([], 0),
    lambda: joined().join(), lambda: joined().try_join()], ids=["start", "start of a Generator", "wait", "join", "try_join"])
def test_one_that_has_ended_is_reaped_by_the_next(look):
    pid, reference = start_and_drop(int)
    assert settles(lambda: is_running(pid)) is False
    assert reference() is not None and pid in children()
    if look.__code__.co_names[0] == "Generator":
        with pytest.warns(ResourceWarning):
            look()
            collect()
    else:
        look()
    if PYPY:
        collect()
    assert reference() is None and pid not in children()
    assert settles(lambda: let_go() or children()) == set()


def joined():
    task = Thread(int)
    task.start()
    task.join()
    return task


@pytest.mark.parametrize("end", ["join", "dispose", "is_alive"])
def test_the_library_lets_go_of_one_that_is(end):
    task = Thread(time.sleep, args=(60 if end == "dispose" else 0.1,))
    task.start()
    if end == "dispose":
        with pytest.warns(ResourceWarning):
            task.dispose()
    elif end == "join":
        task.join()
    else:
        assert settles(task.is_alive) is False
    pid, reference = task.pid, weakref.ref(task)
    del task
    if PYPY:
        collect()
    assert reference() is None and pid not in children()


@pytest.mark.parametrize("count", first(1, [150, 400]))
def test_those_that_nobody_joins_leave_no_zombies_and_no_descriptors(count):
    before, most = len(descriptors()), 0
    for _ in range(count):
        Thread(int).start()
        most = max(most, len(children()))
    assert most < (350 if PYPY else 60)  # PyPy frees what is garbage when it likes
    assert settles(lambda: let_go() or children()) == set()
    assert len(descriptors()) <= before


def test_where_descriptors_are_used_up_ended_ones_in_garbage_are_freed(check_program):
    assert check_program("""
        import gc, resource, sys, snakefish
        gc.disable()  # so that nothing but a start without room can collect
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        class Worker:
            def __init__(self):
                task = snakefish.Thread(self.work)
                task.start()
                snakefish.wait([task])
                if sys.implementation.name == "cpython":  # PyPy collects no such cycle, and whatever is garbage later
                    self.task = task
            def work(self):
                pass
        def count():
            yield 1
        for _ in range(100):
            Worker()
        generator = snakefish.Generator(count)
        generator.start()
        print(next(generator))
        """) == "1\n"


def test_one_that_the_program_refers_to_keeps_its_descriptor_when_others_start():
    task = Thread(int)
    task.start()
    assert settles(lambda: is_running(task.pid)) is False
    for _ in range(3):
        joined()
    assert wait([task], 10) == [task] and task.fileno() >= 0
    task.join()


def test_a_child_neither_waits_for_its_parents_nor_ends_them(channel):
    """Others are forked while one runs: by the library, by os.fork, and in a child that starts Threads of its own."""
    pid, reference = start_and_drop(lambda: channel.receive_pyobj(timeout=30))
    started = time.monotonic()

    def start_own():
        for _ in range(3):
            Thread(int).start()  # lets go of what was the parent's
        if PYPY:
            collect()
        return reference() is None

    with Thread(start_own) as other:
        other.start()
    assert other.get_result() is True
    forked = os.fork()
    if forked == 0:
        status = 1
        try:
            status = not start_own()
        finally:
            os._exit(status)
    assert os.waitpid(forked, 0)[1] == 0
    assert time.monotonic() - started < 20 and is_running(pid)
    channel.send_pyobj("end")
    assert settles(lambda: let_go() or children()) == set()


@pytest.mark.filterwarnings("ignore:.*thread:DeprecationWarning")
def test_one_that_a_python_thread_has_started_outlives_that_thread(channel):
    def work():
        time.sleep(0.3)
        channel.send_pyobj("done")

    starter = threading.Thread(target=lambda: Thread(work).start())
    starter.start()
    starter.join()
    assert channel.receive_pyobj(timeout=20) == "done"
    assert settles(lambda: let_go() or children()) == set()


def test_what_nobody_joins_is_not_merged(channel):
    merged = []
    task = Thread(lambda: channel.send_pyobj("done"), lambda g: 1, lambda g, x: merged.append(x))
    task.start()
    del task
    assert channel.receive_pyobj(timeout=20) == "done"
    assert settles(lambda: let_go() or children()) == set()
    assert merged == []


def test_a_subclass_whose_del_is_its_own_leaves_nothing(channel):
    class Deleted(Generator):
        def __del__(self):
            channel.send_pyobj("deleted")

    generator = Deleted(lambda: (yield 1))
    generator.start()
    pid = generator.pid
    del generator
    collect()
    assert PYPY or channel.receive_pyobj(False) == "deleted"
    assert settles(lambda: collect() or is_running(pid)) is False


@pytest.mark.skipif(PYPY, reason="PyPy gives no object written in C to Python code at its end")
def test_a_thread_that_its_del_starts_runs_to_its_end(channel):
    class Late(Thread):
        def __del__(self):
            if self.pid is None:
                self.start()

    Late(channel.send_pyobj, args=("from __del__",))
    collect()
    assert channel.receive_pyobj(timeout=20) == "from __del__"
    assert settles(lambda: let_go() or children()) == set()


NOT_ALLOWED = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process that it may then not kill")
DROPS_RIGHTS = """
import os, gc, signal, sys, time, snakefish
def items():
    yield 1
    time.sleep(1.5)
def start(kind):
    task = snakefish.Thread(time.sleep, args=(1.5,)) if kind == "Thread" else snakefish.Generator(items)
    task.start()
    if kind == "Generator":
        next(task)
        try:
            task.next(False)  # so that it sleeps
        except IndexError:
            pass
        time.sleep(0.3)
    os.setuid(65534)  # as a daemon drops its rights
    return task
began = time.monotonic()
"""


@NOT_ALLOWED
@pytest.mark.parametrize("kind", ["Thread", "Generator"])
def test_dispose_of_one_that_may_not_be_killed_says_so_at_once_and_it_can_be_joined(check_program, kind):
    assert check_program(DROPS_RIGHTS + f"""
task = start({kind!r})
for call in (task.dispose, lambda: task.__exit__(KeyError, KeyError(), None)):
    try:
        call()
    except RuntimeError as error:
        assert "cannot end the process" in str(error) and "not permitted" in str(error), error
    else:
        print("it is disposed of")
assert time.monotonic() - began < 1.4 and task.is_alive()
task.join()
print(task.get_exit_status(), time.monotonic() - began > 1.4)
task.dispose()
""") == "0 True\n"


@NOT_ALLOWED
@pytest.mark.skipif(PYPY, reason="PyPy cannot keep an object that it has begun to free")
def test_a_generator_that_may_not_be_killed_ends_by_itself_when_it_is_collected(check_program):
    assert check_program(DROPS_RIGHTS + """
task = start("Generator")
pid = task.pid
del task
gc.collect()
assert time.monotonic() - began < 1.4
print("goes on", flush=True)
while os.path.exists(f"/proc/{pid}"):
    snakefish.wait([], 0)
    time.sleep(0.05)
    assert time.monotonic() - began < 20
print("reaped")
""") == "goes on\nreaped\n"
