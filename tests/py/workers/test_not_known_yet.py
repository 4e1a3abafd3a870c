"""What cannot be taken now, because a stopped process keeps the lock of the ring of results or because there is no memory, is
not lost, and not taken for nothing: it comes later."""
import ctypes
import os
import signal
import time

import pytest
from conftest import PYPY
from stopped import await_state, shared_mappings, tag_of, word

from snakefish import ChildDied, imap

parent = os.getpid()


def hold_locks(pid):
    """Makes a process the owner of the locks of all rings that it holds. Their words."""
    held = []
    for begin in shared_mappings():
        try:
            tag = tag_of(begin, pid)
        except (LookupError, ValueError):
            continue
        lock = word(ctypes.c_uint32, begin)
        lock.value = tag
        held.append(lock)
    assert held
    return held


def stop_with_locks():
    held = hold_locks(os.getpid())
    os.kill(os.getpid(), signal.SIGSTOP)
    for lock in held:
        lock.value = 0


class DiesWhenFreed:
    """A result. Its worker is killed as soon as it has sent it."""

    def __reduce__(self):
        return int, (2,)

    def __del__(self):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(PYPY, reason="the moment of __del__")
def test_what_a_dead_worker_has_sent_is_not_missing_while_another_process_keeps_the_lock(tmp_path):
    def f(n):
        time.sleep({0: 0.2, 2: 0.4, 3: 0.8, 4: 2}.get(n, 0))
        if n == 3:
            (tmp_path / "pid").write_text(str(os.getpid()))
            stop_with_locks()
        return DiesWhenFreed() if n == 2 else n

    results = imap(f, range(5), 3)
    assert next(results) == 0
    time.sleep(1.6)  # 2 has been sent, its worker is dead, and the one that works on 3 is stopped with the lock
    stopped = int((tmp_path / "pid").read_text())
    await_state(stopped, "T")
    assert next(results) == 1  # it was here before: looks for the dead, and does not know what they have sent
    os.kill(stopped, signal.SIGCONT)
    assert next(results) == 2
    with pytest.raises(ChildDied, match="signal 9"):
        list(results)


class Interrupts:
    """A result that a signal handler interrupts when it is unpickled here for the first time."""
    interrupted = False

    def __reduce__(self):
        return interrupt, ()


class Alarm(Exception):
    pass


def ring(*_):
    raise Alarm


def interrupt():
    if not Interrupts.interrupted:
        Interrupts.interrupted = True
        time.sleep(0.5)  # the next results come meanwhile
        raise Alarm
    return "first"


def test_what_is_left_after_an_interruption_waits_for_the_lock_and_hears_signals():
    Interrupts.interrupted = False
    results = imap(lambda n: n or Interrupts(), range(3), 1)
    with pytest.raises(Alarm):
        next(results)
    assert next(results) == "first"
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        await_state(pid, "T")
        hold_locks(pid)
        for _ in range(2):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Alarm):
                next(results)
    finally:
        signal.signal(signal.SIGALRM, before)
        os.kill(pid, signal.SIGKILL)  # then the lock is taken over
        os.waitpid(pid, 0)
    assert list(results) == [1, 2]


@pytest.mark.skipif(PYPY, reason="PyPy turns a bytes object that finds no memory into SystemError")
@pytest.mark.parametrize("kib", [900, 3000])  # one piece, and several
@pytest.mark.parametrize("kind", ["imap", "imap_unordered"])
def test_a_next_without_memory_for_the_result_can_be_repeated(kind, kib, check_program):
    said = check_program(f"""
        import resource, time, snakefish
        results = snakefish.{kind}(lambda n: n if n != 1 else b"1" * ({kib} << 10), range(3), 1)
        print(next(results))
        time.sleep(0.5)
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        for _ in range(2):
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used, hard))
            try:
                next(results)
                print("a result")
            except MemoryError:
                print("MemoryError")
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        print([len(one) >> 10 if one != 2 else one for one in results])
        """)
    assert said.split("\n") == ["0", "MemoryError", "MemoryError", f"[{kib}, 2]", ""]
