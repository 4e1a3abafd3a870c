"""snakefish's Executor with what CPython's tests use of ProcessPoolExecutor besides its documented interface."""
import os
import signal
import sys
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "stress"))

from trial import children, is_running  # noqa: E402

import snakefish  # noqa: E402

MANAGER = "snakefish-executor-manager"


class Worker:
    """A worker as multiprocessing.Process shows it."""

    def __init__(self, pid):
        self.pid = pid

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def join(self):
        while is_running(self.pid):
            time.sleep(0.001)


class CallQueue:
    """An Executor has none: nothing is there to be waited for."""

    def join_thread(self):
        pass


class StandardExecutor(snakefish.Executor):
    """mp_context: what a worker inherits is the same with each of them, so it is not looked at."""

    def __init__(self, max_workers=None, mp_context=None, **options):
        self._others = set(children())
        self._max_workers = max_workers
        super().__init__(max_workers or 0, **options)

    _call_queue = CallQueue()

    @property
    def _processes(self):
        return {pid: Worker(pid) for pid in set(children()) - self._others}

    @property
    def _executor_manager_thread(self):
        return [thread for thread in threading.enumerate() if thread.name.startswith(MANAGER)][-1]

    @property
    def _broken(self):
        """Tested by the only thing that a program sees of it."""
        try:
            self.submit(int).cancel()
        except snakefish.WorkerDied:
            raise
        except Exception as error:
            return str(error)
        return False


class SnakefishExecutor(StandardExecutor):
    """Not the class that stands in for ProcessPoolExecutor: a test skips that one."""
