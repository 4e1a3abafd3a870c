"""The life of a program and of a child: its end, exit handlers, forks by other libraries, threads alive at a fork."""
import os
import resource
import time

import pytest
from conftest import PYPY

from snakefish import Thread


# ---- the program's end ----


def test_the_program_waits_for_its_threads_and_stops_its_generators(check_program):
    started = time.monotonic()
    out = check_program("""
        import time, snakefish
        def speak():
            time.sleep(0.4)
            print("from the thread", flush=True)
        def forever():
            try:
                while True:
                    yield 1
            finally:
                print("generator closed", flush=True)
        t = snakefish.Thread(speak)
        t.start()
        g = snakefish.Generator(forever)
        g.start()
        g.next()
        """)
    assert sorted(out.splitlines()) == ["from the thread", "generator closed"]
    assert time.monotonic() - started < 20


def test_a_child_waits_for_its_own_threads_too(check_program):
    assert check_program("""
        import time, snakefish
        def inner():
            time.sleep(0.4)
            print("inner", flush=True)
        def outer():
            global kept
            kept = snakefish.Thread(inner)
            kept.start()
        with snakefish.Thread(outer) as t:
            t.start()
        print("outer joined")
        """) == "inner\nouter joined\n"


def test_exit_handlers_of_the_parent_run_in_the_parent_only_and_the_childs_in_the_child(check_program):
    out = check_program("""
        import atexit, os, snakefish
        parent = os.getpid()
        atexit.register(lambda: print("parent's", os.getpid() == parent, flush=True))
        def f(_=0):
            atexit.register(lambda: print("child's", os.getpid() != parent, flush=True))
        def g():
            yield f()
        with snakefish.Thread(f) as t:
            t.start()
        with snakefish.Generator(g) as it:
            it.start()
            it.next()
        snakefish.map(f, [1])
        """)
    assert sorted(out.splitlines()) == ["child's True"] * 3 + ["parent's True"]


def test_exit_handlers_registered_between_two_forks_stay_with_the_process_that_registered_them(check_program):
    out = check_program("""
        import atexit, os, snakefish
        names = {os.getpid(): "parent"}
        def register(word):
            atexit.register(lambda owner=os.getpid(): print(word, "in its own" if owner == os.getpid() else "ASTRAY", flush=True))
        def run(f):
            with snakefish.Thread(f) as t:
                t.start()
        def inner():
            register("inner")
        def outer():
            run(lambda: None)
            register("outer 1")
            run(inner)
            atexit.unregister(print)
            register("outer 2")
        register("parent 1")
        run(outer)
        register("parent 2")
        run(lambda: None)
        """)
    assert out.splitlines() == [f"{word} in its own" for word in "inner,outer 2,outer 1,parent 2,parent 1".split(",")]


def test_a_process_made_by_os_fork_runs_the_exit_handlers_it_was_made_with(check_program):
    out = check_program("""
        import atexit, os, snakefish
        atexit.register(lambda: print("handler", flush=True))
        with snakefish.Thread(lambda: None) as t:
            t.start()
        if pid := os.fork():
            os.waitpid(pid, 0)
        """)
    assert out == "handler\n" * 2


def test_many_forks_leave_no_more_exit_handlers_than_one(check_program):
    assert check_program("""
        import atexit, snakefish
        counts = []
        for _ in range(5):
            with snakefish.Thread(lambda: None) as t:
                t.start()
            counts.append(atexit._ncallbacks())
        print(len(set(counts)))
        """) == "1\n"


@pytest.mark.skipif(PYPY, reason="PyPy calls no __del__ when it shuts down")
def test_a_start_while_the_interpreter_shuts_down_is_refused_or_works_but_never_hangs(run_program):
    ended = run_program("""
        import snakefish
        class Late:
            def __del__(self):
                try:
                    snakefish.Thread(lambda: 5).start()
                except RuntimeError as error:
                    print(error)
        import builtins
        builtins.kept = Late()
        """)
    assert ended.status == 0 and "shutting down" in ended.stdout


def test_a_daemon_python_thread_inside_map_at_the_end_of_the_program_does_no_harm(run_program):
    for _ in range(5):
        ended = run_program("""
            import threading, time, warnings, snakefish
            warnings.simplefilter("ignore")
            def work():
                while True:
                    snakefish.map(time.sleep, [0.02] * 4, 2, 1)
            for _ in range(2):
                threading.Thread(target=work, daemon=True).start()
            time.sleep(0.15)
            """)
        assert ended.status == 0, ended


# ---- forks by other libraries ----


def test_a_process_made_by_os_fork_leaves_the_parents_threads_and_generators_alone(check_program):
    assert check_program("""
        import gc, os, sys, time, snakefish
        def count():
            i = 0
            while True:
                yield i
                i += 1
        g = snakefish.Generator(count)
        g.start()
        print(g.next(), flush=True)
        t = snakefish.Thread(time.sleep, args=(1,))
        t.start()
        if os.fork() == 0:
            for call in (t.join, t.try_join, g.next, g.join, t.kill, t.is_alive):
                try:
                    call()
                except RuntimeError as error:
                    assert "process" in str(error)
                else:
                    print("no error", call)
            del t
            gc.collect()
            with snakefish.Thread(lambda: "inner") as own:
                own.start()
            print(own.get_result(), flush=True)
            kept = snakefish.Thread(lambda: time.sleep(0.2) or print("kept", flush=True))
            kept.start()
            sys.exit(0)  # runs the exit handlers
        print(os.wait()[1], t.is_alive(), g.next(), flush=True)
        t.join()
        g.join()
        """) == "0\ninner\nkept\n0 True 1\n"


def test_forks_in_a_with_block_end_only_their_own(check_program):
    assert check_program("""
        import os, snakefish
        def count():
            yield from range(3)
        with snakefish.Generator(count) as g, snakefish.Channel(1024) as channel:
            g.start()
            try:
                if os.fork() == 0:
                    raise SystemExit(0)
            finally:
                pass
            os.wait()
            channel.send_pyobj("here")
            print(list(g), channel.receive_pyobj())
        """) == "[0, 1, 2] here\n"


@pytest.mark.parametrize("how", ["returns", "sys.exit", "raises"])
def test_a_fork_made_by_f_that_comes_back_out_of_f_ends_as_a_program_and_says_nothing_to_the_parent(run_program, how):
    ended = run_program("""
        import os, sys, time, snakefish
        def come_back():
            if sys.argv[1] == "sys.exit":
                sys.exit(3)
            if sys.argv[1] == "raises":
                raise KeyError("stray")
        def fork(x=0):
            pid = os.fork()
            if pid == 0:
                come_back()
                return "stray"
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        def generate():
            for _ in range(2):
                yield fork()
        with snakefish.Thread(fork, lambda g: os.getpid(), lambda g, e: print(e == t.pid)) as t:
            t.start()
        print(t.get_result())
        with snakefish.Generator(generate) as g:
            g.start()
            print(list(g))
        print(snakefish.map(fork, range(3), 1, 1))  # one at a time, because tracebacks of several may mix
        print(snakefish.map(fork, range(3), 1, 1, extract=lambda g: 1, merge=lambda g, e: None), flush=True)
        """, how)
    status = {"returns": 0, "sys.exit": 3, "raises": 1}[how]
    assert ended.stdout == f"True\n{status}\n{[status] * 2}\n{[status] * 3}\n{[status] * 3}\n" and ended.status == 0
    assert ended.stderr.count("KeyError: 'stray'") == (9 if how == "raises" else 0)


def test_the_hooks_of_register_at_fork_run_once_each_and_an_auditor_may_refuse(check_program):
    assert check_program("""
        import os, sys, snakefish
        for where in ("before", "after_in_parent", "after_in_child"):
            os.register_at_fork(**{where: lambda line=where + "\\n": os.write(1, line.encode())})  # one write is one whole line
        with snakefish.Thread(lambda: 1) as t:
            t.start()
        def refuse(event, arguments):
            if event == "os.fork":
                raise PermissionError("no forks")
        sys.addaudithook(refuse)
        fds = os.listdir("/proc/self/fd")
        for call in (snakefish.Thread(lambda: 1).start, lambda: snakefish.map(abs, [1])):
            try:
                call()
            except PermissionError as error:
                print(error)
        print(os.listdir("/proc/self/fd") == fds)
        """).splitlines() in (["before", "after_in_parent", "after_in_child", "no forks", "no forks", "True"],
                              ["before", "after_in_child", "after_in_parent", "no forks", "no forks", "True"])


# ---- threads alive at a fork ----


def test_python_threads_alive_at_a_fork_are_warned_of_before_it(run_program):
    source = """
        import os, threading, snakefish
        stop = threading.Event()
        threading.Thread(target=stop.wait).start()
        def f():
            yield os.write(1, b"ran\\n")
        try:
            for what in (lambda: snakefish.Thread(lambda: next(f())).start(), lambda: snakefish.Generator(f).start(),
                         lambda: snakefish.map(lambda x: next(f()), [1]),
                         lambda: snakefish.map(lambda x: next(f()), [1], extract=len, merge=len)):
                try:
                    what()
                except DeprecationWarning as warning:
                    print(warning)
                    try:
                        os.waitpid(-1, 0)
                    except ChildProcessError:
                        print("no child", flush=True)
        finally:
            stop.set()
        """
    ended = run_program(source, options=["-W", "error"])
    assert ended.stdout.count("threads") == 4 and ended.stdout.count("no child") == 4 and "ran" not in ended.stdout
    assert ended.status == 0 and ended.stderr == ""
    ended = run_program("""
        import threading, snakefish
        stop = threading.Event()
        threading.Thread(target=stop.wait).start()
        with snakefish.Thread(lambda: 5) as t:
            t.start()  # here
        stop.set()
        print(t.get_result())
        """, options=["-W", "always"])
    assert ended.stdout == "5\n" and ended.stderr.count("DeprecationWarning") == 1


def test_logging_and_random_work_in_children(check_program):
    assert check_program("""
        import logging, random, sys, snakefish
        logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
        random.seed(1)
        def f():
            logging.info("from the child")
            return random.random()
        got = []
        for _ in range(3):
            with snakefish.Thread(f) as t:
                t.start()
            got.append(t.get_result())
        print(len(set(got)))
        """) == "from the child\n" * 3 + "3\n"


def test_an_event_loop_of_the_parent_is_not_woken_by_signals_to_the_child(check_program):
    assert check_program("""
        import asyncio, os, signal, time, snakefish
        heard = []
        async def main():
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.append, 1)
            t = snakefish.Thread(time.sleep, args=(0.6,))
            t.start()
            await asyncio.sleep(0.2)
            os.kill(t.pid, signal.SIGUSR1)
            loop, done = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(t.fileno(), done.set)
            await asyncio.wait_for(done.wait(), 10)
            loop.remove_reader(t.fileno())
            t.join()
            return t.get_exit_status()
        print(asyncio.run(main()), heard)
        """) == "0 []\n"


def test_other_interpreters_are_refused(check_program):
    interpreters = pytest.importorskip("_xxsubinterpreters")
    del interpreters
    said = check_program("""
        import _xxsubinterpreters as interpreters, snakefish
        try:
            interpreters.run_string(interpreters.create(), "import snakefish")
        except interpreters.RunFailedError as error:
            print(error)
        """)
    assert "main interpreter" in said or "subinterpreters" in said, said  # since 3.12 Python itself refuses it


def test_importing_takes_few_modules_and_no_time(check_program):
    out = check_program("import sys; before = set(sys.modules); import snakefish; print(len(set(sys.modules) - before),"
                        "'subprocess' in sys.modules, 'multiprocessing' in sys.modules)")
    assert out.split()[1:] == ["False", "False"] and int(out.split()[0]) < 60


def test_core_files_and_limits_are_untouched():
    before = resource.getrlimit(resource.RLIMIT_NOFILE), os.umask(0o22)
    with Thread(lambda: 1) as task:
        task.start()
    assert (resource.getrlimit(resource.RLIMIT_NOFILE), os.umask(0o22)) == before
