"""Executor: cancel, shutdown, collection, the end of the program, Ctrl-C. Every future ends, and no worker stays."""
import concurrent.futures
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import PYPY, children, collect, finish_program, settles, start_program

import snakefish
from snakefish import Executor
from snakefish._executor_tasks import Task

LIMIT_S = 20


def occupy(executor, gate, count):
    """Tasks that keep so many workers busy until something is sent through the gate."""
    return [executor.submit(lambda: gate.receive_pyobj()) for _ in range(count)]


def release(gate, tasks):
    for _ in tasks:
        gate.send_pyobj("released")


# ---- cancel ----


def test_what_waits_can_be_cancelled_and_never_runs(gate):
    with Executor(1) as executor:
        busy = occupy(executor, gate, 1)
        tasks = [executor.submit(gate.send_pyobj, n) for n in range(20)]
        cancelled = [task.cancel() for task in tasks]
        assert cancelled[-1] and cancelled.count(True) >= 18  # max_workers + 1 are sent ahead
        assert tasks[-1].cancelled() and not busy[0].cancel()
        release(gate, busy)
        done, not_done = concurrent.futures.wait([*busy, *tasks], LIMIT_S)
        assert not not_done
    assert len(gate) == cancelled.count(False)


def test_shutdown_cancels_what_waits_on_request_and_finishes_the_rest(gate):
    executor = Executor(1)
    busy = occupy(executor, gate, 1)
    tasks = [executor.submit(abs, -n) for n in range(20)]
    executor.shutdown(wait=False, cancel_futures=True)
    release(gate, busy)
    executor.shutdown()
    assert busy[0].result(0) == "released"
    assert all(task.done() for task in tasks)
    assert sum(task.cancelled() for task in tasks) >= 18
    assert not children()


# ---- shutdown ----


def test_shutdown_finishes_what_was_submitted(gate):
    executor = Executor(2)
    tasks = [executor.submit(time.sleep, 0.05) for _ in range(10)]
    executor.shutdown()
    assert all(task.done() and task.result() is None for task in tasks)
    assert not children()


def test_shutdown_without_wait_returns_at_once_and_the_tasks_finish(gate):
    executor = Executor(2)
    busy = occupy(executor, gate, 2)
    more = executor.submit(abs, -5)
    executor.shutdown(wait=False)
    assert not any(task.done() for task in (*busy, more))
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(abs, -1)
    release(gate, busy)
    assert more.result(LIMIT_S) == 5
    executor.shutdown()
    assert not children()


def test_shutdown_may_be_called_again_and_by_several_and_by_a_callback():
    executor = Executor(1)
    executor.shutdown()
    executor.shutdown(cancel_futures=True)
    with Executor(1) as executor:
        ended = threading.Event()
        task = executor.submit(time.sleep, 0.2)
        task.add_done_callback(lambda _: (executor.shutdown(), ended.set()))
        others = [threading.Thread(target=executor.shutdown) for _ in range(3)]
        for other in others:
            other.start()
        for other in others:
            other.join(LIMIT_S)
        assert ended.wait(LIMIT_S) and task.done()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.refresh()


def test_an_executor_that_nobody_refers_to_finishes_and_ends_its_workers(gate):
    executor = Executor(2)
    tasks = [*occupy(executor, gate, 2), executor.submit(abs, -7)]
    del executor
    collect()
    assert len(children()) == 2
    release(gate, tasks[:2])
    assert tasks[2].result(LIMIT_S) == 7
    assert not settles(children)


def test_an_executor_that_was_never_used_leaves_nothing():
    threads = threading.active_count()
    executor = Executor(4)
    assert not children() and threading.active_count() == threads
    executor.shutdown()
    Executor(3)
    collect()
    assert not children() and threading.active_count() == threads


@pytest.fixture
def threads_meet_at_every_place():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_submissions_that_meet_a_shutdown_end_or_are_refused(threads_meet_at_every_place):
    for _ in range(20):
        executor = Executor(1)
        executor.submit(abs, 1).result(LIMIT_S)
        tasks, refused = [], threading.Event()

        def submit():
            try:
                while True:
                    tasks.append(executor.submit(abs, -1))  # noqa: B023
            except RuntimeError as error:
                assert "cannot schedule new futures after shutdown" in str(error)
                refused.set()  # noqa: B023

        thread = threading.Thread(target=submit)
        thread.start()
        time.sleep(0.01)
        executor.shutdown()
        thread.join(LIMIT_S)
        assert refused.is_set()
        assert all(task.result(LIMIT_S) == 1 for task in tasks)
        assert not children()


@pytest.mark.parametrize("is_used", [True, False])
def test_a_submission_that_a_shutdown_overtakes_is_refused(is_used):
    """The shutdown happens while submit() looks at the function."""
    class Slow:
        def __getattr__(self, name):
            if name == "__qualname__":
                executor.shutdown()
            raise AttributeError(name)

        def __call__(self):
            return 5

    executor = Executor(1)
    if is_used:
        executor.submit(abs, 1).result(LIMIT_S)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(Slow())
    assert not children()


def test_a_submission_that_the_end_overtakes_just_before_it_is_sent_is_refused():
    """The workers have been told to end by then, and one still lives."""
    executor = Executor(1)
    executor.submit(abs, 1).result(LIMIT_S)
    state = executor._state
    refuse, number = state.refuse, state.crew.number

    def end_first():
        refuse()
        state.refuse = refuse
        executor.shutdown()

    state.refuse = end_first
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(abs, -1)
    with pytest.raises(RuntimeError, match="have been"):
        state.crew.send(number(-1), object(), None)
    assert not children()


def test_a_crew_that_is_finished_takes_nothing_more_and_one_that_has_tasks_is_not_finished():
    with Executor(1) as executor:
        executor.submit(abs, 1).result(LIMIT_S)
        crew = executor._state.crew
        task = executor.submit(time.sleep, 0.5)
        assert not crew.finish()
        assert task.result(LIMIT_S) is None
        while crew.under_way:
            time.sleep(0.001)
        assert crew.finish()
        for more in (crew.start, lambda: crew.send(crew.number(-1), "a task", None)):
            with pytest.raises(RuntimeError, match="told to end"):
                more()
        assert crew.under_way == 0
    assert not children()


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_task_that_meets_the_end_is_run_or_refused_and_never_both(is_seen):
    """The manager closes, finds the task that another thread has just added, and goes on: that thread has seen `closed`."""
    executor = Executor(1)
    executor.submit(abs, 1).result(LIMIT_S)
    state, ran = executor._state, snakefish.Channel(1 << 16)
    task = Task(ran.send_pyobj, ("ran",), {})
    task.resolve(state.functions)
    state.shutdown = state.closed = True
    if is_seen:
        assert task.may_begin()
        state.add([task])
        assert list(state.waiting) in ([task], [])
    else:
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            state.add([task])
        assert task.future.cancelled() and not state.waiting
    state.closed = False
    executor.shutdown()
    assert len(ran) == is_seen and task.future.done()
    ran.dispose()


def test_many_tasks_leave_memory_and_descriptors_as_they_were():
    def resident_kib():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    with Executor(2) as executor:
        def run(count):
            for _ in range(count // 500):
                for task in [executor.submit(bytes, 1000) for _ in range(500)]:
                    assert len(task.result(LIMIT_S)) == 1000

        run(5000)
        collect()
        before = resident_kib(), len(os.listdir("/proc/self/fd")), len(children())
        run(10000)
        collect()
        after = resident_kib(), len(os.listdir("/proc/self/fd")), len(children())
        assert after[1:] == before[1:]
        assert after[0] - before[0] < (8192 if PYPY else 4096)


# ---- the end of the program ----


def test_the_end_of_the_program_finishes_what_was_queued(check_program):
    assert check_program("""
        import snakefish, time
        executor = snakefish.Executor(2)
        def say(n):
            time.sleep(0.05)
            print(n, flush=True)
        for n in range(6):
            executor.submit(say, n)
    """).split() and sorted(check_program("""
        import snakefish, time
        executor = snakefish.Executor(2)
        for n in range(6):
            executor.submit(lambda n: (time.sleep(0.05), print(n, flush=True)), n)
        del executor
    """).split()) == list("012345")


def test_a_task_cannot_be_submitted_at_the_end_of_the_program(check_program):
    assert check_program("""
        import atexit, snakefish
        @atexit.register
        def late():
            for make in (lambda: executor, lambda: snakefish.Executor(1)):
                try:
                    make().submit(abs, 1)
                except RuntimeError as error:
                    print(error)
        executor = snakefish.Executor(1)
        executor.submit(abs, 1).result()
    """) == "cannot schedule new futures after interpreter shutdown\n" * 2


def test_sys_exit_finishes_what_was_queued_and_keeps_the_status(run_program):
    ended = run_program("""
        import snakefish, sys, time
        executor = snakefish.Executor(1)
        for n in range(3):
            executor.submit(lambda n: (time.sleep(0.1), print(n, flush=True)), n)
        sys.exit(3)
    """)
    assert (ended.status, ended.stdout, ended.stderr) == (3, "0\n1\n2\n", "")


PROGRAMS = {
    "with": """
        import os, snakefish, sys, time
        with snakefish.Executor(2) as executor:
            tasks = [executor.submit(time.sleep, 30) for _ in range(6)]
            while len(executor._state.crew.claims()) < 2:
                time.sleep(0.01)
            print(*executor._state.crew.pids(), flush=True)
            tasks[0].result()
    """,
    "without with": """
        import os, snakefish, sys, time
        executor = snakefish.Executor(2)
        tasks = [executor.submit(time.sleep, 30) for _ in range(6)]
        while len(executor._state.crew.claims()) < 2:
            time.sleep(0.01)
        print(*executor._state.crew.pids(), flush=True)
        tasks[0].result()
    """,
    "map": """
        import os, snakefish, sys, time
        with snakefish.Executor(2) as executor:
            results = executor.map(time.sleep, [30] * 100)
            while len(executor._state.crew.claims()) < 2:
                time.sleep(0.01)
            print(*executor._state.crew.pids(), flush=True)
            next(results)
    """,
    "at its end": """
        import os, snakefish, sys, time
        executor = snakefish.Executor(2)
        tasks = [executor.submit(time.sleep, 30) for _ in range(6)]
        while len(executor._state.crew.claims()) < 2:
            time.sleep(0.01)
        print(*executor._state.crew.pids(), flush=True)
    """,
}


@pytest.mark.diagonal
@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "parent alone"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_ctrl_c_ends_all_within_a_second_with_one_traceback(name, whole_group):
    program = start_program(PROGRAMS[name])
    pids = list(map(int, program.stdout.readline().split()))
    assert len(pids) == 2
    time.sleep(0.3)
    begin = time.monotonic()
    (os.killpg if whole_group else os.kill)(program.pid, signal.SIGINT)
    ended = finish_program(program)
    assert time.monotonic() - begin < 3  # 1 s, and what a machine under load adds
    assert ended.stderr.count("Traceback (most recent call last)") == 1, ended.stderr
    assert "KeyboardInterrupt" in ended.stderr
    assert not settles(lambda: [pid for pid in pids if os.path.exists(f"/proc/{pid}")])


def test_tasks_go_on_when_the_program_takes_ctrl_c_for_itself():
    program = start_program("""
        import snakefish, sys, time
        def work(n):
            end = time.monotonic() + 1
            while time.monotonic() < end:
                pass
            return n
        with snakefish.Executor(2) as executor:
            tasks = [executor.submit(work, n) for n in range(4)]
            while len(executor._state.crew.claims()) < 2:
                time.sleep(0.01)
            print("ready", flush=True)
            try:
                time.sleep(30)
            except KeyboardInterrupt:
                print("heard", [task.result() for task in tasks])
    """)
    assert program.stdout.readline() == "ready\n"
    time.sleep(0.2)
    os.killpg(program.pid, signal.SIGINT)
    ended = finish_program(program)
    assert (ended.stdout, ended.stderr, ended.status) == ("heard [0, 1, 2, 3]\n", "", 0)


def test_programs_that_a_worker_starts_hear_ctrl_c():
    with Executor(1) as executor:
        source = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        output = executor.submit(subprocess.check_output, [sys.executable, "-c", source]).result(LIMIT_S)
    assert output.strip() == b"True"


def test_an_interrupted_submit_leaves_the_executor_usable():
    """Signal handlers raise at any place in submit()."""
    class Interruption(Exception):
        pass

    def interrupt(number, frame):
        raise Interruption

    old = signal.signal(signal.SIGALRM, interrupt)
    rest = signal.setitimer(signal.ITIMER_REAL, 0)
    tasks, interruptions = [], 0
    try:
        with Executor(2) as executor:
            end = time.monotonic() + 2
            while interruptions <= 20 or time.monotonic() < end:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.0003)
                    for n in range(1000):
                        tasks.append((n, executor.submit(abs, -n)))
                except Interruption:
                    interruptions += 1
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            for n, task in tasks:
                assert task.result(LIMIT_S) == n
    finally:
        signal.signal(signal.SIGALRM, old)
        signal.setitimer(signal.ITIMER_REAL, *rest)


@pytest.mark.parametrize("wait", [True, False])
def test_an_executor_whose_first_submission_was_interrupted_leaves_no_worker(wait):
    class Interruption(BaseException):
        pass

    def interrupt(*_):
        raise Interruption

    executor = Executor(2)
    executor._state.try_to_send = interrupt  # it is interrupted after the fork
    with pytest.raises(Interruption):
        executor.submit(abs, -1)
    assert len(children()) == 1
    executor.shutdown(wait=wait)
    assert not (children() if wait else settles(children))
    executor.shutdown()


def test_a_collection_anywhere_ends_an_executor():
    """The weak reference's callback runs wherever the garbage collector does, in the manager too."""
    for n in range(5):
        executor = Executor(1)
        loop = [executor]
        loop.append(loop)
        task = executor.submit(abs, -n)
        task.add_done_callback(lambda _: gc.collect())
        del executor, loop
        assert task.result(LIMIT_S) == n
    collect()
    assert not settles(children)
