"""trace.instrument: the tasks of executors, ProcessPoolExecutor's, loky's and ThreadPoolExecutor's. Internal.

Each task has a number: SUBMIT where it is submitted, CHUNK where it runs. A task of processes goes by its work id, which travels
with its arguments and its result: executors count their work ids from different numbers on, so that no two tasks of a process
have the same one.

A replacement of a method gets the method first, then the method's arguments.
"""

import itertools
import queue
import threading

from snakefish._snakefish import (
    _EVENT_CHUNK as CHUNK,
    _EVENT_SUBMIT as SUBMIT,
    _PHASE_INSTANT as INSTANT,
    _instrument_add_carrier as add_carrier,
    _instrument_event as event,
    _instrument_remove_carrier as remove_carrier,
    _instrument_span as span,
    _next_submit as next_submit,
)

_FIRST = 10**9  # the tasks of executors of processes begin with the multiples of this
_executors = itertools.count(1)


# ---- processes ----


class _WorkIds(queue.Queue):
    """The ids of an executor's tasks that are to be sent. submit() puts each, under the executor's lock."""

    def __init__(self, tasks, pending):
        super().__init__()
        self._tasks, self._pending = tasks, pending

    def put(self, item, *args, **kwargs):
        if self._tasks.on:
            event(SUBMIT, INSTANT, 0, item, max(0, len(self._pending) - 1))
        super().put(item, *args, **kwargs)


class ProcessTasks:
    """The executors of a module: concurrent.futures.process, or loky's process_executor."""

    def __init__(self, module):
        from snakefish._instrument_processes import task_of
        from snakefish._instrument_work import queues_of_worker, size_of

        self._module, self.on = module, True
        self._task_of, self._queues_of_worker, self._size_of = task_of, queues_of_worker, size_of
        for carrier, is_result in self._carriers():
            add_carrier(carrier, "work_id", is_result)

    def _carriers(self):
        return (self._module._CallItem, False), (self._module._ResultItem, True)

    def end(self):
        self.on = False
        for carrier, _ in self._carriers():
            remove_carrier(carrier)

    def methods(self):
        return [
            (self._module.ProcessPoolExecutor, "__init__", self._init),
            (self._module, "_process_worker", self._worker),
        ]

    def _init(self, original, executor, *args, **kwargs):
        original(executor, *args, **kwargs)
        if executor._queue_count == 0:
            executor._queue_count = next(_executors) * _FIRST
            executor._work_ids = _WorkIds(self, executor._pending_work_items)

    def _worker(self, original, call_queue, result_queue, *args, **kwargs):
        from multiprocessing import process

        task = self._task_of(process.current_process())
        if task is not None:
            call_queue, result_queue = self._queues_of_worker(call_queue, result_queue, task, self._described)
        return original(call_queue, result_queue, *args, **kwargs)

    def _described(self, item):
        return item.work_id, self._size_of(item.fn, item.args)


# ---- threads ----

_submitting = threading.local()  # .waiting: tasks that wait before the one that this thread submits


def _submit(original, self, *args, **kwargs):
    _submitting.waiting = self._work_queue.qsize()
    return original(self, *args, **kwargs)


def _init(original, self, *args, **kwargs):
    original(self, *args, **kwargs)
    self._snakefish_number = next_submit()
    event(SUBMIT, INSTANT, 0, self._snakefish_number, getattr(_submitting, "waiting", 0))


def _run(original, self, *args, **kwargs):
    number = getattr(self, "_snakefish_number", None)
    if number is None or self.future.cancelled():
        return original(self, *args, **kwargs)
    return span(original, CHUNK, 0, number, 1, lambda error: (number, 1), self, *args, **kwargs)


def thread_methods(module):
    return [
        (module.ThreadPoolExecutor, "submit", _submit),
        (module._WorkItem, "__init__", _init),
        (module._WorkItem, "run", _run),
    ]
