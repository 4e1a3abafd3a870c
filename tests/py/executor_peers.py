"""CPython's own tests of executors, with snakefish's Executor in the place of ProcessPoolExecutor: classes for unittest.

The tests are those of this interpreter's package `test` (Debian: libpython3.11-testsuite); importing this module raises
ImportError where it is missing. LEFT_OUT has the tests that are not run as they are, with the reason for each. Those of
them that test what an Executor does otherwise stand below, as it does it.
"""
import concurrent.futures
import importlib
import multiprocessing
import os
import pickle
import sys

import as_standard

PACKAGE = "test.test_concurrent_futures"  # since Python 3.12 it has a module for each of these
PARTS = ("util", "executor", "test_init", "test_shutdown", "test_wait", "test_as_completed", "test_process_pool",
         "test_deadlock")
MIXINS = ("InitializerMixin", "FailingInitializerMixin", "ProcessPoolShutdownTest", "WaitTests", "AsCompletedTests",
          "ProcessPoolExecutorTest", "ExecutorDeadlockTest")
LEFT_OUT = {
    "ProcessPoolExecutorTest.test_max_workers_negative": "max_workers=0 is allowed: as many as there are CPUs",
    "ProcessPoolExecutorTest.test_max_workers_too_large": "a limit of Windows",
    "ProcessPoolExecutorTest.test_killed_child": "an Executor goes on when a worker has died: only the task that ran in it fails",
    "ProcessPoolExecutorTest.test_max_tasks_per_child_defaults_to_spawn_context": "there are no start methods: workers are forked",
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
    sys.path[:0] = {[os.path.dirname(as_standard.snakefish.__path__[0]), os.path.dirname(os.path.abspath(__file__))]!r}
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
    if hasattr(home, "assert_python_ok"):
        home.assert_python_ok = with_prelude(home.assert_python_ok)


class SnakefishMixin(found("ExecutorMixin")):
    executor_type = as_standard.SnakefishExecutor
    ctx = "fork"

    def get_context(self):
        return Context()


class OtherwiseMixin:
    """What an Executor does otherwise than the tests that are left out expect."""

    def test_max_workers_negative(self):
        with self.assertRaisesRegex(ValueError, "max_workers"):
            self.executor_type(max_workers=-1)

    def test_killed_child(self):
        doomed = self.executor.submit(as_standard.time.sleep, 60)
        pid, worker = next(iter(self.executor._processes.items()))
        worker.terminate()
        with self.assertRaises(concurrent.futures.process.BrokenProcessPool) as raised:
            doomed.result()
        self.assertEqual(raised.exception.pid, pid)
        self.assertEqual(self.executor.submit(pow, 2, 8).result(), 256)


def make_tests():
    """Name -> class."""
    made = {}
    for mixin in MIXINS:
        left_out = {name: None for name in vars_of(found(mixin)) if f"{mixin}.{name}" in LEFT_OUT}
        bases = (found(mixin), SnakefishMixin, found("BaseTestCase"))
        if mixin == "ProcessPoolExecutorTest":
            bases = (OtherwiseMixin, *bases)
            left_out = {name: None for name in left_out if name not in vars(OtherwiseMixin)}
        name = "Snakefish" + mixin
        made[name] = type(name, bases, {**left_out, "__module__": __name__, "__qualname__": name})
    return made


def vars_of(cls):
    return {name for base in cls.__mro__ for name in vars(base)}


TESTS = make_tests()
globals().update(TESTS)


def setUpModule():
    HOMES[0].setUpModule() if hasattr(HOMES[0], "setUpModule") else HOMES[0].setup_module()
