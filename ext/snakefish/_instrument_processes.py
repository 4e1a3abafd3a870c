"""trace.instrument: processes, from their fork to their end. Internal.

A replacement of a method gets the method first, then the method's arguments. A span is one call of
ext/py/trace/instrument_task.c, so that an exception of a signal handler cannot leave it open.
"""

import functools

from multiprocessing import forkserver, popen_fork, popen_forkserver, process

from snakefish import _snakefish
from snakefish._snakefish import (
    _EVENT_EXIT as EXIT,
    _EVENT_FORK as FORK,
    _EVENT_JOIN as JOIN,
    _EVENT_REAP as REAP,
    _EVENT_RUN as RUN,
    _OUTCOME_EXITED as EXITED,
    _OUTCOME_RAISED as RAISED,
    _OUTCOME_RETURNED as RETURNED,
    _PHASE_INSTANT as INSTANT,
    _TASK_EXECUTOR_WORKER as TASK_EXECUTOR_WORKER,
    _TASK_PROCESS as TASK_PROCESS,
    _WAIT_CHILD as FOR_CHILD,
    _WAIT_REQUEST as FOR_REQUEST,
    _instrument_event as event,
    _instrument_family as family,
    _instrument_fork_as as fork_as,
    _instrument_new_task as new_task,
    _instrument_span as span,
    _instrument_wait as wait,
)


def task_of(owner):
    """The number that start() gave the process; None: it was started before instrument(), or by another family."""
    of, task = getattr(owner, "_snakefish_task", (0, None))
    return task if of == family() else None


def _name_of(process):
    """The name as text that UTF-8 can encode: multiprocessing accepts any object as a name."""
    return str(process._name).encode(errors="replace").decode()


def _kind_of(process):
    is_worker = getattr(getattr(process, "_target", None), "__qualname__", None) == "_process_worker"
    return TASK_EXECUTOR_WORKER if is_worker else TASK_PROCESS


def _give_task(self):
    task = new_task(_name_of(self), _kind_of(self))
    self._snakefish_task = family(), task
    return task


def _start(original, self):
    if getattr(self, "_popen", self) is not None:  # then start() will raise
        return original(self)
    task = _give_task(self)

    def start():
        original(self)
        self._popen._snakefish_task = self._snakefish_task

    def ended(error):
        pid = 0 if self._popen is None else self._popen.pid
        errno = getattr(error, "errno", None)
        return pid, errno if isinstance(errno, int) else 0

    return span(start, FORK, task, 0, 0, ended)


def _launch(original, self, process_obj):
    task = task_of(process_obj)
    if task is None:
        return original(self, process_obj)
    return fork_as(original, task, _name_of(process_obj), self, process_obj)


def _run_ended(error):
    return RETURNED if error is None else EXITED if isinstance(error, SystemExit) else RAISED, 0


def _bootstrap(original, self, *args, **kwargs):
    _snakefish._instrument_in_child()
    task = task_of(self)
    if task is None:  # started by a process of another family, whose numbers mean nothing here
        task = _give_task(self)
        _snakefish._trace_rename(_name_of(self))
    self.run = functools.partial(span, self.run, RUN, task, 0, 0, _run_ended)
    code = original(self, *args, **kwargs)
    _snakefish._instrument_usage()
    event(EXIT, INSTANT, task, code & 0xFF, 0)
    return code


def _join(original, self, timeout=None):
    popen, task = getattr(self, "_popen", None), task_of(self)
    if popen is None or getattr(popen, "_snakefish_joined", False):
        return original(self, timeout)
    if task is None:
        return wait(original, FOR_CHILD, None, self, timeout)

    def ended(error):
        popen._snakefish_joined = popen.returncode is not None
        return popen.returncode or 0, 0

    return span(wait, JOIN, task, 0, 0, ended, original, FOR_CHILD, task, self, timeout)


def poll(original, self, *args, **kwargs):
    before = self.returncode
    status = original(self, *args, **kwargs)
    if before is None and status is not None:
        task = task_of(self)
        if task is not None:
            event(REAP, INSTANT, task, self.pid, status)
    return status


def _serve(original, *args, **kwargs):
    """The server that forks the processes of the start method forkserver: it only waits for requests."""
    _snakefish._trace_rename("forkserver")
    return wait(original, FOR_REQUEST, None, *args, **kwargs)


METHODS = [
    (process.BaseProcess, "start", _start),
    (process.BaseProcess, "_bootstrap", _bootstrap),
    (process.BaseProcess, "join", _join),
    (popen_fork.Popen, "_launch", _launch),
    (popen_fork.Popen, "poll", poll),
    (popen_forkserver.Popen, "poll", poll),
    (forkserver, "main", _serve),
]
