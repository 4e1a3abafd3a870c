"""Faults: children that die or exit in unusual ways, killed senders and receivers, limits of the process."""
import os
import signal
import sys
import threading
import time

import pytest
from matrix import first

from snakefish import Channel, ChildDied, Thread


def ran(f, *arguments, **more):
    task = Thread(f, *arguments, **more)
    task.start()
    task.join()
    return task


# ---- how f can end ----


@pytest.mark.parametrize("how,status,words", [
    (lambda: os._exit(0), 0, "status 0"), (lambda: os._exit(7), 7, "status 7"),
    (lambda: os.kill(os.getpid(), signal.SIGKILL), -9, "signal 9"),
    (lambda: os.kill(os.getpid(), signal.SIGSEGV), -11, "signal 11"),
    (lambda: exit(3), 3, "status 3"), (lambda: exit(None), 0, "status 0"), (lambda: exit(True), 1, "status 1"),
    (lambda: exit(-1), 255, "status 255"), (lambda: exit(256), 0, "status 0"), (lambda: exit(1 << 70), 255, "255"),
], ids=["_exit 0", "_exit 7", "SIGKILL", "SIGSEGV", "exit 3", "exit None", "exit True", "exit -1", "exit 256", "exit 2**70"])
def test_a_child_that_leaves_without_a_result_is_child_died_with_its_status(how, status, words):
    import faulthandler
    faulthandler.disable()  # SIGSEGV is intended here
    task = ran(how, name="leaver")
    assert task.get_exit_status() == status
    with pytest.raises(ChildDied, match=words) as caught:
        task.get_result()
    assert isinstance(caught.value, RuntimeError)
    assert (caught.value.pid, caught.value.exit_status, caught.value.name) == (task.pid, status, "leaver")
    assert "leaver" in str(caught.value) and str(task.pid) in str(caught.value)


def test_abort_is_signal_6(run_program):
    ended = run_program("""
        import faulthandler, os, snakefish
        faulthandler.disable()
        with snakefish.Thread(os.abort) as t:
            t.start()
        print(t.get_exit_status())
        """)
    assert (ended.status, ended.stdout, ended.stderr) == (0, "-6\n", "")


def test_exit_with_words_prints_them_and_is_status_1(run_program):
    ended = run_program("""
        import sys, snakefish
        with snakefish.Thread(lambda: sys.exit("some words")) as t:
            t.start()
        print(t.get_exit_status())
        """)
    assert (ended.status, ended.stdout, ended.stderr) == (0, "1\n", "some words\n")


def test_exit_with_words_is_status_1_also_where_they_cannot_be_printed():
    class Broken:
        def write(self, text):
            raise OSError("no room")

        def flush(self):
            pass

    def f():
        sys.stderr = Broken()
        sys.exit("some words")

    with Thread(f) as thread:
        thread.start()
    assert thread.get_exit_status() == 1
    with pytest.raises(ChildDied, match="called sys.exit\\(\\), exit status 1"):
        thread.get_result()


def test_sys_exit_extracts_and_merges_as_any_exception_does():
    merged = []
    task = ran(lambda: exit(3), lambda g: "extracted", lambda g, e: merged.append(e))
    assert merged == ["extracted"] and task.get_exit_status() == 3


class NotPickled(Exception):
    def __reduce__(self):
        raise TypeError("not me")


class NoExceptionAfterAll(Exception):
    def __reduce__(self):
        return str, ("text",)


def raise_it(exception):
    raise exception


@pytest.mark.parametrize("exception,words", [
    (NotPickled("x"), "NotPickled.*pickled.*not me"),
    (NoExceptionAfterAll(), "NoExceptionAfterAll.*unpickled"), (ValueError(lambda: 1), "ValueError.*pickled")])
def test_an_exception_that_cannot_travel_is_child_died_with_the_remote_traceback(exception, words):
    task = ran(raise_it, args=(exception,))
    with pytest.raises(ChildDied, match=words) as caught:
        task.get_result()
    assert "in raise_it" in str(caught.value.__cause__)
    assert task.get_exit_status() == 0


def test_a_result_that_cannot_be_pickled_is_child_died_with_the_reason_as_cause():
    task = ran(lambda: threading.Lock())
    with pytest.raises(ChildDied, match="lock.*pickle") as caught:
        task.get_result()
    assert any(error in str(caught.value.__cause__) for error in ("TypeError", "PicklingError"))
    assert task.get_exit_status() == 0


class NotBack:
    def __reduce__(self):
        return raise_it, (LookupError("not back"),)


def test_a_result_that_cannot_be_unpickled_is_child_died_with_the_reason_as_cause():
    task = ran(NotBack)
    with pytest.raises(ChildDied, match="unpickled.*not back") as caught:
        task.get_result()
    assert isinstance(caught.value.__cause__, LookupError)


class NoWords(Exception):
    def __str__(self):
        raise ValueError("no words")


def test_an_exception_that_cannot_be_printed_still_travels():
    task = ran(raise_it, args=(NoWords(5),))
    with pytest.raises(NoWords) as caught:
        task.get_result()
    assert caught.value.args == (5,)


def test_an_endless_recursion_in_f_is_a_recursion_error_here():
    def down():
        return down()

    with pytest.raises(RecursionError):
        ran(down).get_result()


# ---- deaths while others wait ----


@pytest.mark.parametrize("seed", first(2, range(6)))
def test_receivers_go_on_when_senders_are_killed_at_random(seed):
    import random
    chance = random.Random(seed)
    channel = Channel(1 << 13)

    def send(n):
        for i in range(10 ** 9):
            channel.send_pyobj((n, i, b"x" * (i % 700)), True)

    senders = [Thread(send, args=(n,)) for n in range(3)]
    for sender in senders:
        sender.start()
    last, taken = {}, 0
    for sender in senders:
        until = time.monotonic() + chance.uniform(0.01, 0.08)
        while time.monotonic() < until:
            n, i, body = channel.receive_pyobj(timeout=10)
            assert i == last.get(n, -1) + 1 and body == b"x" * (i % 700)
            last[n], taken = i, taken + 1
        sender.kill()
        sender.join()
    with pytest.raises(EOFError):
        while True:
            n, i, body = channel.receive_pyobj(timeout=10)
            assert i > last[n] and len(body) == i % 700  # the victim may have lost one message
            last[n] = i
    assert taken > 0
    channel.dispose()


@pytest.mark.parametrize("seed", first(2, range(4)))
def test_senders_go_on_when_receivers_are_killed_at_random(seed):
    import random
    chance = random.Random(seed)
    channel = Channel(4096)

    def receive():
        while True:
            channel.receive_pyobj()

    receivers = [Thread(receive) for _ in range(3)]
    for receiver in receivers:
        receiver.start()
    for receiver in receivers[:2]:
        until = time.monotonic() + chance.uniform(0.01, 0.08)
        while time.monotonic() < until:
            channel.send_pyobj(b"x" * chance.randrange(900), True, 10)
        receiver.kill()
        receiver.join()
    for _ in range(200):
        channel.send_pyobj(b"y" * 900, True, 10)
    receivers[2].kill()
    receivers[2].join()
    with pytest.raises(BrokenPipeError):
        for _ in range(100):
            channel.send_pyobj(b"z" * 900, True, 10)
    channel.dispose()


def test_a_stopped_child_is_killed_by_dispose():
    task = Thread(time.sleep, args=(30,))
    task.start()
    os.kill(task.pid, signal.SIGSTOP)
    with pytest.warns(ResourceWarning):
        task.dispose()


def test_a_child_that_something_else_reaped_still_gives_its_result():
    task = Thread(lambda: 5)
    task.start()
    os.waitpid(task.pid, 0)
    task.join()
    assert task.get_result() == 5 and task.get_exit_status() is None
    task = Thread(os._exit, args=(1,))
    task.start()
    os.waitpid(task.pid, 0)
    task.join()
    with pytest.raises(ChildDied, match="reaped") as caught:
        task.get_result()
    assert caught.value.exit_status is None


def test_it_works_with_sigchld_ignored(check_program):
    assert check_program("""
        import signal, snakefish
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for _ in range(100):
            with snakefish.Thread(lambda: 5) as t:
                t.start()
            assert t.get_result() == 5 and t.get_exit_status() is None
        with snakefish.Thread(lambda: 5) as t:
            t.start()
        print(t.get_result(), snakefish.map(abs, [-1, 2], 2))
        def g():
            yield 7
        with snakefish.Generator(g) as it:
            it.start()
            print(list(it))
        """) == "5 [1, 2]\n[7]\n"


# ---- limits ----

LIMITS = """
import os, resource, sys, snakefish
from everything import everything, right
def work(mark):
    os.mknod(mark)  # needs no descriptor
    return mark
"""


def test_without_descriptors_each_call_raises_and_the_program_goes_on(check_program, tmp_path):
    """When start() raises, f must not have run: it has no side effect."""
    assert check_program(LIMITS + """
assert everything() == right
used = len(os.listdir("/proc/self/fd")) - 1
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
seen = set()
for free in range(6):
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + free, hard))
    mark = os.path.join(sys.argv[1], str(free))
    try:
        t = snakefish.Thread(work, args=(mark,))
        t.start()
    except RuntimeError as error:
        assert "Too many open files" in str(error), error
        assert t.pid is None and not os.path.exists(mark)
        seen.add("refused")
    else:
        t.join()
        assert t.get_result() == mark
        seen.add("ran")
    for call in (lambda: snakefish.map(abs, [-1, -2], 2), lambda: snakefish.map(abs, [1, 2], 2, 1, extract=len, merge=max),
                 everything):
        try:
            call()
        except RuntimeError as error:
            assert "Too many open files" in str(error), error
        except TypeError:
            pass
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
assert everything() == right
assert t.start() is None if t.pid is None else True
print(sorted(seen), len(os.listdir("/proc/self/fd")) - 1 - used)
""", tmp_path) == "['ran', 'refused'] 0\n"


def test_without_address_space_it_is_a_memory_error_and_the_program_goes_on(check_program):
    assert check_program(LIMITS + """
assert everything() == right
kib = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1])
for room in (1 << 20, 3 << 20, 64 << 20):
    resource.setrlimit(resource.RLIMIT_AS, (kib * 1024 + room, resource.RLIM_INFINITY))
    try:
        snakefish.Channel()
    except MemoryError as error:
        print("MemoryError", "Channel" in str(error))
    try:
        everything()
    except MemoryError:
        print("everything: MemoryError", room < 64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert everything() == right
""").count("MemoryError True") >= 4


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy's C layer aborts where memory ends")
def test_a_result_too_large_for_the_memory_of_the_child_is_reported(check_program):
    out = check_program(LIMITS + """
kib = int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1])
def large():
    resource.setrlimit(resource.RLIMIT_AS, (kib * 1024 + (90 << 20), resource.RLIM_INFINITY))
    return [b"x" * (60 << 20)]  # a copy of it is in the pickle
with snakefish.Thread(large) as t:
    t.start()
try:
    t.get_result()
except (snakefish.ChildDied, MemoryError) as error:
    print(type(error).__name__, "MemoryError" in repr(error.__cause__) + str(error), t.get_exit_status())
assert everything() == right
""")
    assert out == "ChildDied True 0\n"


def test_a_result_without_room_is_reported(check_program):
    """RLIMIT_FSIZE limits memory files too."""
    out = check_program(LIMITS + """
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
with snakefish.Thread(lambda: b"x" * (5 << 20)) as t:
    t.start()
try:
    t.get_result()
except snakefish.ChildDied as error:
    print("no room" in str(error), "RLIMIT_FSIZE" in str(error))
assert everything() == right
""")
    assert out == "True True\n"


@pytest.mark.skipif(os.getuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="root has no RLIMIT_NPROC")
def test_without_processes_each_call_raises_and_the_program_goes_on(check_program):
    assert check_program(LIMITS + """
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(61234, 61234, 61234)
    os.setresuid(61234, 61234, 61234)
resource.setrlimit(resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
fds = len(os.listdir("/proc/self/fd"))
t = snakefish.Thread(lambda: 5)
for call in (t.start, lambda: snakefish.map(abs, [-1, -2], 2), everything):
    try:
        call()
    except RuntimeError as error:
        assert "fork" in str(error) and "unavailable" in str(error), error
        print("refused")
resource.setrlimit(resource.RLIMIT_NPROC, (200, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
t.start()
t.join()
print(t.get_result(), everything() == right, len(os.listdir("/proc/self/fd")) - fds)
""") == "refused\nrefused\nrefused\n5 True 0\n"
