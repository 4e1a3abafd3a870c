"""trace.instrument: joblib's calls, batches in threads, and arrays that go through files. Its processes are loky's or a Pool's,
and its batches there are their tasks. Internal.

A replacement of a method gets the method first, then the method's arguments.
"""

import functools
import importlib

from snakefish._snakefish import (
    _EVENT_CHUNK as CHUNK,
    _EVENT_SUBMIT as SUBMIT,
    _PHASE_INSTANT as INSTANT,
    _instrument_copy as copy,
    _instrument_event as event,
    _instrument_span as span,
    _next_submit as next_submit,
    _trace_span as user_span,
)


def _call(original, self, iterable):
    with user_span("joblib.Parallel"):
        return original(self, iterable)


def _apply_async(original, self, func, callback=None):
    """Of a backend that has a Pool, or a ThreadPool."""
    if getattr(self, "uses_threads", False):
        number, size = next_submit(), len(func)
        event(SUBMIT, INSTANT, 0, number, self._get_pool()._inqueue.qsize())
        func = functools.partial(span, func, CHUNK, 0, number, size, lambda error: (number, size))
    return original(self, func, callback)


def _dump(original, value, *args, **kwargs):
    return copy(original, getattr(value, "nbytes", 0), value, *args, **kwargs)


def methods(parallel):
    return [
        (parallel.Parallel, "__call__", _call),
        (importlib.import_module("joblib._parallel_backends").PoolManagerMixin, "apply_async", _apply_async),
        (importlib.import_module("joblib._memmapping_reducer"), "dump", _dump),
    ]
