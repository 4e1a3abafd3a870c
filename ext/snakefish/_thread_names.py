"""Tells the trace when a Python thread gets another name, by a setter of threading.Thread.name. Internal.

A thread's first name is found by ext/py/trace/thread_names.c."""

import threading

from snakefish import _snakefish

_original = vars(threading.Thread).get("name")


def _set_name(thread, name):
    _original.fset(thread, name)
    ident, name = thread.ident, thread.name
    if threading._active.get(ident) is thread and isinstance(name, str):  # else it has not begun, or has ended
        _snakefish._trace_thread_renamed(ident, name)


_watching = None
if isinstance(_original, property) and _original.fset:
    _watching = property(_original.fget, _set_name, _original.fdel, _original.__doc__)


def watch():
    if _watching and vars(threading.Thread).get("name") is _original:
        threading.Thread.name = _watching


def unwatch():
    if _watching and vars(threading.Thread).get("name") is _watching:
        threading.Thread.name = _original
