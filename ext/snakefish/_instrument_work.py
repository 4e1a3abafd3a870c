"""trace.instrument: what a worker of a Pool or an executor does, seen from its two queues. Internal.

The worker's waits for a task are for work. A chunk begins when it has got a task, and ends when it puts the result; putting that
is the `result`.
"""

import functools
import sys

from snakefish._snakefish import (
    _EVENT_CHUNK as CHUNK,
    _EVENT_RESULT as RESULT,
    _PHASE_BEGIN as BEGIN,
    _PHASE_END as END,
    _instrument_event as event,
    _instrument_for_work as for_work,
    _instrument_sent_bytes as sent_bytes,
    _instrument_span as span,
)


class _Work:
    """What the worker is at. chunk: (number, arguments in it), None: nothing. is_due: its result has not been put yet."""

    def __init__(self, task):
        self.task, self.chunk, self.is_due = task, None, False

    def begin(self, chunk):
        self.chunk, self.is_due = chunk, True
        event(CHUNK, BEGIN, self.task, *chunk)

    def end(self):
        if self.chunk is not None:
            event(CHUNK, END, self.task, *self.chunk)
        self.chunk = None


class _Queue:
    """A worker's queue, with one method replaced by a subclass."""

    def __init__(self, queue, work):
        self._queue, self._work = queue, work

    def __getattr__(self, name):
        return getattr(self._queue, name)


class _Tasks(_Queue):
    def __init__(self, queue, work, described):
        super().__init__(queue, work)
        self._described = described

    def get(self, *args, **kwargs):
        task = for_work(self._queue.get, *args, **kwargs)
        if task is not None:
            self._work.begin(self._described(task))
        return task


class _Results(_Queue):
    def put(self, result):
        self._work.end()
        if not self._work.is_due:  # a worker says that it ends
            return self._queue.put(result)
        span(self._queue.put, RESULT, self._work.task, 0, 0, _result_ended, result)
        self._work.is_due = False


def _result_ended(error):
    return 0 if error else sent_bytes(), 0


def queues_of_worker(tasks, results, task, described):
    """The two queues for a worker, whose task this is. described(what it gets): the chunk's number, the arguments in it."""
    work = _Work(task)
    return _Tasks(tasks, work, described), _Results(results, work)


def size_of(function, args):
    """How many calls of the user's function this call stands for."""
    if isinstance(function, functools.partial) and function.func.__name__ == "_process_chunk":  # of a map with chunksize
        return len(args[0])
    safe = getattr(sys.modules.get("joblib._parallel_backends"), "SafeFunction", None)
    if safe is not None and isinstance(function, safe) and hasattr(function.func, "__len__"):  # a batch
        return len(function.func)
    return 1
