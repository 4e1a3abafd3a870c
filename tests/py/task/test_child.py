"""Children as their parent sees them: without pidfds, reaped by others, and forks and exits in the middle of a wait."""

import sys

import pytest
from conftest import PYPY

# A seccomp filter on this process: the system call `number` fails with `error`. The numbers are the same on all machines.
REFUSE = """
import ctypes, errno, os, signal, snakefish, struct, sys, time
def refuse(number, error):
    steps = (32, 0, 0, 0), (21, 0, 1, number), (6, 0, 0, 0x50000 | error), (6, 0, 0, 0x7FFF0000)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(38, 1, 0, 0, 0)
    if prctl(22, 2, ctypes.byref(Program(len(steps), ctypes.addressof(code))), 0, 0):
        print("no filter")
        sys.exit()
PIDFD_OPEN, PIDFD_SEND_SIGNAL = 434, 424
"""
REFUSALS = {
    "an old kernel": "refuse(PIDFD_OPEN, errno.ENOSYS); refuse(PIDFD_SEND_SIGNAL, errno.ENOSYS)",
    "seccomp": "refuse(PIDFD_OPEN, errno.EPERM)",
    "seccomp for signals": "refuse(PIDFD_SEND_SIGNAL, errno.EPERM)",
}


def check_without_pidfds(check_program, refusal, source, **more):
    out = check_program(REFUSE + REFUSALS[refusal] + "\n" + source, **more)
    if out == "no filter\n":
        pytest.skip("no seccomp filters here")
    return out


@pytest.mark.parametrize("refusal", REFUSALS)
def test_without_pidfds_all_works(check_program, refusal):
    assert check_without_pidfds(check_program, refusal, """
from everything import everything, right
assert everything() == right
def ended(how):
    t = snakefish.Thread(time.sleep, args=(20,))
    t.start()
    try:
        t.join(0.05)
    except TimeoutError:
        assert t.is_alive() and not t.try_join()
        how(t)
    t.join()
    return t.get_exit_status()
print(ended(snakefish.Thread.kill), ended(snakefish.Thread.terminate))
print(snakefish.starmap(pow, [(2, 3)] * 50, 4)[-1], list(snakefish.imap_unordered(abs, [-1, -2], 1)))
total = 0
def add(x):
    global total
    total += x
def merge(g, n):
    g["total"] += n
snakefish.map(add, range(10), lambda g: g["total"], merge, 3, 1)
print(total)
kept = snakefish.Thread(lambda: time.sleep(0.2) or print("waited for at exit", flush=True))
kept.start()
""") == "-9 -15\n8 [1, 2]\n45\nwaited for at exit\n"


def test_without_pidfds_wait_works_for_several_and_rests_between_its_looks(check_program):
    assert check_without_pidfds(check_program, "an old kernel", """
threads = [snakefish.Thread(time.sleep, args=(s,)) for s in (20, 0.4, 20)]
for t in threads:
    t.start()
print(snakefish.wait(threads, 0), snakefish.wait(threads, 0.05))
begin, cpu = time.monotonic(), time.process_time()
print([threads.index(t) for t in snakefish.wait(threads)], time.monotonic() - begin < 5, time.process_time() - cpu < 0.1)
heard = []
signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.1)
print(snakefish.wait([threads[0], threads[2]], 0.3), heard)
for t in threads:
    t.kill()
    cpu = time.process_time()
    t.join()
    print(t.get_exit_status(), end=" ")
""") == "[] []\n[1] True True\n[] [1]\n-9 0 -9 "


def test_without_pidfds_and_with_sigchld_ignored_all_works(check_program):
    assert check_without_pidfds(check_program, "an old kernel", """
from everything import everything, right
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
assert everything() == right
t = snakefish.Thread(time.sleep, args=(20,))
t.start()
t.terminate()
print(snakefish.wait([t]) == [t])
t.join()
print(t.get_exit_status())
t.terminate()
""") == "True\nNone\n"


def test_without_pidfds_fileno_says_what_works_instead(check_program):
    for refusal, reason in (("an old kernel", "Function not implemented"), ("seccomp", "Operation not permitted")):
        assert check_without_pidfds(check_program, refusal, """
t = snakefish.Thread(time.sleep, args=(0.1,), name="sleeper")
t.start()
try:
    t.fileno()
except RuntimeError as error:
    print(error)
t.join()
""") == (f"sleeper has no file descriptor, because pidfd_open failed: {reason}. join(timeout), try_join() and "
         "snakefish.wait() work without one\n")


def test_with_one_free_descriptor_a_thread_runs_and_is_waited_for(check_program):
    """A start takes one for a moment, for the result's memory. Here the program has it afterwards."""
    assert check_program("""
        import os, resource, snakefish, time
        used = len(os.listdir("/proc/self/fd")) - 1
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        t = snakefish.Thread(lambda: time.sleep(0.3) or 5)
        t.start()
        file = open("/dev/null")
        try:
            t.join(0.05)
        except TimeoutError:
            print("later")
        try:
            t.fileno()
        except RuntimeError as error:
            print("Too many open files" in str(error))
        print(snakefish.wait([t]) == [t])
        t.join()
        print(t.get_result())
        """) == "later\nTrue\nTrue\n5\n"


def test_a_descriptor_is_open_only_where_the_program_asked_for_it(check_program):
    assert check_program("""
        import os, snakefish, time
        def links():
            return sum(os.path.islink(f"/proc/self/fd/{fd}") and "pidfd" in os.readlink(f"/proc/self/fd/{fd}")
                       for fd in os.listdir("/proc/self/fd"))
        t = snakefish.Thread(time.sleep, args=(20,))
        t.start()
        try:
            t.join(0.05)
        except TimeoutError:
            pass
        before = links()
        fd = t.fileno()
        print(before, links(), t.fileno() == fd)
        os.close(fd)
        again = t.fileno()
        print(links(), os.get_inheritable(again))
        t.kill()
        t.join()
        print(links())
        """) == "0 1 True\n1 False\n0\n"


def test_files_that_the_program_puts_in_the_place_of_the_pidfd_are_left_alone(check_program):
    """Those of the kernel's that have no inode of their own before Linux 6.9 cannot be told from it."""
    assert check_program("""
        import os, snakefish, socket, time
        t = snakefish.Thread(time.sleep, args=(0.3,))
        t.start()
        number = t.fileno()
        with open("/proc/self/status") as file:
            os.dup2(file.fileno(), number)
        assert t.fileno() != number
        t.terminate()
        t.join()
        print(t.get_exit_status(), os.readlink(f"/proc/self/fd/{number}").endswith("status"))
        """) == "-15 True\n"


# ---- reaped by others ----


def test_children_that_a_handler_of_sigchld_reaps_are_joined_with_their_results(check_program):
    assert check_program("""
        import os, signal, snakefish, time
        reaped = []
        def reap(*_):
            try:
                while (pid := os.waitpid(-1, os.WNOHANG)[0]):
                    reaped.append(pid)
            except ChildProcessError:
                pass
        signal.signal(signal.SIGCHLD, reap)
        os.register_at_fork(after_in_parent=lambda: time.sleep(0.001))  # the handler may run before start() goes on
        for i in range(100):
            t = snakefish.Thread(lambda: i)
            t.start()
            if i % 3 == 0:
                snakefish.wait([t])
                t.kill()
            t.join()
            assert t.get_result() == i and t.get_exit_status() in (0, None)
        print(len(reaped) > 0, snakefish.map(abs, [-1, -2], 2))
        """) == "True [1, 2]\n"


def test_a_fork_in_a_handler_that_comes_back_into_a_wait_does_not_join_its_parents_child(check_program):
    assert check_program("""
        import os, signal, snakefish, sys, time
        signal.signal(signal.SIGALRM, lambda *_: os.fork())
        parent = os.getpid()
        t = snakefish.Thread(lambda: time.sleep(1) or "x" * 100_000)
        t.start()
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            t.join()
        except RuntimeError as error:
            assert os.getpid() != parent and f"process {parent}" in str(error)
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.wait()[1]), len(t.get_result()), t.get_exit_status())
        """) == "7 100000 0\n"


@pytest.mark.skipif(PYPY, reason="PyPy runs the hooks inside of os.fork")
def test_a_hook_of_the_fork_that_forks_and_comes_back_does_not_make_the_child_its_own(check_program):
    assert check_program("""
        import os, snakefish, sys
        forked = []
        def hook():
            if not forked:  # the fork in it calls it again
                forked.append(0)
                forked[0] = os.fork()
        os.register_at_fork(after_in_parent=hook)
        parent = os.getpid()
        t = snakefish.Thread(lambda: 5)
        t.start()
        try:
            t.join()
        except RuntimeError as error:
            assert os.getpid() != parent
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]), t.get_result())
        """) == "7 5\n"


# ---- at exit ----


def test_exits_and_starts_during_the_wait_at_exit(run_program):
    ended = run_program("""
        import os, signal, snakefish, sys, time
        channel = snakefish.Channel(4096)
        def handler(*_):
            snakefish._snakefish._at_exit()  # an exit in the exit
            os.write(1, b"waited\\n")
            sys.exit(5)
        def f(seconds):
            time.sleep(seconds)
            os.write(1, b"ended\\n")
        threads = [snakefish.Thread(f, args=(s,)) for s in (0.6, 1.2)]
        for t in threads:
            t.start()
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        """)
    assert ended.stdout == "ended\nended\nwaited\n", ended


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python itself refuses to fork at exit")
def test_a_process_that_a_handler_forks_at_exit_waits_for_nothing_of_its_parents(check_program):
    out = check_program("""
        import os, signal, snakefish, sys, time
        t = snakefish.Thread(lambda: time.sleep(1) or os.write(1, b"ended\\n"))
        t.start()
        parent = os.getpid()
        signal.signal(signal.SIGALRM, lambda *_: os.fork() or os.write(1, b"forked\\n"))
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        """)
    assert out == "forked\nended\n"


# ---- waiting in a child of a process with threads ----


def test_a_receive_that_nobody_can_end_ends_also_in_a_child_of_a_process_with_threads(check_program):
    assert check_program("""
        import os, snakefish, threading, time, warnings
        warnings.simplefilter("ignore")
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        channel = snakefish.Channel(4096)
        def receive():
            try:
                channel.receive_pyobj(timeout=20)
            except EOFError:
                return "nobody left"
        t = snakefish.Thread(receive)
        t.start()
        channel.dispose()
        t.join()
        print(t.get_result())
        """) == "nobody left\n"
