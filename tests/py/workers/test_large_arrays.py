"""Large numpy arrays in results: the parent maps them instead of copying them, and they are what pickle would have made.
Where they cannot be mapped they are copied, and nobody notices."""
import gc
import os
import pickle
import signal
import sys
import time

import pytest
from conftest import PYPY, start_program

import snakefish

numpy = pytest.importorskip("numpy")
pytestmark = pytest.mark.skipif(PYPY, reason="its arrays cannot own a mapping")

LARGE = 1 << 19  # float64: 4 MiB


def mapped(pid="self"):
    """How many buffers the process has mapped."""
    with open(f"/proc/{pid}/maps") as maps:
        return sum("/memfd:snakefish-buffer" in line for line in maps)


@pytest.fixture(autouse=True)
def none_is_left():
    assert mapped() == 0
    yield
    gc.collect()
    assert mapped() == 0


def of_map(thing):
    return snakefish.map(lambda _: thing, [0])[0]


def of_imap(thing):
    return next(snakefish.imap(lambda _: thing, [0]))


def of_extract(thing):
    got = []
    snakefish.map(abs, [1], lambda g: thing, lambda g, extracted: got.append(extracted))
    return got[0]


def of_executor(thing):
    with snakefish.Executor(1) as executor:
        return executor.submit(lambda: thing).result()


def of_executor_map(thing):
    with snakefish.Executor(1) as executor:
        return next(executor.map(lambda _: thing, [0]))


ways = pytest.mark.parametrize("way", [of_map, of_imap, of_extract, of_executor, of_executor_map])


@ways
def test_they_are_mapped_and_right(way):
    sent = numpy.arange(LARGE, dtype=float)
    received = way(sent)
    assert mapped() == 1
    assert (received == sent).all() and received.dtype == sent.dtype and type(received) is numpy.ndarray
    assert received.flags.owndata and received.base is None and received.flags.writeable
    assert sys.getsizeof(received) > received.nbytes


def test_from_two_mib_on():
    for bytes, count in (((2 << 20) - 1, 0), (2 << 20, 1)):
        received = of_map(numpy.ones(bytes, "u1"))
        assert mapped() == count and received.sum() == bytes


@pytest.mark.diagonal
@pytest.mark.parametrize("dtype", [">i4", "c16", "S7", "?", [("a", "i4"), ("b", "f8")], "V5", "(2,2)f4"], ids=str)
@pytest.mark.parametrize("order", "CF")
def test_of_all_types_shapes_and_orders(dtype, order):
    sent = numpy.zeros((6, 500, 700), dtype, order)
    sent.ravel(order="K").view("u1")[:] = 1
    received, expected = of_map(sent), pickle.loads(pickle.dumps(sent, 5))
    assert mapped() == 1
    assert received.dtype == expected.dtype and received.shape == expected.shape and received.strides == expected.strides
    assert received.tobytes("A") == expected.tobytes("A")


def test_resized_they_grow_and_shrink_as_others_do():
    for length in (LARGE + 5, 3 * LARGE, LARGE - 5, 10, 0):
        received = of_map(numpy.arange(LARGE))
        received.resize(length, refcheck=False)
        least = min(length, LARGE)
        assert (received[:least] == numpy.arange(least)).all() and not received[least:].any()
        received.resize(LARGE)
        assert (received[:least] == numpy.arange(least)).all() and not received[least:].any()


def test_what_is_written_into_them_stays_in_the_process_that_writes():
    received = of_map(numpy.zeros(LARGE))
    other = of_map(received)

    def write():
        received[:] = 1
        return received

    from_child = snakefish.map(lambda _: write(), [0])[0]
    assert mapped() == 3
    assert (from_child == 1).all() and not received.any() and not other.any()
    received[:] = 2
    assert (from_child == 1).all() and not other.any()

    def read():
        time.sleep(0.1)
        return float(received.sum())

    thread = snakefish.Thread(read)
    thread.start()
    received[:] = 3  # while the child has it, too
    thread.join()
    assert thread.get_result() == 2 * LARGE


def test_a_child_keeps_what_its_parent_drops():
    received = [of_map(numpy.ones(LARGE))]

    def read():
        time.sleep(0.2)
        return float(received[0].sum())

    thread = snakefish.Thread(read)
    thread.start()
    received.clear()
    assert mapped() == 0
    thread.join()
    assert thread.get_result() == LARGE


def test_each_is_freed_alone():
    first, second, small = of_map((numpy.ones(LARGE), numpy.ones(LARGE), numpy.ones(10)))
    assert mapped() == 2
    view = first[5:10]
    del first
    assert mapped() == 2
    del view
    assert mapped() == 1
    del second
    assert mapped() == 0 and small.sum() == 10


def test_one_array_in_many_places_is_one_array():
    array = numpy.ones(LARGE)
    received = of_map({"a": array, "list": [array, numpy.zeros(LARGE), array]})
    assert mapped() == 2
    assert received["a"] is received["list"][0] is received["list"][2] and not received["list"][1].any()


def test_a_message_of_large_and_small_ones_and_long_bytes():
    sent = []
    for n in range(20):
        read_only = numpy.full(LARGE, -n)
        read_only.flags.writeable = False
        sent += [numpy.full(LARGE + n, n), numpy.full(n, n), bytes([n]) * (3 << 20), read_only, numpy.full(50_000, n)]
    received = of_map(sent)
    assert mapped() == 20
    assert all((r == s).all() if isinstance(s, numpy.ndarray) else r == s for r, s in zip(received, sent))
    assert not received[3].flags.writeable


def test_many_results_of_many_workers():
    received = snakefish.map(lambda n: numpy.full(LARGE, n), range(60), 4)
    assert mapped() == 60
    assert all((array == n).all() for n, array in enumerate(received))
    count = 0
    for n, array in enumerate(snakefish.imap(lambda n: numpy.full(LARGE, n), range(60), 4)):
        assert (array == n).all()
        count += 1
    assert count == 60 and mapped() <= 60 + 12


def test_an_executor_maps_them_in_each_task_and_after_a_death():
    with snakefish.Executor(2) as executor:
        for round in range(3):
            arrays = [future.result() for future in [executor.submit(numpy.full, LARGE, n) for n in range(8)]]
            assert mapped() == 8 and [array[-1] for array in arrays] == list(range(8))
            del arrays
            with pytest.raises(snakefish.ChildDied):
                executor.submit(lambda: os.kill(os.getpid(), signal.SIGKILL)).result()


def test_what_unpickles_them_may_raise_and_names_the_argument():
    class Refused:
        def __init__(self, array):
            self.array = array

        def __reduce__(self):
            return refuse, (self.array,)

    with pytest.raises(snakefish.ChildDied, match="argument 1"):
        snakefish.map(lambda n: Refused(numpy.ones(LARGE)) if n == 1 else numpy.ones(LARGE), range(3), 1, 3)


def refuse(array):
    assert array.sum() == LARGE
    raise ValueError("no")


def test_an_interruption_while_they_are_unpickled_loses_nothing():
    """imap's results that had come can be taken after what a signal handler raised."""
    results = snakefish.imap(lambda n: Slow(numpy.full(LARGE, n)), range(3), 1)
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    got = [(array == n).all() for n, array in enumerate(results)]
    assert got and all(got)


class Slow:
    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        return open_slowly, (self.array,)


interrupts = []


def interrupt():
    interrupts.append(None)


def open_slowly(array):
    if interrupts:
        interrupts.clear()
        raise KeyboardInterrupt
    return array


# ---- where they cannot be mapped ----

WITHOUT = {
    "descriptors that stay open": """
        def before(n):
            os.closerange(0, 4096)
        """,
    "a descriptor in the worker": """
        def before(n):
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, 4096))
        """,
    "files that may be so large": """
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        """,
    "being dumpable": """
        def before(n):
            assert ctypes.CDLL(None).prctl(4, 0) == 0
        """,
    "/proc": """
        import subprocess
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x20000) == 0:
            libc.mount(b"none", b"/", None, 0x44000, None)
            assert libc.mount(b"none", b"/proc", b"tmpfs", 0, None) == 0
        """,
}


@pytest.mark.parametrize("without", WITHOUT)
def test_they_arrive_without(without, check_program):
    said = check_program("""
        import ctypes, numpy, os, resource, signal, snakefish
        import snakefish._arrays
        def before(n):
            pass
        """ + WITHOUT[without] + """
        def f(n):
            before(n)
            return numpy.full(1 << 19, n)
        for round in range(2):
            got = snakefish.map(f, range(6), 2)
            assert [(array.shape, int(array.min()), int(array.max())) for array in got] == [
                ((1 << 19,), n, n) for n in range(6)]
            assert all(array.flags.owndata for array in got)
        print("all right")
        """)
    assert said == "all right\n"


def test_they_arrive_in_a_parent_that_has_no_descriptor_left(check_program):
    said = check_program("""
        import numpy, resource, snakefish
        def f(n):
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            return numpy.full(1 << 19, n)
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        results = snakefish.imap(f, iter(range(40)), 2)
        kept = [next(results)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 4096))
        kept.extend(results)
        print(all((array == n).all() and array.flags.owndata for n, array in enumerate(kept)), len(kept))
        """)
    assert said.split() == ["True", "40"]


def test_the_parents_address_space_is_named_when_it_is_full(run_program):
    ended = run_program("""
        import numpy, resource, snakefish
        import snakefish._arrays
        size = int(open("/proc/self/statm").read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (size + (300 << 20), resource.RLIM_INFINITY))
        f = lambda n: numpy.ones(8 << 20)
        kept = []
        try:
            for array in snakefish.imap(f, range(20), 1):
                kept.append(array)
        except MemoryError:
            print("MemoryError after", 0 < len(kept) < 5)
        kept.clear()
        print(sum(array.sum() for array in snakefish.imap(f, range(20), 1)) == 20 * (8 << 20))
        """)
    assert ended.stdout == "MemoryError after True\nTrue\n", ended.stderr


def test_a_descriptor_of_the_program_is_never_taken_for_an_offer(check_program):
    """A thread of the worker closes what it finds and opens files of its own in the place."""
    said = check_program("""
        import numpy, os, snakefish, threading
        def steal():
            own = [os.open("/dev/zero", os.O_RDONLY) for _ in range(3)]
            while True:
                for fd in range(3, 12):
                    if fd not in own:
                        try:
                            if os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:snakefish-buffer"):
                                os.dup2(own[0], fd)
                        except OSError:
                            pass
        thieves = []
        def f(n):
            if not thieves:
                thieves.append(threading.Thread(target=steal, daemon=True))
                thieves[0].start()
            return numpy.full(1 << 19, n)
        got = snakefish.map(f, range(30), 2, 15)
        print(all((array == n).all() for n, array in enumerate(got)))
        """, options=["-W", "ignore"])
    assert said == "True\n"


# ---- when somebody dies or waits ----


def test_a_slow_reader_is_waited_for(check_program):
    """Large results do not pile up: the workers go on only as the parent takes them."""
    said = check_program("""
        import mmap, numpy, snakefish, time
        computed = mmap.mmap(-1, 4096)
        def f(n):
            computed[0] += 1
            return numpy.full(1 << 19, n)
        seen = []
        def progress(done, total):
            time.sleep(0.3)
            seen.append(computed[0] - done)
        got = snakefish.map(f, range(60), 1, progress=progress)
        print(max(seen) < 20 or seen, len(got))
        """)
    assert said == "True 60\n"


@pytest.mark.parametrize("late", [0, 0.02, 0.1])
def test_a_worker_that_is_killed_while_it_waits_takes_its_result_along(late, check_program):
    said = check_program(f"""
        import numpy, os, signal, snakefish, time
        results = snakefish.imap(lambda n: (os.getpid(), numpy.full(1 << 19, n)), range(50), 1, 25)
        pid, first = next(results)
        time.sleep({late})
        os.kill(pid, signal.SIGKILL)
        count = 1
        try:
            for pid, array in results:
                assert (array == count).all()
                count += 1
        except snakefish.ChildDied as died:
            print("ChildDied", count < 50, died.exit_status)
        results = array = first = None
        print(open("/proc/self/maps").read().count("snakefish-buffer"))
        """)
    assert said == "ChildDied True -9\n0\n"


def test_a_worker_whose_parent_is_killed_while_it_waits_ends():
    program = start_program("""
        import ctypes, numpy, os, snakefish, sys, time
        def f(n):
            ctypes.CDLL(None).prctl(1, 0)  # no signal at the parent's death, as after setuid()
            print(os.getpid(), flush=True)
            return numpy.full(1 << 19, n)
        results = snakefish.imap(f, range(50), 1, 25)
        next(results)
        time.sleep(60)
        """)
    worker = int(program.stdout.readline())
    time.sleep(0.3)
    program.kill()
    program.wait()
    for _ in range(200):
        if not os.path.exists(f"/proc/{worker}"):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the worker is still there")


@pytest.mark.parametrize("handler, said", [
    ("raise KeyError('handler')", "KeyError\n"),
    ("os.fork()", "50\n"),
])
def test_a_signal_handler_of_a_worker_that_waits(handler, said, check_program):
    """It may raise, or fork: the copy has nothing to send."""
    assert check_program(f"""
        import numpy, os, signal, snakefish, time
        def handle(*_):
            {handler}
        signal.signal(signal.SIGUSR1, handle)
        results = snakefish.imap(lambda n: (os.getpid(), numpy.full(1 << 19, n)), range(50), 1, 25)
        pid, first = next(results)
        time.sleep(0.3)
        os.kill(pid, signal.SIGUSR1)
        time.sleep(0.3)
        count = 1
        try:
            for pid, array in results:
                assert (array == count).all()
                count += 1
            print(count)
        except Exception as error:
            print(type(error).__name__)
        """) == said


def test_a_result_in_the_middle_of_which_a_worker_dies_leaves_nothing(check_program):
    """Its first arrays were taken, the rest never came."""
    said = check_program("""
        import numpy, os, pickle, signal, snakefish, threading, time
        class Last:
            def __reduce_ex__(self, protocol):
                data = numpy.ones(1 << 19)
                return Last, (pickle.PickleBuffer(data),)
        def f(n):
            def kill():
                while not os.path.exists("/proc/%d/task" % os.getppid()) or \\
                        open("/proc/%d/maps" % os.getppid()).read().count("snakefish-buffer") < 5:
                    pass
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Thread(target=kill, daemon=True).start()
            return [numpy.ones(1 << 19) for _ in range(300)]
        try:
            snakefish.map(f, [0], 1)
        except snakefish.ChildDied as died:
            print("ChildDied", died.exit_status)
        print(open("/proc/self/maps").read().count("snakefish-buffer"))
        """)
    assert said == "ChildDied -9\n0\n"
