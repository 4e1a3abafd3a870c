"""CPython's own tests of executors, with snakefish's Executor in the place of ProcessPoolExecutor: classes for unittest.

The tests are those of this interpreter's package `test` (Debian: libpython3.11-testsuite); importing this module raises
ImportError where it is missing. LEFT_OUT has the tests that are not run as they are, with the reason for each. Those of
them that test what an Executor does otherwise stand below, as it does it.
"""
import concurrent.futures
import contextlib
import importlib
import multiprocessing
import os
import pickle
import time
import traceback

import as_standard
import snakefish

PACKAGE = "test.test_concurrent_futures"  # since Python 3.12 it has a module for each of these
PARTS = ("util", "executor", "test_init", "test_shutdown", "test_wait", "test_as_completed", "test_process_pool",
         "test_deadlock")
MIXINS = ("InitializerMixin", "FailingInitializerMixin", "ProcessPoolShutdownTest", "WaitTests", "AsCompletedTests",
          "ProcessPoolExecutorTest", "ExecutorDeadlockTest")
LEFT_OUT = {
    "FailingInitializerMixin._assert_logged": "what the initializer raised is the cause of the BrokenExecutor, and not logged",
    "ProcessPoolShutdownTest.test_processes_terminate": "its tasks cannot be pickled: no worker is started for them",
    "ProcessPoolExecutorTest.test_max_workers_negative": "max_workers=0 is allowed: as many as there are CPUs",
    "ProcessPoolExecutorTest.test_max_workers_too_large": "a limit of Windows",
    "ProcessPoolExecutorTest.test_killed_child": "an Executor goes on when a worker has died: only its task fails",
    "ProcessPoolExecutorTest.test_saturation": "its function cannot be pickled, so the workers are just being forked anew",
    "ProcessPoolExecutorTest.test_traceback": "the remote traceback is of a class of ours",
    "ProcessPoolExecutorTest.test_max_tasks_per_child_defaults_to_spawn_context": "workers are always forked",
    "ProcessPoolExecutorTest.test_python_finalization_error": "stops the second thread that is started: there is only one",
    "ExecutorDeadlockTest.test_error_at_task_unpickle": "the exception comes out, and nothing breaks",
    "ExecutorDeadlockTest.test_exit_during_func_exec_on_worker": "sys.exit() ends the worker, as in a Thread",
    "ExecutorDeadlockTest.test_error_during_result_pickle_on_worker": "ChildDied with the reason, as of a Thread",
    "ExecutorDeadlockTest.test_exit_during_result_pickle_on_worker": "ChildDied with the reason, as of a Thread",
    "ExecutorDeadlockTest.test_error_during_result_unpickle_in_result_handler": "the exception comes out, and nothing breaks",
    "ExecutorDeadlockTest.test_exit_during_result_unpickle_in_result_handler": "the exception comes out, and nothing breaks",
    "ExecutorDeadlockTest.test_gh105829_should_not_deadlock_if_wakeup_pipe_full": "replaces parts of ProcessPoolExecutor",
}


def homes():
    """The modules that define the tests."""
    package = importlib.import_module(PACKAGE)
    return [importlib.import_module(f"{PACKAGE}.{part}") for part in PARTS] if hasattr(package, "__path__") else [package]


HOMES = homes()


def found(name):
    return next(vars(home)[name] for home in HOMES if name in vars(home))


class Futures:
    """The module concurrent.futures with our class in it."""

    ProcessPoolExecutor = as_standard.StandardExecutor

    def __getattr__(self, name):
        return getattr(concurrent.futures, name)


class Context:
    """multiprocessing's context `fork`, with a name of its own: the tests know that ProcessPoolExecutor starts all workers
    at once under `fork`, and allows no max_tasks_per_child there. An Executor does as it does under the others."""

    def __init__(self):
        self.fork = multiprocessing.get_context("fork")

    def __getattr__(self, name):
        return getattr(self.fork, name)

    def get_start_method(self, allow_none=False):
        return "snakefish"


# What the programs of the tests begin with. They import our class from concurrent.futures, as late as they do, because
# an import registers what runs at the interpreter's exit.
PRELUDE = f"""
import concurrent.futures, multiprocessing, sys
def _find(name, others=concurrent.futures.__getattr__):
    if name != "SnakefishExecutor":
        return others(name)
    sys.path[:0] = {[os.path.dirname(snakefish.__path__[0]), os.path.dirname(os.path.abspath(__file__))]!r}
    import as_standard
    return as_standard.SnakefishExecutor
concurrent.futures.__getattr__ = _find
"""


def with_prelude(assert_python_ok):
    def run(*arguments, **more):
        before, program = arguments[:-1], arguments[-1]
        return assert_python_ok(*before, PRELUDE + program, **more)

    return run


for home in HOMES:
    if hasattr(home, "futures"):
        home.futures = Futures()
    if hasattr(home, "BrokenProcessPool"):
        home.BrokenProcessPool = snakefish.WorkerDied
    if hasattr(home, "assert_python_ok"):
        home.assert_python_ok = with_prelude(home.assert_python_ok)


class SnakefishMixin(found("ExecutorMixin")):
    executor_type = as_standard.SnakefishExecutor
    ctx = "fork"

    def get_context(self):
        return Context()


class FailingInitializerMixin:
    """This class and the next ones: what an Executor does otherwise than the tests that are left out expect."""

    def tearDown(self):
        super().tearDown()
        self.log_queue = self.executor_kwargs = None  # with its descriptors

    @contextlib.contextmanager
    def _assert_logged(self, message):
        submitted = []
        submit = self.executor.submit
        self.executor.submit = lambda *arguments: submitted.append(submit(*arguments)) or submitted[-1]
        yield
        del self.executor.submit
        self.assertIn(repr(submitted[0].exception().__cause__), message + "ValueError('error in initializer')")


class ProcessPoolShutdownTest:
    def test_processes_terminate(self):
        for _ in range(3):
            self.executor.submit(time.sleep, 0.1)
        processes = self.executor._processes
        self.assertEqual(len(processes), 3)
        self.executor.shutdown()
        self.assertEqual(self.executor._processes, {})


class ProcessPoolExecutorTest:
    def test_max_workers_negative(self):
        with self.assertRaisesRegex(ValueError, "max_workers"):
            self.executor_type(max_workers=-1)

    def test_killed_child(self):
        with snakefish.Channel() as begun:
            doomed = self.executor.submit(lambda: (begun.send_pyobj(os.getpid()), time.sleep(60)))
            pid = begun.receive_pyobj()
        self.executor._processes[pid].terminate()
        with self.assertRaises(snakefish.WorkerDied) as raised:
            doomed.result()
        self.assertEqual(raised.exception.pid, pid)
        self.assertEqual(self.executor.submit(pow, 2, 8).result(), 256)

    def test_saturation(self):
        semaphore, count = self.get_context().Semaphore(0), 15 * self.worker_count
        futures = [self.executor.submit(semaphore.acquire) for _ in range(count)]
        while len(self.executor._processes) != self.worker_count:
            time.sleep(0.001)
        for _ in range(count):
            semaphore.release()
        self.assertEqual([future.result() for future in futures], [True] * count)

    def test_traceback(self):
        error = self.executor.submit(self._test_traceback).exception()
        self.assertIs(type(error), RuntimeError)
        self.assertEqual(error.args, (123,))
        self.assertIn("raise RuntimeError(123) # some comment", "".join(traceback.format_exception(None, error, None)))


class ExecutorDeadlockTest:
    def test_error_at_task_unpickle(self):
        self._check_crash(pickle.UnpicklingError, id, found("ErrorAtUnpickle")())

    def test_exit_during_func_exec_on_worker(self):
        self._check_crash(snakefish.WorkerDied, found("_exit"))

    def test_error_during_result_pickle_on_worker(self):
        self._check_crash(snakefish.ChildDied, found("_return_instance"), found("ErrorAtPickle"))

    def test_exit_during_result_pickle_on_worker(self):
        self._check_crash(snakefish.ChildDied, found("_return_instance"), found("ExitAtPickle"))

    def test_error_during_result_unpickle_in_result_handler(self):
        self._check_crash(pickle.UnpicklingError, found("_return_instance"), found("ErrorAtUnpickle"), ignore_stderr=True)

    def test_exit_during_result_unpickle_in_result_handler(self):
        self._check_crash(SystemExit, found("_return_instance"), found("ExitAtUnpickle"))


def make_tests():
    """Name -> class."""
    made = {}
    for mixin in MIXINS:
        otherwise = globals().get(mixin, object)
        bases = (found(mixin), SnakefishMixin, found("BaseTestCase"))
        left_out = {name: None for name in vars_of(found(mixin)) if f"{mixin}.{name}" in LEFT_OUT and name not in vars(otherwise)}
        name = "Snakefish" + mixin
        made[name] = type(name, (otherwise, *bases) if otherwise is not object else bases, {**left_out, "__module__": __name__})
    return made


def vars_of(cls):
    return {name for base in cls.__mro__ for name in vars(base)}


TESTS = make_tests()
globals().update(TESTS)


def setUpModule():
    HOMES[0].setUpModule() if hasattr(HOMES[0], "setUpModule") else HOMES[0].setup_module()
