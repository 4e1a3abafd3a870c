"""Executor: what programs, other threads and want of resources do to it at a bad moment. Every future ends, the workers
end, and what cannot be done is said."""
import concurrent.futures
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import types

import pytest
from conftest import PYPY, check_refused_in_a_fork, children, collect, descriptors, settles
from matrix import first

import snakefish
from snakefish import Executor, WorkerDied
from snakefish._executor_functions import Functions

LIMIT_S = 20


def outcomes(futures):
    return [future.exception(LIMIT_S) or future.result() for future in futures]


# ---- futures whose state the program sets ----


def test_a_waiting_future_that_the_program_has_given_an_outcome_stays_as_it_is(gate, caplog):
    with Executor(1) as executor:
        busy = executor.submit(lambda: gate.receive_pyobj())
        tasks = [executor.submit(abs, -n) for n in range(8)]
        tasks[5].set_result("mine")
        gate.send_pyobj(None)
        assert outcomes(tasks) == [0, 1, 2, 3, 4, "mine", 6, 7]
        assert busy.done()


def test_a_waiting_future_that_the_program_has_set_running_is_run(gate, caplog):
    with Executor(1) as executor:
        executor.submit(lambda: gate.receive_pyobj())
        tasks = [executor.submit(abs, -n) for n in range(8)]
        assert tasks[5].set_running_or_notify_cancel()
        gate.send_pyobj(None)
        assert outcomes(tasks) == list(range(8))


@pytest.mark.parametrize("with_map", [False, True])
def test_a_callback_of_a_cancelled_future_may_raise_anything(gate, capsys, with_map):
    def fail(_):
        sys.exit("raised in a callback")

    executor = Executor(1)
    tasks = [executor.submit(lambda: gate.receive_pyobj()), *[executor.submit(abs, -n) for n in range(8)]]
    tasks[5].add_done_callback(fail)
    executor.shutdown(wait=False, cancel_futures=True)
    gate.send_pyobj("released")
    executor.shutdown()
    assert tasks[0].result(0) == "released" and tasks[5].cancelled() and tasks[8].cancelled()
    assert "raised in a callback" in capsys.readouterr().err


class Ending:
    def __repr__(self):
        sys.exit(5)


def test_arguments_that_cannot_be_shown_do_not_hide_the_death_of_a_worker(executor):
    task = executor.submit(lambda _: os._exit(3), Ending())
    with pytest.raises(WorkerDied, match="exit status 3"):
        task.result(LIMIT_S)
    assert executor.submit(abs, -1).result(LIMIT_S) == 1


@pytest.mark.parametrize("failure", [MemoryError, SystemExit])
def test_a_failure_of_the_manager_becomes_the_outcome_of_its_task(executor, monkeypatch, failure):
    """As where there is no memory for the value: no other task suffers."""
    def fail(*_):
        raise failure("no room")

    assert executor.submit(abs, -1).result(LIMIT_S) == 1
    monkeypatch.setattr(executor._state, "refuse_copy", lambda: None)
    monkeypatch.setattr("snakefish._executor_tasks.Task.succeed", fail)
    tasks = [executor.submit(time.sleep, 0.2), *(executor.submit(abs, -n) for n in range(20))]
    assert [type(outcome) for outcome in outcomes(tasks)] == [failure] * 21
    monkeypatch.undo()
    assert executor.submit(abs, -1).result(LIMIT_S) == 1


# ---- tasks that come back to be sent again ----


def name_module(value):
    return type(value).__module__


def make_late_module():
    """An instance of its class can be unpickled where the module is: in processes that were forked later."""
    module = types.ModuleType("made_late")
    exec("class Late:\n    pass", module.__dict__)
    sys.modules["made_late"] = module
    return module


@pytest.fixture
def late():
    yield make_late_module
    sys.modules.pop("made_late", None)


def test_what_was_sent_when_the_rest_is_cancelled_is_run_also_if_it_has_to_be_sent_again(gate, late):
    executor = Executor(1)
    executor._state.functions.number(name_module)  # so that the first worker has it
    busy = executor.submit(lambda: gate.receive_pyobj())
    sent = executor.submit(name_module, late().Late())  # the worker has no such module
    waiting = [executor.submit(abs, -1) for _ in range(5)]
    (task,) = [task for task in executor._state.crew.sent().values() if task.future is sent]
    number = task.id
    executor.shutdown(wait=False, cancel_futures=True)
    gate.send_pyobj(None)
    assert sent.result(LIMIT_S) == "made_late"
    assert task.id > number  # what comes late for the old number is not about the task any more
    assert busy.done() and waiting[-1].cancelled()
    executor.shutdown()
    assert not children()


# ---- workers that die ----


def test_tasks_that_each_end_their_worker_do_not_break_the_executor(executor):
    tasks = [executor.submit(lambda: os._exit(3)) for _ in range(25)]
    assert [type(task.exception(LIMIT_S)) for task in tasks] == [WorkerDied] * 25
    assert executor.submit(abs, -1).result(LIMIT_S) == 1


def test_what_a_worker_is_at_is_known_while_the_thread_that_forks_it_is_still_in_the_fork(run_program):
    """Else its task is taken for one that a dead worker has lost, and runs twice."""
    ended = run_program("""
        import os, threading, time, warnings
        from snakefish._snakefish import _Crew
        warnings.simplefilter("ignore")
        in_fork = threading.Event()
        def hook():
            in_fork.set()
            time.sleep(1)
        os.register_at_fork(after_in_parent=hook)
        crew = _Crew(time.sleep, None, 1, 0, "test")
        thread = threading.Thread(target=crew.start)
        thread.start()
        in_fork.wait()
        number = crew.number(-1)
        crew.send(number, "a task", 60)
        while thread.is_alive() and not crew.claims():
            time.sleep(0.001)
        print(thread.is_alive(), [(pid, at == number, task) for pid, at, task, _ in crew.claims()])
        print(crew.doom(0, number))
        thread.join()
        (pid,) = crew.pids()
        print(crew.doom(pid, number))
        while not (events := crew.wait(1)):
            pass
        print([event[1:3] == ("a task", pid) for event in events])
    """)
    assert (ended.stdout, ended.status) == ("True [(0, True, 'a task')]\nFalse\nTrue\n[True]\n", 0), ended


# ---- functions, submitted by several threads at once ----


def test_functions_that_threads_submit_at_the_same_moment_are_not_taken_for_each_other():
    """Wherever one thread is interrupted while it numbers a function, another one numbers its own."""
    functions, depth = Functions(), []

    def number_another(frame, event, _argument):
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_code is Functions.number.__code__ and not depth:
            depth.append(1)
            sys.settrace(None)
            own = eval(f"lambda: {len(made)}")
            made.append((own, functions.number(own)))
            sys.settrace(number_another)
            depth.pop()
        return number_another

    made = []
    for _ in range(3):
        function = eval("lambda: None")
        sys.settrace(number_another)
        try:
            number = functions.number(function)
        finally:
            sys.settrace(None)
        made.append((function, number))
    assert len(made) > 10
    for function, number in made:
        assert functions._by_number[number] is function


def test_functions_that_were_numbered_twice_can_be_dropped():
    functions = Functions()
    for n in range(1200):
        function = eval(f"lambda: {n}")
        functions.number(function)
        functions._numbers.clear()  # as where another thread numbers it meanwhile
        functions.number(function)
    functions.trim(set())
    assert len(functions._by_number) == 500


# ---- want of resources ----


@pytest.fixture
def no_descriptors():
    """Makes that no descriptor can be opened, so that no worker can be forked."""
    old, limits = [], resource.getrlimit(resource.RLIMIT_NOFILE)

    def take():
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, descriptors())) + 1, limits[1]))
        try:
            while True:
                old.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass

    def give():
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        while old:
            os.close(old.pop())

    take.undo = give
    yield take
    give()


def test_forks_that_fail_for_a_while_leave_the_other_workers_tasks_alone(gate, no_descriptors):
    with Executor(2, max_tasks_per_child=1) as executor:
        busy = executor.submit(lambda: gate.receive_pyobj())
        executor.submit(abs, -1).result(LIMIT_S)
        waiting = [executor.submit(abs, -n) for n in range(5)]
        no_descriptors()
        time.sleep(3)  # 30 forks fail
        no_descriptors.undo()
        gate.send_pyobj("released")
        assert outcomes([busy, *waiting]) == ["released", 0, 1, 2, 3, 4]


def test_a_program_that_can_start_no_thread_is_told_and_nothing_runs_or_stays(monkeypatch):
    def fail(_):
        raise RuntimeError("can't start new thread")

    read, write = os.pipe()
    with Executor(2) as executor:
        monkeypatch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            executor.submit(os.write, write, b"run")
        with pytest.raises(RuntimeError, match="can't start new thread"):
            executor.map(abs, [-1])
    assert not settles(children)
    os.close(write)
    assert os.read(read, 9) == b""
    os.close(read)


@pytest.mark.skipif(PYPY, reason="its memory cannot be limited this way")
@pytest.mark.parametrize("make", ["bytes", "lambda n: ['x' * n]"])
def test_a_result_for_which_there_is_no_memory_is_its_tasks_failure(check_program, make):
    assert check_program(f"""
        import resource
        from snakefish import Executor
        with Executor(1) as executor:
            print(executor.submit(abs, -1).result())
            with open("/proc/self/statm") as statm:
                used = int(statm.read().split()[0]) * resource.getpagesize()
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), hard))  # the worker is forked already
            tasks = [executor.submit({make}, n) for n in (10, 200 << 20, 200 << 20, 10)]
            for task in tasks:
                error = task.exception()
                print(type(error).__name__ if error else len(task.result()))
            print(executor.submit(abs, -2).result())
    """) == "1\n" + ("10\nMemoryError\nMemoryError\n10\n2\n" if make == "bytes" else "1\nMemoryError\nMemoryError\n1\n2\n")


# ---- the end, while another thread submits ----


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("used", [False, True])
def test_a_shutdown_waits_for_the_submission_that_another_thread_is_in(run_program, wait, used):
    """Its fork takes long; then it runs, or is refused. In neither case is a worker left over."""
    ended = run_program(f"""
        import os, threading, time, warnings
        from conftest import children
        from snakefish import Executor
        warnings.simplefilter("ignore")
        begun, delay = threading.Event(), 0
        def hook():
            begun.set()
            time.sleep(delay)
        os.register_at_fork(after_in_parent=hook)
        executor, outcomes = Executor(2), []
        def submit():
            try:
                outcomes.append(executor.submit(abs, -1))
            except RuntimeError as error:
                outcomes.append(error)
        if {used}:
            executor.submit(abs, -1).result()
            executor.submit(time.sleep, 0.05)
            begun.clear()
        delay = 0.7
        thread = threading.Thread(target=submit)
        thread.start()
        begun.wait()
        executor.shutdown(wait={wait})
        if not {wait}:
            thread.join()
            time.sleep(0.5)
        left = children()
        thread.join()
        (outcome,) = outcomes
        print(*left, "refused" if isinstance(outcome, RuntimeError) else outcome.result(0))
    """)
    assert ended.stdout.strip() in ("1", "refused") and ended.status == 0, ended


def test_a_shutdown_after_one_that_was_interrupted_waits_as_well():
    class Interruption(Exception):
        pass

    def interrupt(*_):
        raise Interruption

    old = signal.signal(signal.SIGALRM, interrupt)
    rest = signal.setitimer(signal.ITIMER_REAL, 0)
    executor = Executor(1)
    task = executor.submit(time.sleep, 1)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interruption):
            executor.shutdown()
    finally:
        signal.signal(signal.SIGALRM, old)
        signal.setitimer(signal.ITIMER_REAL, *rest)
    assert not task.done()
    executor.shutdown()
    assert task.done() and not children()


def test_a_signal_handler_may_shut_down_the_executor_whose_submission_it_interrupts(check_program):
    assert check_program("""
        import os, signal, threading, time
        from snakefish import Executor
        executor = Executor(1)
        signal.signal(signal.SIGUSR1, lambda *_: executor.shutdown())
        def hook():
            os.kill(os.getpid(), signal.SIGUSR1)
        os.register_at_fork(before=hook)
        try:
            print(executor.submit(abs, -1).result(0))
        except RuntimeError as error:
            print(error)
        executor.shutdown()
    """) in ("1\n", "cannot schedule new futures after shutdown\n")


def test_a_task_that_cannot_be_sent_when_the_executor_breaks_fails(executor, gate):
    """Another thread's pickling is in its way, and keeps the workers there."""
    class Slow:
        def __reduce__(self):
            pickling.set()
            assert go_on.wait(LIMIT_S)
            return int, ()

    pickling, go_on, others = threading.Event(), threading.Event(), []
    state = executor._state
    executor.submit(abs, 1).result(LIMIT_S)
    thread = threading.Thread(target=lambda: others.append(executor.submit(abs, Slow())))
    thread.start()
    assert pickling.wait(LIMIT_S)
    send = state.try_to_send

    def break_instead(task):
        sent = send(task)
        state.broken = concurrent.futures.BrokenExecutor("broken by the test")
        state.crew.nudge()
        state.managers[0].join(LIMIT_S)
        return sent

    state.try_to_send, state.max_workers = break_instead, 1  # so that no other worker is asked for
    try:
        task = executor.submit(abs, -1)
        with pytest.raises(concurrent.futures.BrokenExecutor, match="by the test"):
            task.result(LIMIT_S)
    finally:
        state.try_to_send = send
        go_on.set()
        thread.join()
    assert not settles(children)
    for other in others:
        assert isinstance(other.exception(LIMIT_S), concurrent.futures.BrokenExecutor)


# ---- maps ----


def test_the_iterator_of_a_map_tells_a_forked_child_whose_it_is(gate):
    with Executor(1) as executor:
        results = executor.map(lambda n: gate.receive_pyobj(), range(3), chunksize=1)
        check_refused_in_a_fork(results)
        for n in range(3):
            gate.send_pyobj(n)
        assert list(results) == [0, 1, 2]


def test_the_chunk_of_a_map_that_was_sent_when_the_rest_is_cancelled_has_results(gate, late):
    """Also if it has to be sent again."""
    executor, got = Executor(1), []
    executor._state.functions.number(name_module)  # so that the first worker has it
    busy = executor.submit(lambda: gate.receive_pyobj())
    results = executor.map(name_module, [late().Late()] * 10, chunksize=2)  # the worker has no such module
    assert not settles(lambda: executor._state.crew.under_way < 2)
    executor.shutdown(wait=False, cancel_futures=True)
    gate.send_pyobj(None)
    with pytest.raises(concurrent.futures.CancelledError):
        for result in results:
            got.append(result)
    assert got == ["made_late"] * 2 and busy.done()
    executor.shutdown()


class Unpicklable(Exception):
    def __reduce__(self):
        raise LookupError("stays here")


@pytest.mark.parametrize("values, right, failure", [
    ([0, 1, ValueError("two"), 3], [0, 1], (ValueError, "two")),
    ([0, threading.Lock(), ValueError("two"), 3], [0], (Exception, "(?i)pickle.*lock")),
    ([0, 1, Unpicklable("two"), 3], [0, 1], (snakefish.ChildDied, "Unpicklable.*cannot be pickled: stays here")),
    ([0, threading.Lock(), Unpicklable("two"), 3], [0], (Exception, "(?i)pickle.*lock")),
    ([0, 1, KeyboardInterrupt("two"), 3], [0, 1], (KeyboardInterrupt, "two")),
])
def test_the_results_before_an_exception_come_whatever_of_them_can_be_pickled(executor, values, right, failure):
    def give(n):
        if isinstance(values[n], BaseException):
            raise values[n]
        return values[n]

    got = []
    with pytest.raises(failure[0], match=failure[1]) as raised:
        for value in executor.map(give, range(4), chunksize=4):
            got.append(value)
    assert got == right, raised.value


@pytest.mark.parametrize("wait", [
    lambda executor: list(executor.map(abs, [-1])),
    lambda executor: snakefish.map(abs, [-1], executor=executor),
    lambda executor: list(snakefish.imap(abs, [-1], executor=executor)),
])
def test_a_callback_that_would_wait_for_the_thread_that_calls_it_is_told(executor, gate, wait):
    told = []

    def call(_):
        try:
            told.append(wait(executor))
        except RuntimeError as error:
            told.append(str(error))

    task = executor.submit(lambda: gate.receive_pyobj())
    task.add_done_callback(call)
    gate.send_pyobj(None)
    assert executor.submit(abs, -1).result(LIMIT_S) == 1
    assert not settles(lambda: not told) and len(told) == 1 and "would wait for itself" in told[0]


def test_programs_that_leave_in_the_midst_of_a_map_end():
    ended = subprocess.run([sys.executable, "-c", """if True:
        import snakefish, time
        executor = snakefish.Executor(2)
        results = executor.map(lambda n: time.sleep(0.01), range(50), chunksize=1)
        next(results)
    """], capture_output=True, text=True, timeout=LIMIT_S)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


# ---- signal handlers that raise ----


def use_executor(chance, futures):
    """Returns the executor, or raises in the midst of it."""
    with Executor(2) as executor:
        futures += [executor.submit(abs, -n) for n in range(3)]
        results = executor.map(lambda n: n, range(40), chunksize=chance.choice((0, 3)))
        assert next(results) == 0 if chance.random() < 0.5 else list(results) == list(range(40))
        futures.append(executor.submit(time.sleep, 0.01))


@pytest.mark.parametrize("seed", first(1, range(2)))
def test_an_executor_whose_use_is_interrupted_anywhere_ends_with_all_its_futures(seed):
    def interrupt(*_):
        raise KeyboardInterrupt

    chance, interruptions, end = random.Random(seed), 0, time.monotonic() + 3
    old = signal.signal(signal.SIGALRM, interrupt)
    rest = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        while interruptions < 10 or time.monotonic() < end:
            futures = []
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.choice((0.003, 0.02, 0.1)) * chance.random() + 1e-5)
                use_executor(chance, futures)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except (KeyboardInterrupt, RuntimeError) as error:
                # a RuntimeError is the standard library's, where this comes between two steps of its locks
                assert isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)
                interruptions += 1
            collect()
            assert not settles(children)
            for future in futures:
                future.exception(LIMIT_S)
    finally:
        signal.signal(signal.SIGALRM, old)
        signal.setitimer(signal.ITIMER_REAL, *rest)
