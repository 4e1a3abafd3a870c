"""trace.instrument, Pools: maps in the caller, chunks and results in the workers. The waits for results are those of
_instrument_waits.py. Internal.

A replacement of a method gets the method first, then the method's arguments.
"""

import threading

from multiprocessing import pool, process

from snakefish._snakefish import (
    _EVENT_MAP as MAP,
    _TASK_MAP as TASK_MAP,
    _instrument_new_task as new_task,
    _instrument_span as span,
)
from snakefish._instrument_processes import task_of
from snakefish._instrument_work import queues_of_worker, size_of

_call = threading.local()  # .chunks: how many the map has that this thread began last


def _described(task):
    """(the chunk's number, how many arguments it has)"""
    _, number, function, args, _ = task
    chunked = function is pool.mapstar or function is pool.starmapstar
    return number, len(args[0][1]) if chunked else size_of(function, args)


def _worker(original, inqueue, outqueue, *args, **kwargs):
    task = task_of(process.current_process()) if hasattr(inqueue, "_writer") else None  # else a thread of a ThreadPool
    if task is not None:
        inqueue, outqueue = queues_of_worker(inqueue, outqueue, task, _described)
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
