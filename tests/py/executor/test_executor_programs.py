"""How a program with an Executor ends: each is a real program, and tells at its last line when that was reached."""
import os
import signal
import time

import pytest
from conftest import finish_program, run_the_program, start_program

BEGIN = """
import atexit, gc, os, signal, sys, threading, time
from concurrent.futures import wait
import snakefish
from snakefish import Executor

def say(*words, write=os.write):
    write(1, (" ".join(map(str, words)) + "\\n").encode())

def work(seconds, word):
    time.sleep(seconds)
    say(word)
    return word

def refused(submit, *arguments):
    try:
        submit(*arguments)
    except RuntimeError as error:
        say("cannot schedule new futures" in str(error) and "refused" or error)

def count_threads(limit_s=5):
    # one that was joined may be in the kernel for a moment
    end = time.monotonic() + limit_s
    while (count := len(os.listdir("/proc/self/task"))) > 1 and time.monotonic() < end:
        time.sleep(0.01)
    return count

def end():
    say("end", time.monotonic())

"""
SOON_S = 1.0  # after the last line or the last task, whichever is later
WORK_S = 0.3  # of one task


def parts(stdout):
    """What was said, without the last line's; and when that was."""
    lines = stdout.splitlines()
    ends = [line for line in lines if line.startswith("end ")]
    assert len(ends) == 1, stdout
    return [line for line in lines if line not in ends], float(ends[0].split()[1])


def check_end(source, said, work_s=0.0, tries=4):
    """Runs the program until it ends soon, because the machine may be busy. said: its lines, in any order, with | between
    them; or a function that looks at them."""
    for left in reversed(range(tries)):
        ended = run_the_program(BEGIN + source)
        now = time.monotonic()
        lines, end = parts(ended.stdout)
        assert said(lines) if callable(said) else sorted(lines) == sorted(filter(None, said.split("|"))), ended
        assert ended.status == 0 and not ended.stderr, ended
        if now - end < SOON_S + work_s:
            return
        assert left, f"it ended {now - end:.2f} s after its last line"


# ---- nothing stops the program from its end ----

QUEUED = "e = Executor(2)\nfutures = [e.submit(work, 0.1, n) for n in range(6)]\n"
RUNNING = f"e = Executor(2)\nfuture = e.submit(work, {WORK_S}, 'done')\n"

ENDS = {
    "never used": ("e = Executor(2)", ""),
    "idle": ("e = Executor(2)\ne.submit(work, 0, 'done').result()", "done"),
    "queued": (QUEUED, "0|1|2|3|4|5"),
    "running": (RUNNING, "done"),
    "future forgotten": (RUNNING + "del future", "done"),
    "collected, queued": (QUEUED + "del e\ngc.collect()", "0|1|2|3|4|5"),
    "collected, running": (RUNNING + "del e\ngc.collect()\nsay(future.result())", "done|done"),
    "collected in a cycle": (QUEUED + "class Node: pass\nnode = Node()\nnode.self, node.e = node, e\ndel e, node\n"
                                      "gc.collect()",
                             "0|1|2|3|4|5"),
    "collected, idle": ("e = Executor(2)\ne.submit(work, 0, 'done').result()\ndel e\ngc.collect()", "done"),
    "collected by a function's end": ("def f():\n    e = Executor(2)\n    e.submit(work, 0.1, 1)\n    e.submit(work, 0.1, 2)\n"
                                      "f()",
                                      "1|2"),
    "with": ("with Executor(2) as e:\n    e.submit(work, 0.1, 'done')\nsay(count_threads())", "done|1"),
    "shutdown": (QUEUED + "e.shutdown()\nrefused(e.submit, work, 0, 1)", "0|1|2|3|4|5|refused"),
    "shutdown without wait": (QUEUED + "e.shutdown(wait=False)\nrefused(e.submit, work, 0, 1)", "0|1|2|3|4|5|refused"),
    "shutdown without wait, idle": ("e = Executor(2)\ne.submit(work, 0, 'done').result()\ne.shutdown(wait=False)", "done"),
    "shutdown, collected": (QUEUED + "e.shutdown(wait=False)\ndel e\ngc.collect()", "0|1|2|3|4|5"),
    "cancel_futures": ("e = Executor(1)\nfutures = [e.submit(work, 0.3, n) for n in range(20)]\ntime.sleep(0.15)\n"
                       "e.shutdown(wait=False, cancel_futures=True)\nwait(futures)\n"
                       "say('some' if all(f.cancelled() for f in futures[5:]) and futures[0].result() == 0 else 'wrong')",
                        lambda lines: "some" in lines and "0" in lines and len(lines) <= 6),
    "cancelled": ("e = Executor(1)\nfutures = [e.submit(work, 0.05, n) for n in range(40)]\ntime.sleep(0.02)\n"
                  "say(futures[0].cancel(), all(f.cancel() for f in futures[8:]))",
                  lambda lines: "False True" in lines and "0" in lines and len(lines) <= 9),
    "cancelled, shutdown": ("e = Executor(1)\nfutures = [e.submit(work, 0.1, n) for n in range(40)]\n"
                            "say(all(f.cancel() for f in futures[8:]))\ne.shutdown()\nsay(sum(f.done() for f in futures))",
                            lambda lines: {"True", "40", "0"} < set(lines) and len(lines) <= 10),
    "shutdown twice": (QUEUED + "e.shutdown(wait=False)\ne.shutdown()\ne.shutdown(cancel_futures=True)", "0|1|2|3|4|5"),
    "shutdown by two": (QUEUED + "ts = [threading.Thread(target=e.shutdown) for _ in 'ab']\n[t.start() for t in ts]\n"
                        "[t.join() for t in ts]", "0|1|2|3|4|5"),
    "callback": ("e = Executor(1)\ne.submit(work, 0.1, 1).add_done_callback(lambda f: say('called', f.result()))", "1|called 1"),
    "callback submits": ("e = Executor(1)\nsecond = []\n"
                         "f = e.submit(work, 0.05, 1)\nf.add_done_callback(lambda f: second.append(e.submit(work, 0.05, 2)))\n"
                         "while not second: time.sleep(0.001)\nsay(second[0].result())", "1|2|2"),
    "callback shuts down": ("e = Executor(1)\nf = e.submit(work, 0.05, 1)\ng = e.submit(work, 0.05, 2)\n"
                            "f.add_done_callback(lambda f: e.shutdown(wait=False))\nsay(g.result())", "1|2|2"),
    "a worker's end": ("e = Executor(1)\nerror = e.submit(os._exit, 5).exception()\n"
                       "say(error.exit_status, e.submit(abs, -1).result())",
                       "5 1"),
    "an Executor in a worker": ("e = Executor(1)\n"
                                "def f():\n    inner = Executor(2)\n    return list(inner.map(abs, [-1, -2]))\n"
                                "say(*e.submit(f).result())", "1 2"),
    "an Executor in a worker, busy": ("e = Executor(1)\nkept = []\n"
                                      "def f():\n    kept.append(Executor(1))\n    kept[0].submit(time.sleep, 0.3)\n"
                                      "    return 'started'\nsay(e.submit(f).result())", "started"),
    "a Thread in a worker": ("e = Executor(1)\nkept = []\n"
                             "def f():\n    kept.append(snakefish.Thread(time.sleep, args=(0.3,)))\n    kept[0].start()\n"
                             "    return 'started'\nsay(e.submit(f).result())", "started"),
    "an Executor in a Thread": ("def f():\n    e = Executor(1)\n    return e.submit(abs, -3).result()\n"
                                "t = snakefish.Thread(f)\nt.start()\nt.join()\nsay(t.get_result())", "3"),
    "two": ("a, b = Executor(1), Executor(1)\n"
            "a.submit(abs, -1).add_done_callback(lambda f: b.submit(work, 0.05, 'b'))\na.submit(work, 0.1, 'a').result()", "a|b"),
    "at a map": ("e = Executor(2)\nresults = e.map(work, [0.05] * 4, range(4))\nsay('next', next(results))",
                 lambda lines: "next 0" in lines and "0" in lines),
    "a map's rest": ("e = Executor(2)\nresults = e.map(work, [0.05] * 4, range(4))\ndel e\nsay(*results)", "0|1|2|3|0 1 2 3"),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_was_queued_is_finished_and_the_program_ends_soon(name):
    source, said = ENDS[name]
    check_end(source + "\nend()", said, work_s=WORK_S)


# ---- something does ----

FAILURES = {
    "exception": ("end()\nraise LookupError('in main')", 1, 1),
    "exception in with": ("with e:\n    end()\n    raise LookupError('in main')", 1, 1),
    "sys.exit": ("end()\nsys.exit(3)", 3, 0),
    "sys.exit in with": ("with e:\n    end()\n    sys.exit(3)", 3, 0),
    "SystemExit of a handler": ("def handler(*_):\n    end()\n    sys.exit(3)\nsignal.signal(signal.SIGALRM, handler)\n"
                                "signal.setitimer(signal.ITIMER_REAL, 0.05)\nwait(futures)", 3, 0),
    "exception of a task": ("end()\ne.submit(int, 'x').result()", 1, None),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_of_the_program_leaves_what_was_queued_to_be_finished(name):
    source, status, tracebacks = FAILURES[name]
    ended = run_the_program(BEGIN + QUEUED + source)
    lines, _ = parts(ended.stdout)
    assert (sorted(lines), ended.status) == (list("012345"), status), ended
    assert tracebacks is None or ended.stderr.count("Traceback") == tracebacks, ended


@pytest.mark.parametrize("ending", ["os._exit(4)", "os.kill(os.getpid(), signal.SIGKILL)", "os.kill(os.getpid(), signal.SIGTERM)",
                                    "os.execv('/bin/sh', ['sh', '-c', 'exit 4'])"])
@pytest.mark.parametrize("state", ["running", "idle", "both"])
def test_workers_end_with_a_program_that_skips_its_end(ending, state):
    """They hold its output, which finish_program waits for."""
    source = {"running": "e = Executor(2)\n[e.submit(time.sleep, 60) for _ in range(6)]\ntime.sleep(0.2)\n",
              "idle": "e = Executor(2)\nlist(e.map(abs, range(4), chunksize=1))\n",
              "both": "e = Executor(2)\ne.submit(abs, 1).result()\ne.submit(time.sleep, 60)\n"}[state]
    for left in reversed(range(4)):
        ended = run_the_program(BEGIN + source + "end()\n" + ending, limit_s=20)
        now = time.monotonic()
        lines, end = parts(ended.stdout)
        assert lines == [] and ended.status in (4, -signal.SIGKILL, -signal.SIGTERM) and not ended.stderr, ended
        if now - end < SOON_S:
            return
        assert left, f"they ended {now - end:.2f} s later"


# ---- submit, when it is too late ----

LATE = {
    "atexit, registered before": ("atexit.register(lambda: refused(e.submit, abs, 1))\n" + QUEUED, "0|1|2|3|4|5|refused"),
    "atexit, registered after": (QUEUED + "atexit.register(lambda: refused(e.submit, abs, 1))\n", "0|1|2|3|4|5|refused"),
    "atexit, map": (QUEUED + "atexit.register(lambda: refused(lambda: list(e.map(abs, [1, 2]))))\n", "0|1|2|3|4|5|refused"),
    "atexit, never used": ("e = Executor(2)\natexit.register(lambda: refused(e.submit, abs, 1))\n", "refused"),
    "atexit, a new one": ("atexit.register(lambda: refused(lambda: Executor(2).submit(abs, 1)))\n", "refused"),
    "atexit, shutdown": (QUEUED + "atexit.register(e.shutdown)\n", "0|1|2|3|4|5"),
    "atexit, results": (QUEUED + "atexit.register(lambda: say(sum(f.result() for f in futures)))\n", "0|1|2|3|4|5|15"),
    "a callback": (RUNNING + "future.add_done_callback(lambda f: refused(e.submit, abs, 1))\n", "done|refused"),
    "another thread": (
        "e = Executor(2)\nready = threading.Event()\n"
        "def go_on():\n"
        "    try:\n"
        "        while True:\n            e.submit(abs, -1).result()\n            ready.set()\n"
        "    except RuntimeError as error:\n"
        "        say('cannot schedule new futures' in str(error) and 'refused' or error)\n"
        "threads = [threading.Thread(target=go_on) for _ in range(3)]\n[t.start() for t in threads]\nready.wait()\n",
        "refused|refused|refused"),
}


@pytest.mark.parametrize("name", LATE)
@pytest.mark.filterwarnings("ignore")
def test_submit_at_the_programs_end_is_refused_and_what_was_queued_is_finished(name):
    source, said = LATE[name]
    check_end("import warnings\nwarnings.simplefilter('ignore')\n" + source + "end()", said, work_s=WORK_S)


def test_a_daemon_thread_that_submits_without_a_pause_does_not_keep_the_program():
    """Its last submit may come at any moment of the end: it is refused, finished or stopped with its thread."""
    source = """
import warnings
warnings.simplefilter("ignore")
e = Executor(2)
ready = threading.Event()
def go_on():
    try:
        for n in range(10**9):
            futures = [e.submit(abs, -n) for _ in range(20)]
            assert [f.result() for f in futures] == [n] * 20
            ready.set()
    except RuntimeError:
        pass
for _ in range(3):
    threading.Thread(target=go_on, daemon=True).start()
ready.wait()
end()
"""
    check_end(source, "")


# ---- processes forked from it ----

def test_a_forked_child_is_refused_at_once_and_its_end_leaves_the_parents_executor_alone():
    check_end(QUEUED + """
import warnings
warnings.simplefilter("ignore")
pid = os.fork()
if pid == 0:
    try:
        e.submit(abs, 1)
    except RuntimeError as error:
        say(str(os.getppid()) in str(error) and "child")
    e.shutdown(wait=False)
    del e
    gc.collect()
    sys.exit(7)
say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if sys.version_info >= (3, 9) else 7)
say(e.submit(abs, -9).result())
end()""", "0|1|2|3|4|5|child|7|9", work_s=WORK_S)


@pytest.mark.parametrize("how", ["sys.exit(7)", "raise LookupError", "os._exit(7)"])
def test_a_forked_child_ends_at_once_while_the_parents_workers_are_busy(how):
    """It waits for nothing that is its parent's."""
    ended = run_the_program(BEGIN + f"""
import warnings
warnings.simplefilter("ignore")
e = Executor(1)
f = e.submit(time.sleep, 2)
started = time.monotonic()
pid = os.fork()
if pid == 0:
    {how}
os.waitpid(pid, 0)
say(time.monotonic() - started < 1.5, f.done(), f.result())
""")
    assert ended.stdout == "True False None\n" and ended.status == 0, ended


@pytest.mark.parametrize("make", ["snakefish.Thread(f)", "multiprocessing.get_context('fork').Process(target=f)"])
def test_a_child_of_a_library_ends_as_if_there_were_no_executor(make):
    check_end(QUEUED + f"""
import multiprocessing, warnings
warnings.simplefilter("ignore")
def f():
    try:
        e.submit(abs, 1)
    except RuntimeError:
        say("child")
p = {make}
p.start()
p.join()
say(getattr(p, "exitcode", 0))
end()""", "0|1|2|3|4|5|child|0", work_s=WORK_S)


def test_a_fork_in_the_middle_of_submits_of_other_threads_leaves_both_usable():
    """Whatever lock another thread holds at that moment, the child neither waits for it nor keeps it."""
    ended = run_the_program(BEGIN + """
import warnings
warnings.simplefilter("ignore")
e = Executor(2)
stop = threading.Event()
counts = [0, 0, 0]
def go_on(slot):
    while not stop.is_set():
        assert e.submit(abs, -1).result() == 1
        counts[slot] += 1
threads = [threading.Thread(target=go_on, args=(slot,)) for slot in range(3)]
[t.start() for t in threads]
for n in range(30):
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        try:
            e.submit(abs, 1)
        except RuntimeError:
            with Executor(1) as own:
                os._exit(own.submit(abs, -7).result())
        os._exit(1)
    status = os.WEXITSTATUS(os.waitpid(pid, 0)[1])
    assert status == 7, status
stop.set()
[t.join() for t in threads]
say(all(counts), e.submit(abs, -2).result())
""", limit_s=50)
    assert ended.stdout == "True 2\n" and ended.stderr == "" and ended.status == 0, ended


# ---- a handler ----

@pytest.mark.parametrize("call", ["e.submit(work, 0, 'handled')", "e.shutdown(wait=False)", "e.shutdown()",
                                  "e.shutdown(cancel_futures=True)", "[f.cancel() for f in futures]", "wait(futures)",
                                  "sys.exit(0)"])
@pytest.mark.parametrize("during", ["submit", "result", "shutdown", "map"])
def test_a_signal_handler_may_call_it_during_any_call(call, during):
    """The program ends, and every future with it; what an operation is refused for is a RuntimeError."""
    ended = run_the_program(BEGIN + f"""
e = Executor(2)
futures = []
def handler(*_):
    handler.calls += 1
    try:
        {call}
    except RuntimeError:
        pass
handler.calls = 0
signal.signal(signal.SIGALRM, handler)
during = {during!r}
try:
    for n in range(3):
        futures.append(e.submit(time.sleep, 0.05))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    if during == "submit":
        while not handler.calls:
            futures.append(e.submit(abs, -1))
            if len(futures) % 64 == 0:
                wait(futures)
    elif during == "result":
        futures[2].result()
    elif during == "shutdown":
        e.shutdown()
    else:
        list(e.map(time.sleep, [0.01] * 10))
except Exception as error:
    if not isinstance(error, RuntimeError) and type(error).__name__ != "CancelledError":
        raise
finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.write(1, b"called\\n" if handler.calls == 1 else b"not called\\n")
if {call!r} != "sys.exit(0)":
    wait(futures)
    e.shutdown()
    say(all(f.done() for f in futures))
end()
""")
    lines = [line for line in ended.stdout.splitlines() if not line.startswith("end ") and line != "handled"]
    assert ended.status == 0 and lines in (["called", "True"], ["called"]), ended
    assert ended.stderr == "", ended


@pytest.mark.parametrize("call", ["e.shutdown()", "wait([future])"])
def test_a_signal_handler_at_the_begin_of_a_wait_for_a_result_may_wait_for_the_manager(call):
    """Who waits first takes the result without the manager, and holds no lock that the manager needs."""
    ended = run_the_program(BEGIN + f"""
e = Executor(1)
assert e.submit(abs, -1).result() == 1
future = e.submit(time.sleep, 0.2)
def handler(*_):
    {call}
    say("handled", future.done())
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.004)
future.result()
signal.setitimer(signal.ITIMER_REAL, 0)
e.shutdown()
""")
    assert (ended.stdout, ended.stderr, ended.status) == ("handled True\n", "", 0), ended


# ---- the same, from outside ----

def test_sigterm_of_the_whole_group_ends_all_of_it():
    program = start_program(BEGIN + "e = Executor(2)\n[e.submit(time.sleep, 60) for _ in range(4)]\nsay('ready')\ntime.sleep(60)")
    assert program.stdout.readline() == "ready\n"
    os.killpg(program.pid, signal.SIGTERM)
    ended = finish_program(program, 10)
    assert ended.status == -signal.SIGTERM and ended.stderr == "", ended
