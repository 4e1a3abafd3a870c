"""Executor: what goes to the workers and comes back, which functions they know, and what state they see."""
import asyncio
import concurrent.futures
import functools
import operator
import os
import pickle
import threading
import weakref

import pytest
from conftest import children, collect, settles

import snakefish
from snakefish import Executor

LIMIT_S = 20
FACTOR = 3


def cube(x):
    return x**3


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def times(self, x):
        return self.factor * x

    def __call__(self, x, y=1):
        return self.factor * x * y

    @classmethod
    def name(cls):
        return cls.__name__

    @staticmethod
    def double(x):
        return 2 * x


# ---- it is an Executor ----


def test_it_is_an_executor_that_hands_out_futures(executor):
    assert isinstance(executor, concurrent.futures.Executor)
    future = executor.submit(cube, 3)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(LIMIT_S) == 27 and future.done() and not future.cancelled()


def test_what_takes_an_executor_takes_it(executor):
    tasks = [executor.submit(cube, n) for n in range(5)]
    done, not_done = concurrent.futures.wait(tasks, LIMIT_S)
    assert done == set(tasks) and not not_done
    assert {task.result() for task in concurrent.futures.as_completed(tasks)} == {n**3 for n in range(5)}

    async def work():
        loop = asyncio.get_running_loop()
        results = await asyncio.gather(*(loop.run_in_executor(executor, cube, n) for n in range(5)))
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(executor, lambda: 1 / 0)
        return results

    assert asyncio.run(work()) == [n**3 for n in range(5)]


def test_tasks_run_in_workers_that_stay(executor):
    pids = {executor.submit(os.getpid).result(LIMIT_S) for _ in range(10)}
    assert len(pids) == 1 and os.getpid() not in pids and pids == children()


def unpicklable():
    return lambda: None


class Unopenable:
    """Its result raises when the parent unpickles it."""

    def __reduce__(self):
        return int, ("x",)


def remember_a_task():
    """How many tasks this worker has run so far."""
    remember_a_task.count += 1
    return remember_a_task.count


remember_a_task.count = 0


@pytest.mark.parametrize("fails", [lambda: 1 / 0, unpicklable, Unopenable, lambda: next(iter(())),
                                   lambda: (_ for _ in ()).throw(KeyboardInterrupt("its own"))],
                         ids=["raises", "result cannot be pickled", "result cannot be unpickled", "StopIteration",
                              "KeyboardInterrupt"])
def test_a_worker_stays_after_a_task_that_failed(fails):
    with Executor(1) as executor:
        for new in (fails, remember_a_task):  # each costs one generation
            executor.submit(new).exception(LIMIT_S)
        pid = executor.submit(os.getpid).result(LIMIT_S)
        counted = executor.submit(remember_a_task).result(LIMIT_S)
        for n in range(5):
            assert executor.submit(fails).exception(LIMIT_S) is not None
            assert executor.submit(remember_a_task).result(LIMIT_S) == counted + n + 1
        with pytest.raises(ZeroDivisionError):
            list(executor.map(divmod, [1, 2], [1, 0]))
        assert executor.submit(os.getpid).result(LIMIT_S) == pid
        assert children() == {pid}


def test_a_task_that_fails_counts_for_max_tasks_per_child():
    with Executor(1, max_tasks_per_child=2) as executor:
        pids = []
        for _ in range(3):
            assert isinstance(executor.submit(int, "x").exception(LIMIT_S), ValueError)
            pids.append(executor.submit(os.getpid).result(LIMIT_S))
        assert len(set(pids)) == 3


def test_there_are_as_many_workers_as_tasks_need_and_at_most_max_workers(executor):
    gate = snakefish.Channel(1 << 16)
    tasks = [executor.submit(lambda: gate.receive_pyobj()) for _ in range(4)]
    counts = {len(children()) for _ in range(20)}
    for n in range(4):
        gate.send_pyobj(n)
    assert sorted(task.result(LIMIT_S) for task in tasks) == [0, 1, 2, 3]
    assert counts == {2}
    gate.dispose()


def test_workers_of_one_executor_run_at_the_same_time(executor):
    to, back = snakefish.Channel(1 << 16), snakefish.Channel(1 << 16)
    first = executor.submit(to.receive_pyobj)
    second = executor.submit(lambda: (to.send_pyobj("hello"), back.receive_pyobj())[1])
    assert first.result(LIMIT_S) == "hello"
    back.send_pyobj("answer")
    assert second.result(LIMIT_S) == "answer"
    to.dispose()
    back.dispose()


def test_arguments_and_keywords_are_the_functions_own(executor):
    def show(*args, **kwargs):
        return args, kwargs

    assert executor.submit(show).result(LIMIT_S) == ((), {})
    assert executor.submit(show, 1, self=2, fn=3, task=4).result(LIMIT_S) == ((1,), {"self": 2, "fn": 3, "task": 4})


def test_map_gives_results_in_the_order_of_the_arguments(executor):
    assert list(executor.map(lambda a, b: a - b, range(50), range(100, 200))) == [-100] * 50
    assert list(executor.map(cube, [])) == []


def test_an_exception_comes_with_its_remote_traceback(executor):
    def fail(x):
        raise KeyError(x)

    future = executor.submit(fail, "here")
    with pytest.raises(KeyError, match="here") as raised:
        future.result(LIMIT_S)
    assert "in fail" in str(raised.value.__cause__)


def test_large_and_many_tasks_arrive_whole(executor):
    data = bytes(range(256)) * (1 << 16)  # 16 MiB, four times the ring
    assert executor.submit(lambda x: x[::-1], data).result(LIMIT_S) == data[::-1]
    tasks = [executor.submit(cube, n) for n in range(3000)]
    assert [task.result(LIMIT_S) for task in tasks] == [n**3 for n in range(3000)]


def test_what_cannot_be_pickled_fails_its_own_task_only(executor):
    before = executor.submit(cube, 2)
    bad = executor.submit(cube, threading.Lock())
    bad_result = executor.submit(lambda: threading.Lock())
    after = executor.submit(cube, 3)
    with pytest.raises((TypeError, pickle.PicklingError), match="pickle"):  # PyPy raises the other one
        bad.result(LIMIT_S)
    with pytest.raises(snakefish.ChildDied, match="pickle"):
        bad_result.result(LIMIT_S)
    assert (before.result(LIMIT_S), after.result(LIMIT_S)) == (8, 27)


@pytest.mark.parametrize("kind", [ArithmeticError, KeyboardInterrupt, SystemExit, MemoryError])
def test_a_result_that_cannot_be_unpickled_fails_its_own_task_only(executor, kind):
    pid = os.getpid()

    class Bad:
        def __reduce__(self):
            return raise_there, (pid, kind)

    future = executor.submit(Bad)
    with pytest.raises((kind, snakefish.ChildDied)):
        future.result(LIMIT_S)
    assert executor.submit(cube, 3).result(LIMIT_S) == 27


def raise_there(pid, kind):
    if os.getpid() == pid:
        raise kind("not in this process")


def test_arguments_and_results_are_let_go(executor):
    class Thing:
        pass

    thing = Thing()
    there = weakref.ref(thing)
    task = executor.submit(operator.is_not, None, 5)
    task.result(LIMIT_S)
    kept = executor.submit(id, [1])
    kept.result(LIMIT_S)
    del thing
    collect()
    assert there() is None
    result = executor.submit(Scale, 2).result(LIMIT_S)
    gone = weakref.ref(result)
    del result
    assert not settles(lambda: collect() or gone())


# ---- which functions ----


def test_any_callable_can_be_submitted(executor):
    captured = 10
    scale = Scale(2)
    calls = [
        (lambda x: x + captured, 17),
        (cube, 343),
        (scale.times, 14),
        (scale, 14),
        (Scale.name, None),
        (Scale.double, 14),
        (scale.double, 14),
        (functools.partial(operator.mul, 3), 21),
        (functools.partial(lambda a, b, c=0: a + b + c, 1, c=2), 10),
        (functools.partial(scale, y=3), 42),
        (abs, 7),
        (float, 7.0),
        ("x".__add__, None),
        ([7].count, 1),
        (str.upper, None),
        (functools.lru_cache(lambda x: x), 7),
        (operator.itemgetter(0), None),
    ]
    for call, expected in calls:
        arguments = {Scale.name: (), str.upper: ("a",)}.get(call, (7,))
        if isinstance(call, operator.itemgetter):
            arguments = ([7],)
        if call == "x".__add__:
            arguments = ("y",)
        assert executor.submit(call, *arguments).result(LIMIT_S) == call(*arguments), call
        assert expected is None or call(*arguments) == expected


def test_a_local_class_and_an_object_that_cannot_be_pickled_are_called_too(executor):
    class Local:
        def __init__(self):
            self.lock = threading.Lock()

        def __call__(self, x):
            return x + 1

        def method(self, x):
            return x + 2

    assert executor.submit(Local(), 1).result(LIMIT_S) == 2
    assert executor.submit(Local().method, 1).result(LIMIT_S) == 3
    assert executor.submit(lambda: isinstance(Local(), Local)).result(LIMIT_S)


def test_the_same_lambda_finds_its_number_and_keeps_its_workers(executor):
    def submit():
        return executor.submit(lambda: os.getpid()).result(LIMIT_S)

    assert len({submit() for _ in range(20)}) == 1


def test_a_function_that_came_later_costs_one_generation(executor):
    first = executor.submit(os.getpid).result(LIMIT_S)
    later = lambda: os.getpid()  # noqa: E731
    second = executor.submit(later).result(LIMIT_S)
    assert second != first
    assert {executor.submit(later).result(LIMIT_S) for _ in range(5)} == {second}
    assert not settles(lambda: len(children()) > 1)


def test_functions_with_other_contents_are_other_functions(executor):
    makers = [(lambda value: lambda: value)(value) for value in [1.5, "a", (2,), None]]
    assert [executor.submit(maker).result(LIMIT_S) for maker in makers] == [1.5, "a", (2,), None]
    defaults = [executor.submit(lambda value=value: value) for value in [1.5, "a", (2,), None]]
    assert [task.result(LIMIT_S) for task in defaults] == [1.5, "a", (2,), None]


def test_a_cell_that_gets_another_content_makes_it_another_function(executor):
    value = 1.5

    def get():
        return value

    assert executor.submit(get).result(LIMIT_S) == 1.5
    value = 2.5
    assert executor.submit(get).result(LIMIT_S) == 2.5


def test_a_redefined_function_runs_as_its_new_self(check_program):
    assert check_program("""
        import snakefish
        def f():
            return "old"
        with snakefish.Executor(2) as executor:
            print(executor.submit(f).result())
            def f():
                return "new"
            print(executor.submit(f).result())
            import json
            json.loads = lambda text: "patched"
            print(executor.submit(json.loads, "1").result())
    """) == "old\nnew\npatched\n"


def test_a_class_that_came_later_reaches_the_workers(check_program):
    assert check_program("""
        import snakefish
        with snakefish.Executor(1) as executor:
            print(executor.submit(abs, -1).result())
            class Later:
                pass
            def name(x):
                return type(x).__name__
            print(executor.submit(isinstance, Later(), object).result())
            print(executor.submit(name, Later()).result())
    """) == "1\nTrue\nLater\n"


def test_many_functions_while_workers_are_busy_need_few_generations(executor):
    gate = snakefish.Channel(1 << 16)
    busy = [executor.submit(gate.receive_pyobj) for _ in range(2)]
    pids = [executor.submit(lambda n=n: (n, os.getpid())) for n in map(float, range(40))]
    for _ in busy:
        gate.send_pyobj(None)
    results = [task.result(LIMIT_S) for task in pids]
    assert [n for n, _ in results] == list(range(40))
    assert len({pid for _, pid in results}) <= 8
    gate.dispose()


def test_thousands_of_functions_are_not_kept(executor):
    class Thing:
        pass

    def make(thing):
        return lambda: type(thing).__name__

    first = Thing()
    there = weakref.ref(first)
    future = executor.submit(make(first))
    del first
    assert future.result(LIMIT_S) == "Thing"
    gate = snakefish.Channel(1 << 16)
    executor.submit(gate.receive_pyobj)
    executor.submit(gate.receive_pyobj)  # so that all of these are one generation
    tasks = [executor.submit(make(n)) for n in map(float, range(1100))]
    gate.send_pyobj(1)
    gate.send_pyobj(2)
    assert all(task.result(LIMIT_S) == "float" for task in tasks)
    executor.submit(abs, 1).result(LIMIT_S)
    assert not settles(lambda: collect() or there())
    assert executor.submit(make(Thing())).result(LIMIT_S) == "Thing"
    gate.dispose()


# ---- which state ----


def test_a_worker_sees_the_state_of_its_fork_and_refresh_forks_anew(check_program):
    assert check_program("""
        import snakefish
        value = 1
        def get():
            return value
        with snakefish.Executor(2) as executor:
            print(executor.submit(get).result())
            value = 2
            print(executor.submit(get).result())
            executor.refresh()
            print(executor.submit(get).result())
    """) == "1\n1\n2\n"


def test_refresh_lets_busy_workers_finish(executor):
    gate = snakefish.Channel(1 << 16)
    busy = executor.submit(gate.receive_pyobj)
    executor.refresh()
    assert executor.submit(abs, -2).result(LIMIT_S) == 2
    gate.send_pyobj("finished")
    assert busy.result(LIMIT_S) == "finished"
    gate.dispose()


def test_an_initializer_runs_first_in_each_worker():
    state = []
    with Executor(2, initializer=state.append, initargs=("ready",)) as executor:
        assert list(executor.map(lambda _: list(state), range(6))) == [["ready"]] * 6
        executor.refresh()
        assert executor.submit(lambda: list(state)).result(LIMIT_S) == ["ready"]
    assert state == []


def test_max_tasks_per_child_replaces_a_worker_after_so_many_tasks():
    with Executor(1, max_tasks_per_child=3) as executor:
        pids = [executor.submit(os.getpid).result(LIMIT_S) for _ in range(7)]
        assert len(set(pids[:3])) == len(set(pids[3:6])) == 1 and len(set(pids)) == 3
        assert len({task.result(LIMIT_S) for task in [executor.submit(os.getpid) for _ in range(9)]}) in (3, 4)


# ---- where it is called ----


def test_submit_may_be_called_by_a_callback_and_by_what_pickles(executor):
    done = []

    class Nested:
        def __reduce__(self):
            done.append(executor.submit(cube, 5))
            return int, (7,)

    again = threading.Event()

    def callback(future):
        done.append(executor.submit(cube, future.result()))
        again.set()

    assert executor.submit(abs, Nested()).result(LIMIT_S) == 7
    executor.submit(cube, 2).add_done_callback(callback)
    assert again.wait(LIMIT_S)
    assert {task.result(LIMIT_S) for task in done} == {125, 512}


def test_many_threads_submit_at_once(executor):
    results = {}

    def submit(n):
        tasks = [executor.submit(cube, (n * 1000 + i)) for i in range(200)]
        results[n] = [task.result(LIMIT_S) for task in tasks]

    threads = [threading.Thread(target=submit, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [(n * 1000 + i) ** 3 for i in range(200)] for n in range(4)}


def test_a_callback_that_raises_anything_does_not_end_the_executor(executor, monkeypatch):
    told = []
    monkeypatch.setattr("sys.excepthook", lambda kind, value, traceback: told.append(str(value)))
    gate = snakefish.Channel(1 << 16)

    def callback(future):
        raise SystemExit("from a callback")

    executor.submit(gate.receive_pyobj).add_done_callback(callback)
    gate.send_pyobj(1)
    assert executor.submit(cube, 3).result(LIMIT_S) == 27
    assert not settles(lambda: told != ["from a callback"])
    gate.dispose()


# ---- wrong arguments ----


def test_wrong_arguments_are_named():
    for arguments, kind, words in [
        ({"max_workers": -1}, ValueError, "max_workers"),
        ({"max_workers": "2"}, TypeError, "str"),
        ({"initializer": 5}, TypeError, "initializer"),
        ({"max_tasks_per_child": 0}, ValueError, "max_tasks_per_child"),
        ({"max_tasks_per_child": "x"}, TypeError, "max_tasks_per_child"),
        ({"task_timeout": 0}, ValueError, "task_timeout"),
        ({"name": 5}, TypeError, "name"),
    ]:
        with pytest.raises(kind, match=words):
            Executor(**arguments)
    with Executor(1) as executor:
        with pytest.raises(TypeError, match="callable"):
            executor.submit(5)
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(executor)


def test_libraries_can_read_how_many_workers_there_are_at_most():
    with Executor(3) as three, Executor() as many:
        assert three._max_workers == 3 and many._max_workers == snakefish.cpu_count()


def test_zero_and_none_workers_are_one_for_each_cpu():
    for count in (0, None):
        with Executor(count) as executor:
            assert executor._state.max_workers == snakefish.cpu_count()
