"""trace.instrument, Pools: maps in the caller, chunks and results in the workers. The waits for results are those of
_instrument_waits.py. Internal.

A replacement of a method gets the method first, then the method's arguments.
"""

import threading

from multiprocessing import pool, process

from snakefish._snakefish import (
    _EVENT_CHUNK as CHUNK,
    _EVENT_MAP as MAP,
    _EVENT_RESULT as RESULT,
    _PHASE_BEGIN as BEGIN,
    _PHASE_END as END,
    _TASK_MAP as TASK_MAP,
    _instrument_event as event,
    _instrument_new_task as new_task,
    _instrument_sent_bytes as sent_bytes,
    _instrument_span as span,
)
from snakefish._instrument_processes import task_of

_call = threading.local()  # .chunks: how many the map has that this thread began last


class _Queue:
    """A Pool worker's queue, with one method replaced by a subclass."""

    def __init__(self, queue, work):
        self._queue, self._work = queue, work

    def __getattr__(self, name):
        return getattr(self._queue, name)


class _Tasks(_Queue):
    """The queue of tasks: a chunk begins when the worker has got one."""

    def get(self):
        task = self._queue.get()
        if task is not None:
            _, number, function, args, _ = task
            chunked = function is pool.mapstar or function is pool.starmapstar
            self._work.begin_chunk(number, len(args[0][1]) if chunked else 1)
        return task


class _Results(_Queue):
    """The queue of results: a chunk ends when the worker puts its result."""

    def put(self, result):
        self._work.end_chunk()
        span(self._queue.put, RESULT, self._work.task, 0, 0, _result_ended, result)


def _result_ended(error):
    return 0 if error else sent_bytes(), 0


class _Work:
    """The chunk that a Pool worker computes."""

    def __init__(self, task):
        self.task, self._chunk = task, None

    def begin_chunk(self, number, size):
        self._chunk = number, size
        event(CHUNK, BEGIN, self.task, number, size)

    def end_chunk(self):
        if self._chunk is not None:
            event(CHUNK, END, self.task, *self._chunk)
        self._chunk = None


def _worker(original, inqueue, outqueue, *args, **kwargs):
    task = task_of(process.current_process()) if hasattr(inqueue, "_writer") else None  # else a thread of a ThreadPool
    if task is not None:
        work = _Work(task)
        inqueue, outqueue = _Tasks(inqueue, work), _Results(outqueue, work)
    return original(inqueue, outqueue, *args, **kwargs)


def _has_processes(of):
    return hasattr(getattr(of, "_outqueue", None), "_reader")  # not a ThreadPool, nor a Pool being closed


def _map(original, self, *args, **kwargs):
    if not _has_processes(self):
        return original(self, *args, **kwargs)
    task = new_task(original.__name__, TASK_MAP)
    _call.chunks = 0

    def ended(error):
        return _call.chunks, self._processes

    return span(original, MAP, task, 0, self._processes, ended, self, *args, **kwargs)


def _map_async(original, self, func, iterable, *args, **kwargs):
    self._check_running()
    if not hasattr(iterable, "__len__"):
        iterable = list(iterable)
    count = len(iterable)  # now: the result forgets it when a chunk has failed
    result = original(self, func, iterable, *args, **kwargs)
    if result._chunksize > 0:
        _call.chunks = int(-(-count // result._chunksize))
    return result


METHODS = [
    (pool, "worker", _worker),
    (pool.Pool, "map", _map),
    (pool.Pool, "starmap", _map),
    (pool.Pool, "_map_async", _map_async),
]
