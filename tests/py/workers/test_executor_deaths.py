"""Executor: workers that die, by themselves, by others or by their time limit. Only the task that was running fails."""
import concurrent.futures
import os
import random
import signal
import sys
import threading
import time

import pytest
from conftest import children, settles
from matrix import first

import snakefish
from snakefish import ChildDied, Executor, WorkerDied

LIMIT_S = 20


def pid_after(gate):
    """In a worker: says its pid, then waits."""
    gate.send_pyobj(os.getpid())
    time.sleep(LIMIT_S)


@pytest.mark.parametrize("end, status, words", [
    (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL, "signal 9"),
    (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM, "signal 15"),
    (lambda: os._exit(3), 3, "exit status 3"),
    (lambda: sys.exit(4), 4, "exit status 4"),
])
def test_a_worker_that_dies_is_told_with_how_and_at_which_task(executor, end, status, words):
    future = executor.submit(lambda x: end(), x=[6])
    with pytest.raises(WorkerDied, match=words) as raised:
        future.result(LIMIT_S)
    died = raised.value
    assert isinstance(died, concurrent.futures.BrokenExecutor) and isinstance(died, ChildDied)
    assert died.exit_status == status and died.signal == (-status if status < 0 else None)
    assert "<lambda>(x=[6])" in died.task and died.task in str(died) and str(died.pid) in str(died)
    assert died.name == "executor worker 1"
    assert executor.submit(abs, -1).result(LIMIT_S) == 1


def test_only_the_task_that_was_running_fails_and_the_worker_is_replaced(executor, gate):
    tasks = [executor.submit(lambda: pid_after(gate)) for _ in range(2)]
    waiting = [executor.submit(abs, -n) for n in range(20)]
    pids = [gate.receive_pyobj(timeout=LIMIT_S) for _ in tasks]
    os.kill(pids[0], signal.SIGKILL)
    assert [task.result(LIMIT_S) for task in waiting] == list(range(20))
    ended = [task for task in tasks if task.done()]
    assert len(ended) == 1 and ended[0].exception().pid == pids[0]
    os.kill(pids[1], signal.SIGKILL)
    with pytest.raises(WorkerDied):
        [task.result(LIMIT_S) for task in tasks]


def test_workers_that_are_killed_while_idle_cost_nothing(executor):
    for _ in range(30):
        pid = executor.submit(os.getpid).result(LIMIT_S)
        os.kill(pid, signal.SIGKILL)
    assert executor.submit(abs, -1).result(LIMIT_S) == 1


def test_a_worker_that_ends_right_before_a_task_is_sent_is_replaced(executor, gate, monkeypatch):
    """Before it is sent, the manager does not miss the worker; afterwards nothing else comes that would make it look."""
    busy, state = executor.submit(gate.receive_pyobj), executor._state
    begin = state.begin

    def begin_and_end():
        begin()
        state.new_generation()  # who is idle ends
        assert not settles(lambda: state.crew.alive > 1)
        time.sleep(0.1)  # the manager sleeps again

    assert not settles(lambda: not state.crew.claims())
    monkeypatch.setattr(state, "begin", begin_and_end)
    task = executor.submit(abs, -2)
    monkeypatch.undo()
    try:
        assert task.result(LIMIT_S) == 2
    finally:
        gate.send_pyobj("finished")
    assert busy.result(LIMIT_S) == "finished"


@pytest.mark.parametrize("seed", first(1, range(3)))
def test_workers_that_are_killed_at_random_lose_exactly_their_tasks(seed):
    rng = random.Random(seed)
    end = time.monotonic() + 4
    killed = failed = 0
    with Executor(3) as executor:
        while killed <= 5 or time.monotonic() < end:
            tasks = [executor.submit(spin, rng.random() * 0.002, n) for n in range(30)]
            for pid in rng.sample(executor._state.crew.pids(), rng.randrange(2)):
                time.sleep(rng.random() * 0.02)
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass
            for n, task in enumerate(tasks):
                try:
                    assert task.result(LIMIT_S) == n
                except WorkerDied as died:
                    assert died.exit_status == -signal.SIGKILL and f", {n})" in died.task
                    failed += 1
    assert failed <= killed


def spin(seconds, value):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    return value


def test_a_worker_that_is_killed_when_a_task_reaches_it_loses_that_one_or_none():
    """A task that it had not begun runs in another worker."""
    rng = random.Random(5)
    with Executor(1) as executor:
        for _ in range(40):
            pid = executor.submit(os.getpid).result(LIMIT_S)
            until = time.perf_counter() + rng.random() * 150e-6
            task = executor.submit(os.getpid)
            while time.perf_counter() < until:
                pass
            os.kill(pid, signal.SIGKILL)
            try:
                task.result(LIMIT_S)
            except WorkerDied as died:
                assert died.pid == pid


def test_workers_that_always_die_break_the_executor():
    with Executor(1, initializer=os._exit, initargs=(7,)) as executor:
        future = executor.submit(abs, -1)
        with pytest.raises(concurrent.futures.BrokenExecutor, match="in a row.*exit status 7"):
            future.result(LIMIT_S)
        with pytest.raises(concurrent.futures.BrokenExecutor):
            executor.submit(abs, -1)
    assert not settles(children)


def test_an_initializer_that_raises_breaks_the_executor():
    def fail(word):
        raise LookupError(word)

    with Executor(2, initializer=fail, initargs=("there",)) as executor:
        tasks = [executor.submit(abs, -1)]
        try:
            tasks.append(executor.submit(abs, -2))
        except concurrent.futures.BrokenExecutor:
            pass  # the first worker was quick
        for task in tasks:
            with pytest.raises(concurrent.futures.BrokenExecutor, match="initializer") as raised:
                task.result(LIMIT_S)
            assert isinstance(raised.value.__cause__, LookupError) and raised.value.__cause__.args == ("there",)
            assert "in fail" in str(raised.value.__cause__.__cause__)
        with pytest.raises(concurrent.futures.BrokenExecutor, match="initializer"):
            executor.submit(abs, -1)
    assert not children()


def test_all_workers_are_alike_whichever_thread_has_forked_them(executor):
    """A new thread is a daemon if its parent is."""
    def look():
        this = threading.current_thread()
        return this.name, this is threading.main_thread(), threading.Thread().daemon, os.getpid()

    first = executor.submit(look).result(LIMIT_S)
    os.kill(first[-1], signal.SIGKILL)
    second = executor.submit(look).result(LIMIT_S)  # a fork by the manager
    assert first[:3] == second[:3] == ("MainThread", True, False) and first != second


# ---- task_timeout ----


def test_a_task_that_takes_too_long_is_ended_and_named():
    with Executor(2, task_timeout=0.3) as executor:
        begin = time.monotonic()
        slow = executor.submit(time.sleep, 30)
        quick = [executor.submit(abs, -n) for n in range(10)]
        with pytest.raises(TimeoutError, match=r"sleep\(30\).*task_timeout=0.3"):
            slow.result(LIMIT_S)
        assert 0.3 <= time.monotonic() - begin < 5
        assert [task.result(LIMIT_S) for task in quick] == list(range(10))
        assert executor.submit(abs, -1).result(LIMIT_S) == 1


def test_the_time_limit_is_each_tasks_own_and_not_that_of_its_waiting():
    with Executor(1, task_timeout=1.0) as executor:
        tasks = [executor.submit(time.sleep, 0.2) for _ in range(10)]
        assert [task.result(LIMIT_S) for task in tasks] == [None] * 10


def test_a_time_limit_ends_the_task_that_is_late_and_never_the_next_one():
    """Tasks end near their limit, so that a worker goes on to the next one while it is about to be killed."""
    with Executor(2, task_timeout=0.02) as executor:
        for _ in range(10):
            tasks = [(seconds, executor.submit(spin, seconds, 5)) for seconds in (0.0199, 0.02, 0, 0.021, 0, 0) * 3]
            for seconds, task in tasks:
                try:
                    assert task.result(LIMIT_S) == 5
                except TimeoutError:
                    assert seconds > 0 or time_was_short(task), seconds


def time_was_short(task):
    """A machine under load may leave a worker no CPU for the whole limit; then its task is late indeed."""
    return "task_timeout" in str(task.exception())


def test_a_time_limit_holds_for_what_unpickling_an_argument_does():
    class Slow:
        def __reduce__(self):
            return time.sleep, (30,)

    with Executor(1, task_timeout=0.3) as executor:
        with pytest.raises(TimeoutError, match="task_timeout"):
            executor.submit(repr, Slow()).result(LIMIT_S)


# ---- forks, and other processes ----


def test_a_forked_child_is_told_whose_it_is_and_waits_for_nothing(executor):
    executor.submit(abs, 1).result(LIMIT_S)

    def child():
        for call in (lambda: executor.submit(abs, 1), executor.refresh):
            with pytest.raises(RuntimeError, match=f"process {os.getppid()}"):
                call()
        executor.shutdown()
        return "done"

    with snakefish.Thread(child) as thread:
        thread.start()
    assert thread.get_result() == "done"
    with pytest.raises(RuntimeError, match=f"process {os.getpid()}"):
        executor.submit(child_submits, Holder(executor)).result(LIMIT_S)
    assert executor.submit(abs, -1).result(LIMIT_S) == 1


class Holder:
    def __init__(self, executor):
        Holder.executor = executor


def child_submits(_):
    return Holder.executor.submit(abs, 1)


def test_a_program_that_forks_ends_in_both_processes(check_program):
    said = check_program("""
        import os, snakefish, time, warnings
        executor = snakefish.Executor(2)
        tasks = [executor.submit(lambda n=n: (time.sleep(0.1), n)[1]) for n in range(4)]
        warnings.simplefilter("ignore", DeprecationWarning)  # os.fork's own, of the manager's thread
        pid = os.fork()
        if pid == 0:
            try:
                executor.submit(abs, 1)
            except RuntimeError as error:
                print("process" in str(error), flush=True)
            del executor
            raise SystemExit(5)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), [task.result() for task in tasks])
    """)
    assert said == "True\n5 [0, 1, 2, 3]\n"


def test_a_child_has_executors_of_its_own(executor):
    def child():
        with Executor(2) as own:
            return list(own.map(abs, [-1, -2]))

    assert executor.submit(child).result(LIMIT_S) == [1, 2]
    with snakefish.Thread(child) as thread:
        thread.start()
    assert thread.get_result() == [1, 2]


def test_workers_die_with_the_program(run_program):
    ended = run_program("""
        import os, signal, snakefish, time
        executor = snakefish.Executor(2)
        pids = [executor.submit(os.getpid).result()]
        executor.submit(time.sleep, 60)
        print(*executor._state.crew.pids(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    pids = list(map(int, ended.stdout.split()))
    assert pids and ended.status == -signal.SIGKILL

    def alive():
        return [pid for pid in pids if os.path.exists(f"/proc/{pid}") and "Z" not in open(f"/proc/{pid}/stat").read()]

    assert not settles(alive)


def test_forks_by_the_manager_warn_of_nothing(check_program):
    assert check_program("""
        import os, signal, snakefish
        with snakefish.Executor(2) as executor:
            for _ in range(3):
                os.kill(executor.submit(os.getpid).result(), signal.SIGKILL)
                print(executor.submit(abs, -1).result())
                print(executor.submit(lambda: 2).result())
    """, options=["-W", "error"]) == "1\n2\n" * 3


def test_threads_that_submit_while_workers_die(executor):
    stop = threading.Event()

    def kill():
        while not stop.wait(0.02):
            for pid in executor._state.crew.pids()[:1]:
                os.kill(pid, signal.SIGKILL)

    outcomes = []

    def submit():
        for n in range(60):
            try:
                outcomes.append(executor.submit(spin, 0.001, n).result(LIMIT_S) == n)
            except WorkerDied:
                outcomes.append(True)

    killer, *threads = [threading.Thread(target=target) for target in (kill, submit, submit)]
    for thread in (killer, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    killer.join()
    assert outcomes == [True] * 120
