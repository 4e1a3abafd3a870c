"""What a child does not take over from its parent: standard input, the action of SIGTERM, finalizers, its name."""
import os

import pytest
from conftest import PYPY, run_the_program

# ---- standard input ----


def feed(source, text):
    """Runs a program that has `text` as its standard input."""
    read, write = os.pipe()
    os.write(write, text.encode())
    os.close(write)
    try:
        ended = run_the_program(source, stdin=read)
    finally:
        os.close(read)
    assert ended.status == 0 and ended.stderr == "", ended
    return ended.stdout


def test_a_childs_standard_input_is_empty_and_its_parents_is_untouched():
    assert feed("""
        import os, sys, snakefish
        def read(_=0):
            try:
                input()
            except EOFError:
                return sys.stdin.readline(), sys.stdin.read(), list(sys.stdin), sys.stdin.buffer.read(5)
        def generate():
            yield read()
        print(repr(sys.stdin.readline()))
        with snakefish.Thread(read) as t, snakefish.Generator(generate) as g:
            t.start()
            g.start()
            items = list(g)
        print(t.get_result() == items[0] == snakefish.map(read, [1])[0] == ("", "", [], b""))
        print(sys.stdin.readlines())
        """, "one\ntwo\nthree\n") == "'one\\n'\nTrue\n['two\\n', 'three\\n']\n"


def test_a_childs_standard_input_has_a_descriptor_when_asked_and_works_with_subprocess(check_program):
    assert check_program("""
        import os, subprocess, sys, snakefish
        def look():
            before = len(os.listdir("/proc/self/fd"))
            out = subprocess.run(["cat"], stdin=sys.stdin, capture_output=True).stdout
            path = os.readlink(f"/proc/self/fd/{sys.stdin.fileno()}")
            sys.stdin.close()
            return out, path, sys.stdin.closed, len(os.listdir("/proc/self/fd")) - before, sys.stdin.isatty
        def inside():
            sys.stdin.close()
            with snakefish.Thread(sys.stdin.readline) as t:
                t.start()
            try:
                t.get_result()
            except ValueError:  # this method is that of the closed file
                pass
            with snakefish.Thread(lambda: sys.stdin.readline()) as t:
                t.start()
            return t.get_result()
        with snakefish.Thread(lambda: look()[:4]) as t, snakefish.Thread(inside) as u:
            t.start()
            u.start()
        print(t.get_result(), repr(u.get_result()))
        """) == "(b'', '/dev/null', True, 0) ''\n"


def test_where_standard_input_is_closed_descriptor_0_is_the_programs(check_program):
    assert check_program("""
        import os, subprocess, sys
        program = '''if True:
            import os, sys, snakefish
            assert sys.stdin is None
            name = "/proc/self/fd/0"
            file = os.open("/proc/self/status", os.O_RDONLY)
            def look():
                return sys.stdin, file, os.readlink(name), len(os.read(file, 4))
            t = snakefish.Thread(look)
            t.start()
            t.join()
            print(t.get_result()[0], file, os.readlink(name) == t.get_result()[2], t.get_result()[3])
        '''
        print(subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", program], capture_output=True, text=True))
        """).count("None 0 True 4") == 1


# ---- SIGTERM ----

TERMINATE = """
import os, signal, snakefish, sys, time
ran = []
def handler(*_):
    ran.append(os.getpid())
def terminated(f, *args):
    for pause in (0, 0.2):
        t = snakefish.Thread(f, args=args)
        t.start()
        time.sleep(pause)
        t.terminate()
        begin = time.monotonic()
        t.join()
        assert time.monotonic() - begin < 5
        yield t.get_exit_status()
"""


@pytest.mark.parametrize("parent", ["signal.signal(signal.SIGTERM, handler)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
                                    "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
                                    "import asyncio; loop = asyncio.new_event_loop(); "
                                    "loop.add_signal_handler(signal.SIGTERM, handler)",
                                    "import faulthandler; faulthandler.register(signal.SIGTERM, file=open(os.devnull))"])
def test_terminate_ends_a_child_whatever_its_parent_does_with_sigterm(check_program, parent):
    if PYPY and "faulthandler" in parent:
        pytest.skip("PyPy's faulthandler has no register()")
    assert check_program(TERMINATE + f"""
{parent}
before = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, [])
print(*terminated(time.sleep, 30), ran)
print(*terminated(lambda: [time.sleep(0.01) for _ in range(3000)]))
t = snakefish.Thread(lambda: signal.getsignal(signal.SIGTERM))
t.start()
t.join()
after = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, [])
print(t.get_result() in (signal.SIG_DFL, None), after == before)
""") == "-15 -15 []\n-15 -15\nTrue True\n"


def test_a_handler_that_f_sets_stays_and_its_own_children_do_not_have_it(check_program):
    assert check_program(TERMINATE + """
def f(channel):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    inner = snakefish.Thread(time.sleep, args=(30,))
    inner.start()
    inner.terminate()
    inner.join()
    channel.send_pyobj(inner.get_exit_status())
    time.sleep(30)
channel = snakefish.Channel(4096)
t = snakefish.Thread(f, args=(channel,))
t.start()
print(channel.receive_pyobj())
t.terminate()
t.join()
print(t.get_exit_status())
""") == "-15\n3\n"


@pytest.mark.skipif(PYPY, reason="PyPy runs the hooks inside of os.fork")
def test_a_handler_that_a_hook_of_the_fork_sets_in_the_child_stays(check_program):
    assert check_program(TERMINATE + """
signal.signal(signal.SIGTERM, handler)
def other(*_):
    pass
os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, other))
t = snakefish.Thread(lambda: signal.getsignal(signal.SIGTERM) is other)
t.start()
t.join()
print(t.get_result())
""") == "True\n"


def test_workers_and_generators_can_be_terminated_too(check_program):
    assert check_program(TERMINATE + """
signal.signal(signal.SIGTERM, handler)
def end_itself(x=0):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
def generate():
    yield end_itself()
for call in (lambda: snakefish.map(end_itself, [1]), lambda: list(snakefish.imap(end_itself, [1])), lambda: next(g)):
    with snakefish.Generator(generate) as g:
        g.start()
        try:
            call()
        except snakefish.ChildDied as died:
            print(died.exit_status)
print(ran)
""") == "-15\n" * 3 + "[]\n"


# ---- finalizers and handlers at the end ----


@pytest.mark.parametrize("parent_uses", [True, False])
def test_a_childs_temporary_directories_are_removed_and_its_parents_stay(check_program, tmp_path, parent_uses):
    assert check_program("""
        import os, sys, tempfile, snakefish
        tempfile.tempdir = sys.argv[1]
        mine = tempfile.TemporaryDirectory(prefix="parent") if int(sys.argv[2]) else None
        kept = []
        def work(depth=0):
            kept.append(tempfile.TemporaryDirectory(prefix="child"))
            if depth:
                with snakefish.Thread(work, args=(depth - 1,)) as t:
                    t.start()
            assert all(os.path.isdir(directory.name) for directory in kept)
        def generate():
            yield work()
        for depth in range(3):
            with snakefish.Thread(work, args=(depth,)) as t:
                t.start()
            t.get_result()
        with snakefish.Generator(generate) as g:
            g.start()
            list(g)
        snakefish.map(work, [0, 1], 2)
        print(sorted(name[:5] for name in os.listdir(sys.argv[1])))
        """, tmp_path, int(parent_uses)) == ("['paren']\n" if parent_uses else "[]\n")
    assert os.listdir(tmp_path) == []


def test_finalizers_run_in_the_process_that_made_them_and_once(check_program):
    assert check_program("""
        import os, weakref, snakefish
        class Thing:
            pass
        def say(word, owner):
            print(word, "in its own" if owner == os.getpid() else "ASTRAY", flush=True)
        def own(word):
            thing = Thing()
            weakref.finalize(thing, say, word, os.getpid())
            return thing
        things = [own("parent's")]
        silent = Thing()
        weakref.finalize(silent, print, "NEVER").atexit = False
        def child():
            things.append(own("child's"))
            weakref.finalize(silent, say, "called", os.getpid())()
            with snakefish.Thread(grandchild) as t:
                t.start()
        def grandchild():
            things.append(own("grandchild's"))
        with snakefish.Thread(child) as t:
            t.start()
        """).splitlines() == [f"{word} in its own" for word in ("called", "grandchild's", "child's", "parent's")]


def test_a_childs_log_handlers_are_flushed_and_its_parents_left_to_the_parent(check_program, tmp_path):
    assert check_program("""
        import logging, logging.handlers, sys, snakefish
        def memory(word):
            handler = logging.handlers.MemoryHandler(100, target=logging.FileHandler(sys.argv[1]))
            handler.target.setFormatter(logging.Formatter("%(message)s"))
            logger = logging.getLogger(word)
            logger.addHandler(handler)
            logger.warning(word)
        memory("parent's")
        with snakefish.Thread(memory, args=("child's",)) as t:
            t.start()
        with open(sys.argv[1]) as file:
            print(file.read().splitlines())
        """, tmp_path / "log") == '["child\'s"]\n'
    assert (tmp_path / "log").read_text() == "child's\nparent's\n"


def test_a_childs_log_handlers_are_flushed_also_if_it_has_children_of_its_own(check_program, tmp_path):
    assert check_program("""
        import logging, logging.handlers, sys, snakefish
        def memory(word, then=None):
            handler = logging.handlers.MemoryHandler(100, target=logging.FileHandler(sys.argv[1]))
            handler.target.setFormatter(logging.Formatter("%(message)s"))
            logger = logging.getLogger(word)
            logger.addHandler(handler)
            logger.warning(word)
            if then:
                with snakefish.Thread(memory, args=then) as t:
                    t.start()
        with snakefish.Thread(memory, args=("first", ("second", ("third",)))) as t:
            t.start()
        with open(sys.argv[1]) as file:
            print(file.read().split())
        """, tmp_path / "log") == "['third', 'second', 'first']\n"


def test_what_is_registered_between_two_forks_counts_for_the_second(check_program, tmp_path):
    """A fork looks for finalizers and log handlers only where they may have changed since the last one."""
    assert check_program("""
        import logging, logging.handlers, os, sys, tempfile, snakefish
        tempfile.tempdir = sys.argv[1]
        kept = []
        def memory(word):
            handler = logging.handlers.MemoryHandler(100, target=logging.StreamHandler(sys.stdout))
            logger = logging.getLogger(word)
            logger.addHandler(handler)
            logger.warning(word)
            return handler
        def work():
            kept.append(tempfile.TemporaryDirectory(prefix="child"))
            memory("child's")
        def run():
            with snakefish.Thread(work) as t:
                t.start()
            t.get_result()
        run()
        mine = tempfile.TemporaryDirectory(prefix="parent")
        run()
        handlers = [memory("parent's")]
        run()
        logging.getLogger("parent's").removeHandler(handlers[0])
        handlers.pop().setTarget(None)  # what it holds is printed nowhere
        run()
        print(sorted(name[:5] for name in os.listdir(sys.argv[1])))
        """, tmp_path) == "child's\n" * 4 + "['paren']\n"


def test_log_records_have_the_childs_name_under_the_factory_that_holds_at_its_fork(check_program):
    assert check_program("""
        import logging, sys, snakefish
        def run(name):
            with snakefish.Thread(logging.warning, args=("",), name=name) as t:
                t.start()
        logging.basicConfig(stream=sys.stdout, format="%(processName)s %(extra)s", level=logging.INFO)
        for number in (1, 2, 2):
            def make(*args, number=number, **kwargs):
                record = logging.LogRecord(*args, **kwargs)
                record.extra = number
                return record
            logging.setLogRecordFactory(make)
            run(f"child {number}")
        logging.warning("")
        """) == "child 1 1\nchild 2 2\nchild 2 2\nMainProcess 2\n"


@pytest.mark.parametrize("how", ["an exit handler", "a signal handler"])
def test_exit_during_a_childs_end_skips_nothing(run_program, how):
    ended = run_program("""
        import atexit, os, signal, sys, threading, time, snakefish
        atexit.register(print, "parent's", flush=True)
        channel = snakefish.Channel(4096)
        def late():
            channel.send_pyobj("still waited for")
        def f():
            global inner
            inner = snakefish.Thread(late)
            atexit.register(inner.start)
            if sys.argv[1] == "an exit handler":
                atexit.register(sys.exit, 5)
            else:
                signal.signal(signal.SIGALRM, lambda *_: sys.exit(5))
                threading.Thread(target=time.sleep, args=(1,)).start()
                signal.setitimer(signal.ITIMER_REAL, 0.2)
            return 7
        with snakefish.Thread(f) as t:
            t.start()
        print(t.get_result(), t.get_exit_status(), channel.receive_pyobj(), flush=True)
        """, how)
    assert (ended.status, ended.stdout) == (0, "7 0 still waited for\nparent's\n"), ended


def test_exit_handlers_run_also_where_a_fork_came_after_them(check_program):
    assert check_program("""
        import atexit, snakefish
        def f():
            atexit.register(print, "child's", flush=True)
            with snakefish.Thread(int) as t:
                t.start()
        with snakefish.Thread(f) as t:
            t.start()
        """) == "child's\n"


# ---- the name ----


def test_a_child_is_named_for_ps_and_for_logs(check_program):
    assert check_program("""
        import logging, sys, snakefish
        logging.basicConfig(stream=sys.stdout, format="%(processName)s: %(message)s", level=logging.INFO)
        def f(depth=0):
            with open("/proc/self/comm") as file:
                logging.info(file.read().strip())
            if depth:
                with snakefish.Thread(f, name="inner") as t:
                    t.start()
        f()
        for _ in range(2):
            with snakefish.Thread(f, args=(1,), name="a name of more than fifteen bytes") as t:
                t.start()
        import multiprocessing
        with snakefish.Thread(f, args=(1,), name="outer") as t:
            t.start()
        with snakefish.Thread(lambda: [__import__("multiprocessing"), f()].clear(), name="later") as t:
            t.start()
        logging.info("here")
        """).splitlines()[1:] == [*["a name of more than fifteen bytes: a name of more", "inner: inner"] * 2, "outer: outer",
                                  "inner: inner", "later: later", "MainProcess: here"]


def test_a_record_factory_of_the_program_goes_on_to_make_the_records(check_program):
    assert check_program("""
        import logging, sys, snakefish
        logging.basicConfig(stream=sys.stdout, format="%(processName)s %(extra)s", level=logging.INFO)
        class Record(logging.LogRecord):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.extra = "own"
        logging.setLogRecordFactory(Record)
        def nested():
            plain = logging.getLogRecordFactory()
            logging.setLogRecordFactory(lambda *args, **kwargs: plain(*args, **kwargs))
            with snakefish.Thread(logging.info, args=("",), name="inner") as t:
                t.start()
        for f in (lambda: logging.info(""), nested):
            with snakefish.Thread(f, name="outer") as t:
                t.start()
            t.get_result()
        print(logging.getLogRecordFactory() is Record)
        """) == "outer own\ninner own\nTrue\n"


# ---- exec ----


def test_a_program_that_the_child_of_a_thread_execs_outlives_the_thread(check_program):
    assert check_program("""
        import os, threading, time, warnings, snakefish
        warnings.simplefilter("ignore")
        started = []
        def start():
            t = snakefish.Thread(os.execv, args=("/bin/sleep", ["sleep", "0.6"]))
            t.start()
            started.append(t)
            time.sleep(0.3)
        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        started[0].join()
        print(started[0].get_exit_status())
        """) == "0\n"


def test_the_childs_signal_of_a_threads_end_leaves_the_programs_handler_of_it_alone(check_program):
    assert check_program("""
        import os, signal, threading, time, warnings, snakefish
        warnings.simplefilter("ignore")
        heard = []
        signal.signal(signal.SIGURG, lambda *_: heard.append(1))
        def f():
            os.kill(os.getpid(), signal.SIGURG)
            time.sleep(0.1)
            return len(heard)
        kept = []
        def start():
            kept.append(snakefish.Thread(f))
            kept[0].start()
            kept[0].join()
        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        print(kept[0].get_result())
        """) == "1\n"
