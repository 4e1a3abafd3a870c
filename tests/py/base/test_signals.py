"""Signals: Ctrl-C, handlers during blocking calls, children whose parent is killed."""
import os
import signal
import time

import pytest
from conftest import finish_program, group_members, is_running, settles, start_program

from snakefish import Thread


# ---- Ctrl-C ----

CALLS = {
    "join": "t = Thread(time.sleep, args=(60,)); t.start(); ready(); t.join()",
    "with": "with Thread(time.sleep, args=(60,)) as t:\n        t.start(); ready()",
    "receive": "t = Thread(time.sleep, args=(60,)); t.start(); ready(); channel.receive_pyobj()",
    "send": "t = Thread(time.sleep, args=(60,)); t.start(); channel.send_pyobj(b'x' * 900); ready(); "
            "channel.send_pyobj(b'x' * 900, True)",
    "next": "g = Generator(sleeping); g.start(); ready(); g.next()",
    "idle": "g = Generator(sleeping, args=(0,)); g.start(); g.next(); ready(); time.sleep(60)",
    "map": "ready(); snakefish.map(time.sleep, [60] * 4, 2, 1)",
    "merge": "ready(); snakefish.map(time.sleep, [60] * 4, 2, 1, extract=lambda g: 1, merge=lambda g, e: 1)",
    "imap": "ready(); list(imap(time.sleep, [60] * 4, 2))",
    "imap source": "ready(); list(imap(abs, iter(__import__('queue').Queue().get, None), 2))",
    "imap idle": "results = imap(abs, iter([1, 2, 3]), 2); next(results); ready(); time.sleep(60)",
    "wait": "t = Thread(time.sleep, args=(60,)); t.start(); ready(); wait([t])",
    "end": "t = Thread(time.sleep, args=(60,)); t.start(); ready()",
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_parent_and_children_with_one_traceback(call):
    program = start_program(f"""
import time, snakefish
from snakefish import *
channel = Channel(1024)
def sleeping(seconds=60):
    while True:
        time.sleep(seconds)
        yield 1
def ready():
    print("ready", flush=True)
if True:
    {CALLS[call]}
""")
    assert program.stdout.readline() == "ready\n"
    time.sleep(0.25)
    os.killpg(program.pid, signal.SIGINT)
    ended = finish_program(program, 10)
    assert ended.status in (-signal.SIGINT, 130) or call == "end"
    assert ended.stderr.count("Traceback") <= 1 and "Exception ignored" not in ended.stderr.replace(
        "Exception ignored in atexit callback", "") and len(ended.stderr.splitlines()) < 20, ended.stderr
    assert settles(lambda: group_members(program.pid)) == []


def test_the_program_can_go_on_after_ctrl_c(check_program):
    assert check_program("""
        import os, signal, threading, time, snakefish
        t = snakefish.Thread(lambda: time.sleep(0.8) or "result")
        t.start()
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            t.join()
        except KeyboardInterrupt:
            print("interrupted", t.is_alive())
        t.join()
        print(t.get_result())
        """) == "interrupted True\nresult\n"


# ---- signal handlers ----


@pytest.mark.parametrize("what", ["join", "receive", "send", "next", "map", "merge"])
def test_handlers_run_during_blocking_calls_and_may_raise(check_program, what):
    assert check_program("""
        import signal, sys, time, snakefish
        from snakefish import *
        runs = []
        def handler(*_):
            runs.append(time.monotonic())
            if len(runs) == 3:
                raise LookupError("enough")
        def sleeping():
            time.sleep(60)
            yield 1
        channel = Channel(1024)
        t = Thread(time.sleep, args=(60,))
        t.start()
        g = Generator(sleeping)
        g.start()
        channel.send_pyobj(b"x" * 900)
        calls = {"join": t.join, "send": lambda: channel.send_pyobj(b"x" * 900, True), "next": g.next,
                 "map": lambda: snakefish.map(time.sleep, [60, 60], 2),
                 "merge": lambda: snakefish.map(time.sleep, [60, 60], 2, extract=lambda g: 1, merge=lambda g, e: 1)}
        def receive():
            channel.receive_pyobj()
            channel.receive_pyobj()
        calls["receive"] = receive
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        started = time.monotonic()
        try:
            calls[sys.argv[1]]()
        except LookupError as error:
            print(error, len(runs), 0.25 < time.monotonic() - started < 2)
        signal.setitimer(signal.ITIMER_REAL, 0)
        t.kill(); g.kill()
        t.join(); g.join()
        """, what) == "enough 3 True\n"


def test_what_a_handler_raises_while_next_waits_for_a_child_in_sys_exit_comes_through(check_program):
    check_program("""
        import signal, sys, time, snakefish
        def handler(*_):
            raise LookupError("enough")
        def f():
            yield 1
            sys.exit(3)
        g = snakefish.Generator(f, lambda _: time.sleep(1), lambda *_: None)
        g.start()
        assert next(g) == 1
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        for expected in LookupError, snakefish.ChildDied, StopIteration:
            try:
                next(g)
            except expected as error:
                assert expected is not snakefish.ChildDied or error.exit_status == 3, error
            else:
                raise AssertionError(expected)
        g.join()
        assert g.get_exit_status() == 3
    """)


def test_handlers_and_alarms_of_the_child_work_there():
    def ring(*_):
        raise LookupError("rang")

    def child():
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        time.sleep(20)

    with pytest.raises(LookupError, match="rang"):
        with Thread(child) as task:
            task.start()
        task.get_result()


# ---- the parent's death ----


@pytest.mark.parametrize("where", ["main", "threading", "nested", "map", "generator"])
def test_children_die_when_the_parent_is_killed(where):
    program = start_program("""
        import os, sys, threading, time, warnings, snakefish
        warnings.simplefilter("ignore")
        def child(_=0):
            os.write(1, b"%d\\n" % os.getpid())
            time.sleep(60)
        def start(f=child):
            t = snakefish.Thread(f)
            t.start()
            return t
        def nest():
            t = start()
            child()
        def generate():
            child()
            yield
        where = sys.argv[1]
        if where == "main":
            t = start()
        elif where == "threading":
            def keep():
                t = start()
                time.sleep(60)
            threading.Thread(target=keep).start()
        elif where == "nested":
            t = start(nest)
        elif where == "map":
            snakefish.map(child, [1, 2], 2)
        elif where == "generator":
            g = snakefish.Generator(generate)
            g.start()
            g.next()
        time.sleep(60)
        """, where)
    pids = [int(program.stdout.readline())]
    if where in ("nested", "map"):
        pids.append(int(program.stdout.readline()))
    program.kill()
    finish_program(program, 10)  # its children hold its output
    assert settles(lambda: [pid for pid in pids if is_running(pid)]) == []


def test_a_thread_outlives_the_threading_thread_that_started_it_and_dies_with_the_process():
    program = start_program("""
        import os, signal, threading, time, warnings, snakefish
        warnings.simplefilter("ignore")
        def start(f):
            made = []
            def run():
                made.append(snakefish.Thread(f))
                made[0].start()
            starter = threading.Thread(target=run)
            starter.start()
            starter.join()
            time.sleep(0.2)
            return made[0]
        t = start(lambda: time.sleep(0.5) or "alive")
        t.join()
        print(t.get_result(), flush=True)
        t = start(lambda: time.sleep(60))
        print(t.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """)
    assert program.stdout.readline() == "alive\n"
    pid = int(program.stdout.readline())
    finish_program(program, 10)
    assert settles(lambda: is_running(pid)) is False


def test_killing_a_generators_parent_ends_a_child_that_waits_to_be_asked():
    program = start_program("""
        import os, time, snakefish
        def count():
            while True:
                yield os.getpid()
        g = snakefish.Generator(count)
        g.start()
        print(g.next(), flush=True)
        time.sleep(60)
        """)
    pid = int(program.stdout.readline())
    program.kill()
    finish_program(program, 10)
    assert settles(lambda: is_running(pid)) is False
