"""trace.start() and trace.stop() that a signal handler interrupts: nothing is left of a start, and a stop is called again."""

import pytest
from databases import TRACER, Database

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")

SWEEP = """
import os, signal, sqlite3, sys, time, snakefish
from snakefish import trace

class Deadline(Exception):
    pass

deadline = Deadline()

def raise_it(*unused):
    raise deadline

signal.signal(signal.SIGALRM, raise_it)
path, interrupted, children = sys.argv[1], 0, f"/proc/self/task/{os.getpid()}/children"

def sessions():
    return {name for name in os.listdir("/dev/shm") if name.startswith("snakefish-")} - others

def interrupt_after(seconds, call):
    '''Whether the exception came out of the call.'''
    global interrupted
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Deadline as error:
        handled = error.__context__  # os.environ.get() handles a KeyError of its own
        assert error is deadline and (handled is None or type(handled) is KeyError), repr(handled)
        error.__context__ = None
        interrupted += 1
        return True
    return False

def check_nothing_is_left():
    assert not trace.enabled() and "SNAKEFISH_TRACE_SESSION" not in os.environ
    with open(children) as file:
        assert not file.read(), "a child is left"
    assert not sessions(), sessions()
    assert len(os.listdir("/proc/self/fd")) == descriptors

others = set()
others = sessions()
trace.start(path)
trace.stop()
descriptors = len(os.listdir("/proc/self/fd"))
def time_start():
    begun = time.perf_counter()
    trace.start(path)
    took = time.perf_counter() - begun
    trace.stop()
    return took
took = min(time_start() for _ in range(3))  # a busy machine makes one longer, and then most delays would be too long
STEPS = 80
def delays(seconds):
    return [(step + 1) * 1.2 * seconds / STEPS for step in range(STEPS)]
"""


def test_nothing_is_left_of_a_start_that_was_interrupted_at_any_moment(check_program, tmp_path):
    out = check_program(SWEEP + """
for seconds in delays(took):
    if not interrupt_after(seconds, lambda: trace.start(path)):
        trace.stop()
    elif trace.enabled():  # between its return and the end of the lambda
        trace.stop()
    check_nothing_is_left()
with trace.session(path):
    trace.mark("after all")
check_nothing_is_left()
print(interrupted)
""", tmp_path / "run.db")
    assert int(out) > 10
    with Database(tmp_path / "run.db") as db:
        assert db.rows("SELECT text FROM text") == [("after all",)]


def test_nothing_is_left_of_a_block_whose_session_was_interrupted_at_any_moment(check_program, tmp_path):
    out = check_program(SWEEP + """
def block():
    with trace.session(path):
        pass
for seconds in delays(2 * took):
    if interrupt_after(seconds, block):
        try:
            trace.stop()  # if it was interrupted itself
        except RuntimeError as error:
            assert "has not started" in str(error), error
    check_nothing_is_left()
print(interrupted)
""", tmp_path / "run.db")
    assert int(out) > 10


def test_a_stop_that_was_interrupted_can_be_called_again_and_completes_the_database(check_program, tmp_path):
    out = check_program(SWEEP + """
again = 0
for n, seconds in enumerate(delays(took)):
    trace.start(path)
    trace.mark(f"mark {n}")
    if interrupt_after(seconds, trace.stop):
        try:
            trace.start(path)
        except RuntimeError as error:  # it says what to do
            assert "trace.stop()" in str(error)
            trace.stop()
            again += 1
        else:  # the deadline had passed when it was done
            trace.stop()
            trace.start(path)
            trace.mark(f"mark {n}")
            trace.stop()
    check_nothing_is_left()
    db = sqlite3.connect(path)
    assert db.execute("SELECT text FROM text").fetchall() == [(f"mark {n}",)]
    assert db.execute("SELECT value FROM meta WHERE key = 'state'").fetchall() == [("complete",)]
    db.close()
print(again)
""", tmp_path / "run.db")
    assert int(out) > 0


def test_an_interrupted_stop_is_completed_at_the_end_of_the_program(run_program, tmp_path):
    ended = run_program(SWEEP + """
import subprocess
trace.start(path)
trace.mark("mark")
collector = os.environ["SNAKEFISH_TRACE_SESSION"].split("-")[1]
os.kill(int(collector), signal.SIGSTOP)
assert interrupt_after(0.05, trace.stop)
assert not trace.enabled()
subprocess.Popen(["sh", "-c", f"sleep 1; kill -CONT {collector}"], stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL)
""", tmp_path / "run.db")
    assert ended.status == 0 and "Traceback" not in ended.stderr, ended
    with Database(tmp_path / "run.db") as db:
        assert db.rows("SELECT text FROM text") == [("mark",)]
        assert db.rows("SELECT value FROM meta WHERE key = 'state'") == [("complete",)]


@pytest.mark.parametrize("text", ["exec sleep 60", "echo session /dev/shm; exec sleep 60"])
def test_a_collector_that_does_not_come_is_waited_for_until_a_handler_raises(check_program, tmp_path, text):
    fake = tmp_path / "snakefish-trace"
    fake.write_text(f"#!/bin/sh\n{text}\n")
    fake.chmod(0o755)
    check_program(SWEEP + """
real = trace._find_collector
trace._find_collector = lambda: sys.argv[2]
begun = time.monotonic()
assert interrupt_after(0.3, lambda: trace.start(path))
assert time.monotonic() - begun < 8
check_nothing_is_left()
trace._find_collector = real
with trace.session(path):
    pass
""", tmp_path / "run.db", fake)


def test_a_collector_whose_session_cannot_be_joined_is_ended(check_program, tmp_path):
    check_program(SWEEP + """
real = trace._process_name
trace._process_name = lambda: 1 / 0
try:
    trace.start(path)
except ZeroDivisionError:
    check_nothing_is_left()
trace._process_name = real
with trace.session(path):
    pass
""", tmp_path / "run.db")


def test_an_import_that_starts_a_trace_can_be_interrupted_and_repeated(run_program, tmp_path):
    ended = run_program("""
        import os, signal, time
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        def run(delay, tell):
            status, begun = 0, time.perf_counter()
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                import snakefish
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                with open(f"/proc/self/task/{os.getpid()}/children") as children:
                    status = 2 if children.read() else 1
                import snakefish
            os.write(tell, str(time.perf_counter() - begun).encode())
            if not snakefish.trace.enabled():
                status = 3
            snakefish.trace.stop()
            return status
        def run_in_child(delay):
            told, tell = os.pipe()
            pid = os.fork()
            if pid == 0:
                os._exit(run(delay, tell))
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            return float(os.read(told, 100))
        took = run_in_child(0)  # no timer
        for step in range(40):
            run_in_child((step + 1) * 1.2 * took / 40)
        """, env={"SNAKEFISH_TRACE": tmp_path / "run.db"})
    assert ended.status == 0 and set(ended.stdout.split()) == {"0", "1"}, ended


def test_a_start_does_not_wait_for_processes_that_another_thread_forks_meanwhile(check_program, tmp_path):
    check_program("""
        import os, sys, threading, time
        from snakefish import trace
        stop, pids, (read_end, write_end) = threading.Event(), [], os.pipe()
        def fork():
            while not stop.is_set() and len(pids) < 300:
                pid = os.fork()
                if pid == 0:
                    os.close(write_end)
                    os.read(read_end, 1)  # until the parent closes it
                    os._exit(0)
                pids.append(pid)
        thread = threading.Thread(target=fork)
        thread.start()
        for _ in range(10):
            begun = time.monotonic()
            trace.start(sys.argv[1])
            trace.stop()
            assert time.monotonic() - begun < 20
        stop.set()
        thread.join()
        os.close(write_end)
        for pid in pids:
            os.waitpid(pid, 0)
        """, tmp_path / "run.db", options=["-W", "ignore"])


def test_stops_in_two_threads_in_the_middle_of_a_start_leave_no_process(check_program, tmp_path):
    check_program("""
import os, sys, threading, snakefish
from snakefish import trace

def stop_all_the_time():
    while not ended:
        try:
            trace.stop()
        except RuntimeError as error:
            assert "has not started tracing" in str(error) or "meanwhile" in str(error) or "died" in str(error), error

ended, path = False, sys.argv[1]
sys.setswitchinterval(1e-4)
threads = [threading.Thread(target=stop_all_the_time) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(40):
    try:
        trace.start(path)
    except RuntimeError:  # it was stopped in the middle
        pass
ended = True
for thread in threads:
    thread.join()
if trace.enabled():
    trace.stop()
with open(f"/proc/self/task/{os.getpid()}/children") as children:
    assert children.read() == ""
""", tmp_path / "run.db")
