"""Threads that are alive at a fork: the warning that names them, once for each place, and those that need none."""
import shutil
import subprocess
import sys

import pytest
from conftest import BUILD, environment

NATIVE = """
import ctypes, os, snakefish, threading, time, warnings
libc = ctypes.CDLL(None)
def native():
    libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, ctypes.cast(libc.pause, ctypes.c_void_p), None)
def one():
    t = snakefish.Thread(int)
    t.start()
    t.join()
def said(how=one):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        how()
    assert all(w.category is DeprecationWarning and w.filename == "<string>" for w in caught)
    return [str(w.message).partition("(")[2].partition("). ")[0] for w in caught]
"""


def library(tmp_path, name, source, *flags):
    """The path of a shared library made of C source; skips where there is no compiler."""
    compiler = shutil.which("gcc")
    if not compiler:
        pytest.skip("no gcc")
    (tmp_path / "source.c").write_text(source)
    path = tmp_path / name
    made = subprocess.run([compiler, "-shared", "-fPIC", "-pthread", *flags, "-o", path, tmp_path / "source.c"],
                          capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"the compiler cannot make it: {made.stderr[:200]}")
    return path


def test_python_threads_are_named(check_program):
    assert check_program(NATIVE + """
go_on = threading.Event()
print(said())
for name in ("painter", "writer"):
    threading.Thread(target=go_on.wait, name=name, daemon=True).start()
print(said())
print(said(lambda: snakefish.map(abs, [1])))
print(said(lambda: list(snakefish.imap(abs, [1]))))
def inside():
    print(said(), flush=True)
other = threading.Thread(target=inside, name="itself")
other.start()
other.join()
go_on.set()
""").splitlines() == ["[]", *["['2: painter, writer']"] * 3, "['3: MainThread, painter, writer']"]


def test_threads_that_the_threading_module_does_not_know_are_counted(check_program):
    assert check_program(NATIVE + """
import _thread
for _ in range(2):
    _thread.start_new_thread(time.sleep, (30,))
time.sleep(0.1)
print(said())
""") == "['2: 2 of _thread.start_new_thread']\n"


def test_native_threads_are_counted_and_no_child_is_there_when_the_warning_raises(run_program):
    ended = run_program(NATIVE + """
print(said(), flush=True)
native()
native()
time.sleep(0.1)
print(said(), flush=True)
try:
    t = snakefish.Thread(os.write, args=(1, b"ran"))
    t.start()
except DeprecationWarning as warning:
    print(warning, flush=True)
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("no child", flush=True)
os._exit(0)
""", options=["-W", "error::DeprecationWarning"])
    lines = ended.stdout.splitlines()
    assert lines[:2] == ["[]", "['2: 2 of a library']"] and lines[2].startswith("this process has other threads"), ended
    assert lines[3:] == ["no child"]


def test_a_native_thread_is_named_after_the_library_that_started_it(check_program, tmp_path):
    path = library(tmp_path, "libpainter.so", """
        #include <pthread.h>
        #include <sys/prctl.h>
        #include <unistd.h>
        static void *paint(void *name) { if (name) prctl(PR_SET_NAME, name); for (;;) pause(); }
        void go(void *name) { pthread_t thread; pthread_create(&thread, 0, paint, name); }
        """)
    assert check_program(NATIVE + f"""
painter = ctypes.CDLL({str(path)!r})
painter.go(None)
painter.go(None)
painter.go(b"brush")
time.sleep(0.1)
print(said(), flush=True)
os._exit(0)
""") == "['3: 2 of libpainter.so, brush of libpainter.so']\n"


def test_openmp_is_named(check_program, tmp_path):
    path = library(tmp_path, "libparallel.so", """
        int go(void) {
            int n = 0;
            #pragma omp parallel num_threads(3) reduction(+:n)
            n += 1;
            return n;
        }
        """, "-fopenmp")
    out = check_program(NATIVE + f"""
parallel = ctypes.CDLL({str(path)!r})
assert parallel.go() == 3
print(said())
""")
    assert "2 of libgomp.so" in out or "perhaps libgomp.so" in out  # which it is while they spin


def test_a_thread_that_was_joined_just_before_is_not_warned_of(check_program):
    assert check_program(NATIVE + """
for _ in range(100):
    t = threading.Thread(target=int)
    t.start()
    t.join()
    assert said() == []
""") == ""


def test_a_child_of_a_process_with_threads_does_not_count_those_of_its_parent(check_program):
    assert check_program(NATIVE + """
warnings.simplefilter("ignore")
go_on = threading.Event()
for _ in range(3):
    threading.Thread(target=go_on.wait, daemon=True).start()
def child():
    first = said()
    own = threading.Thread(target=time.sleep, args=(0.3,), name="own")
    own.start()
    return first, said()
t = snakefish.Thread(child)
t.start()
t.join()
print(t.get_result())
go_on.set()
""") == "([], ['1: own'])\n"


def test_each_place_warns_once_whatever_the_threads_are_and_however_often_the_registry_is_cleared(run_program):
    ended = run_program(NATIVE + """
go_on = threading.Event()
for i in range(4):
    threading.Thread(target=go_on.wait, name=f"number {i}", daemon=True).start()
    t = snakefish.Thread(int); t.start(); t.join()  # here
    globals().pop("__warningregistry__", None)  # as IPython does before each cell
t = snakefish.Thread(int); t.start(); t.join()  # there
go_on.set()
""")
    assert ended.status == 0 and ended.stderr.count("DeprecationWarning") == 2, ended.stderr
    assert "(1: number 0)" in ended.stderr and "(4: number 0, number 1, number 2, number 3)" in ended.stderr


CALLS = {
    "Thread": "t = snakefish.Thread(int); t.start(); t.join()",
    "with Thread": "with snakefish.Thread(int) as t: t.start()",
    "Generator": "g = snakefish.Generator(items); g.start(); g.next(); g.dispose()",
    "map": "snakefish.map(abs, [1])",
    "starmap": "snakefish.starmap(abs, [(1,)])",
    "map with merge": "snakefish.map(abs, [1], lambda g: 1, lambda g, e: None)",
    "imap": "list(snakefish.imap(abs, [1]))",
    "imap_unordered": "list(snakefish.imap_unordered(abs, [1]))",
    "imap of a generator": "list(snakefish.imap(abs, (n for n in [1])))",
    "progress": "snakefish.map(abs, [1], progress=False)",
    "partial": "functools.partial(snakefish.map, abs)([1])",
    "in a destructor": "Forks()",
}


@pytest.mark.diagonal
@pytest.mark.parametrize("traced", [False, True], ids=["untraced", "traced"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_warning_names_the_programs_line(run_program, tmp_path, call, traced):
    program = tmp_path / "program.py"
    program.write_text(f"""import functools, gc, snakefish, threading
def items():
    yield 1
class Forks:
    def __del__(self):
        snakefish.map(abs, [1])  # the line
go_on = threading.Event()
threading.Thread(target=go_on.wait, daemon=True).start()
{call}  # the line
gc.collect()
go_on.set()
""")
    command = [sys.executable, "-W", "always::DeprecationWarning", str(program)]
    env = environment(**({"SNAKEFISH_TRACE": tmp_path / "run.db", "SNAKEFISH_TRACE_INSTRUMENT": "all"} if traced else {}))
    if traced and not (BUILD / "bin" / "snakefish-trace").exists():
        pytest.skip("the collector is not built: make tracer")
    done = subprocess.run([*command[:3], *(["-m", "snakefish"] if traced else []), *command[3:]], env=env, capture_output=True,
                          text=True, timeout=30)
    warned = [line for line in done.stderr.splitlines() if "DeprecationWarning" in line]
    assert done.returncode == 0 and warned, done.stderr
    number = 6 if call == "Forks()" else 9
    text = f"{program}:{number}: DeprecationWarning: this process has other threads than the one that forks (1: "
    assert all(line.startswith(text) for line in warned), warned


def test_many_threads_are_not_all_listed(check_program):
    assert check_program(NATIVE + """
go_on = threading.Event()
for i in range(40):
    threading.Thread(target=go_on.wait, name=str(i), daemon=True).start()
print(said())
go_on.set()
""") == "['40: 0, 1, 2, 3, 4, 5, 34 more']\n"


@pytest.mark.parametrize("module", ["tqdm._monitor", "IPython.core.history", "ipykernel.heartbeat", "snakefish._anything"])
def test_threads_that_are_harmless_at_a_fork_are_not_warned_of(check_program, module):
    assert check_program(NATIVE + f"""
go_on = threading.Event()
class Helper(threading.Thread):
    def run(self):
        go_on.wait()
Helper.__module__ = {module!r}
def wait():
    go_on.wait()
wait.__module__ = {module!r}
Helper(daemon=True).start()
threading.Thread(target=wait, daemon=True).start()
print(said())
threading.Thread(target=go_on.wait, name="painter", daemon=True).start()
print(said())
go_on.set()
""") == "[]\n['1: painter']\n"


def test_a_library_whose_threads_are_harmless_is_known_by_their_name(check_program, tmp_path):
    path = library(tmp_path, "libmessages.so", """
        #include <pthread.h>
        #include <sys/prctl.h>
        #include <unistd.h>
        static void *serve(void *unused) { prctl(PR_SET_NAME, "ZMQbg/IO/0"); for (;;) pause(); }
        void go(void) { pthread_t thread; pthread_create(&thread, 0, serve, 0); }
        """)
    assert check_program(NATIVE + f"""
ctypes.CDLL({str(path)!r}).go()
time.sleep(0.1)
print(said(), flush=True)
os._exit(0)
""") == "[]\n"


SPINNING = """
    #include <pthread.h>
    #include <time.h>
    #include <unistd.h>
    static void *serve(void *cpu_ns)
    {
        struct timespec now;
        do
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        while (now.tv_sec * 1000000000L + now.tv_nsec < (long)cpu_ns);
        usleep(500000);
        return 0;
    }
    void go(long cpu_ns) { pthread_t thread; pthread_create(&thread, 0, serve, (void *)cpu_ns); }
    """


def test_threads_of_openblas_are_harmless_also_while_they_spin(check_program, tmp_path):
    """It ends them in a handler of pthread_atfork. As many as it had asleep at once may run."""
    pool = library(tmp_path, "libopenblasp-r0.so", SPINNING)
    assert check_program(NATIVE + f"""
pool = ctypes.CDLL({str(pool)!r})
pool.go.argtypes = [ctypes.c_long]
pool.go(8_000_000)
print(said())
time.sleep(1)
pool.go(60_000_000_000)
print(said())
pool.go(60_000_000_000)
print(said(), flush=True)
os._exit(0)
""").splitlines() == ["[]", "[]", "['1: 1 of a library (perhaps libopenblasp-r0.so)']"]


def test_openblas_ends_its_threads_before_a_fork(check_program):
    """What the silence about its threads relies on."""
    pytest.importorskip("numpy")
    out = check_program(NATIVE + """
import numpy
a = numpy.ones((600, 600))
def work():
    return bool((a @ a == 600).all())
def threads():
    return len(os.listdir("/proc/self/task"))
work()
maps = open("/proc/self/maps").read()
before = threads()
if "openblas" in maps and "libgomp" not in maps and before > 1:
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            os._exit(not work())
        after = threads()
        assert after == 1, after
        assert work() and os.waitpid(pid, 0)[1] == 0
    print(said())
else:
    print("skip")
""", options=["-W", "ignore"])
    if out == "skip\n":
        pytest.skip("this numpy uses no OpenBLAS with threads of its own")
    assert out == "[]\n"


def test_a_thread_of_ours_that_had_not_named_itself_at_the_first_look_is_known_later(check_program):
    assert check_program(NATIVE + """
import _thread
_thread.start_new_thread(time.sleep, (30,))
time.sleep(0.1)
print(said())
other, = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
with open(f"/proc/self/task/{other}/comm", "w") as name:
    name.write("sf-test")
print(said())
""") == "['1: 1 of _thread.start_new_thread']\n[]\n"


def test_one_thread_costs_no_look_at_proc(check_program):
    assert check_program("""
        import sys, snakefish
        with snakefish.Thread(int) as t:
            t.start()
        print("snakefish._threads" in sys.modules)
        """) == "False\n"


def test_the_thread_that_asks_a_source_of_imap_is_not_warned_of(check_program):
    assert check_program(NATIVE + """
import itertools
with snakefish.imap(abs, itertools.count()) as results:
    next(results)
    print(said(), said(lambda: [next(results) for _ in range(100)]))
    threading.Thread(target=time.sleep, args=(30,), name="painter", daemon=True).start()
    print(said())
""") == "[] []\n['1: painter']\n"


def test_a_thread_that_forks_does_not_warn_of_itself_whoever_started_it(check_program):
    assert check_program(NATIVE + """
import _thread, faulthandler
faulthandler.dump_traceback_later(1000)  # a thread of the interpreter's own
done = threading.Event()
def inside():
    print(said())
    done.set()
_thread.start_new_thread(inside, ())
done.wait()
faulthandler.cancel_dump_traceback_later()
def halves():
    yield from snakefish.imap(lambda x: x // 2, iter(range(4)), 2)
print(said(lambda: print(list(snakefish.imap(abs, snakefish.imap(abs, iter(range(4)), 2), 2)))))
print(said(lambda: print(list(snakefish.imap(abs, halves(), 2)))))
""").splitlines() == ["['1: MainThread']", "[0, 1, 2, 3]", "[]", "[0, 0, 1, 1]", "[]"]
