"""What few programs need before and after a fork, and what is easier in Python than in C: warnings, tracebacks, exit
statuses. Internal. ext/py/task/protocol.c calls the steps of a child in the order of multiprocessing's own children, so
that both can be mixed in one program.
"""

import io
import os
import sys
from _thread import get_ident

from snakefish._streams import above_standard_streams, write_line


class RemoteTraceback(Exception):
    """The traceback of an exception in a child process: the __cause__ of that exception here."""

    def __init__(self, text):
        super().__init__(text)

    def __str__(self):
        return '\n"""\n' + self.args[0].rstrip("\n") + '\n"""'


def run_signal_handlers():
    """For PyPy, which runs signal handlers only between bytecodes, where a loop jumps back, and not in calls from C."""
    for _ in (1, 2):
        pass


def warn_of_threads(this):
    """In the parent, before a fork, if there are other threads than this one."""
    from snakefish import _threads

    _threads.warn(this)


def forget_imports():
    """In the child, first: imports that other threads of the parent were in the midst of are not finished here, and nobody
    would release the locks of their modules. Such a module is imported anew when it is asked for, as after an import that
    has failed. Imports that the thread that forked is in the midst of go on."""
    importlib, this = sys.modules["_frozen_importlib"], get_ident()
    for name, reference in list(importlib._module_locks.items()):
        lock = reference()
        if lock is not None and lock.owner == this:
            _forget_waiters(lock)
            continue
        importlib._module_locks.pop(name, None)
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if lock is not None and lock.owner is not None and getattr(spec, "_initializing", False):
            del sys.modules[name]
    blocking = getattr(importlib._blocking_on, "data", importlib._blocking_on)  # 3.12 has a WeakValueDictionary there
    for thread in list(blocking):
        if thread != this:
            blocking.pop(thread, None)


def _forget_waiters(lock):
    """Threads that wait for this lock of a module, or are about to, are not in the child."""
    lock.lock._at_fork_reinit()
    lock.wakeup._at_fork_reinit()
    lock.waiters = type(lock.waiters)()  # an int; a list since 3.12


class _Nothing(io.RawIOBase):
    """An empty file. It has a descriptor only if somebody asks for it, and that is one of /dev/null."""

    name, mode = "<stdin>", "rb"
    _descriptor = None

    def readable(self):
        return True

    def readinto(self, buffer):
        return 0

    def fileno(self):
        if self._descriptor is None:
            self._descriptor = open(os.devnull, "rb", 0)
        return self._descriptor.fileno()

    def close(self):
        if self._descriptor is not None:
            self._descriptor.close()
        super().close()


def make_empty_input():
    """What a child has as sys.stdin, as multiprocessing's children have /dev/null. Descriptor 0 stays as it is."""
    return io.TextIOWrapper(io.BufferedReader(_Nothing()), encoding="utf-8")


def forget_finalizers():
    """In the child, if weakref.finalize was used before: at the child's end its own finalizers run (TemporaryDirectory's
    among them), and not those that it inherited. Those run here only when they are called, or their object is freed.
    """
    finalize = sys.modules["weakref"].finalize
    first_own = next(finalize._index_iter)
    run_all = finalize._exitfunc

    def run_own():
        for info in list(finalize._registry.values()):
            if info.index < first_own:
                info.atexit = False
        run_all()

    finalize._exitfunc = staticmethod(run_own)
    finalize._registered_with_atexit = False  # the first one that is made here registers run_own


def take_over_multiprocessing(name):
    """In the child, first. Without it, multiprocessing in the child would terminate the parent's daemon processes at
    the end of the child."""
    import itertools

    process = sys.modules["multiprocessing.process"]
    own = process.BaseProcess(name=name)
    own._parent_pid = os.getppid()
    own._config = dict(own._config, daemon=False)
    parent = process._current_process
    process._parent_process = process._ParentProcess(parent.name, own._parent_pid, _open_parent(own._parent_pid))
    process._current_process = own
    process._process_counter = itertools.count(1)
    process._children = set()
    threading = sys.modules["threading"]
    if threading._HAVE_THREAD_NATIVE_ID:
        threading.main_thread()._set_native_id()  # else it is the parent's
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()
        util._run_after_forkers()


def make_named_factory(make_record, own_name):
    """In the parent, where multiprocessing is not loaded: what a child sets as logging's record factory, so that its log
    records have its name."""

    def make_named_record(*args, **kwargs):
        record = make_record(*args, **kwargs)
        if getattr(record, "processName", None) == "MainProcess":
            record.processName = own_name()
        return record

    return make_named_record


def end_logging(inherited):
    """In the child, near its end: flushes its own log handlers, as logging's exit handler would, which is the parent's
    where the parent has imported logging. inherited: references to the parent's handlers."""
    logging = sys.modules["logging"]
    not_own = set(map(id, inherited))
    logging.shutdown([reference for reference in logging._handlerList if id(reference) not in not_own])


def _open_parent(pid):
    """A descriptor that is readable once the parent is dead, as multiprocessing.parent_process() wants one; or None."""
    try:
        return above_standard_streams(os.pidfd_open(pid))
    except (AttributeError, OSError):  # PyPy has no such call; the parent may be gone, or descriptors used up
        return None


def forget_executors():
    """In the child: the threads of the parent's executors do not exist here, so nothing may wait for them. (One of them
    may have forked, and exists here as the main thread.)"""
    for module, threads in (("thread", "_threads_queues"), ("process", "_threads_wakeups")):
        module = sys.modules.get("concurrent.futures." + module)
        if module is not None:
            getattr(module, threads, {}).clear()


def end_threads():
    """In the child: waits for the threads that it has started."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()


def end_multiprocessing():
    """In the child, near its end: waits for the feeder threads of its queues, and for its own children."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._exit_function()


def save_coverage():
    """In the child, last: saves what coverage.py has measured. coverage.py itself saves in an exit handler, which the
    child inherits from its parent and does not run. Only where each process has a data file of its own (parallel =
    True, pytest-cov), because coverage.py cannot merge into a shared one."""
    coverage = getattr(sys.modules["coverage"], "Coverage", None)
    measuring = coverage.current() if coverage is not None else None
    if measuring is None:
        return
    measuring.stop()
    data = getattr(measuring, "_data", None)
    if getattr(data, "_suffix", None) or measuring.get_option("run:parallel"):
        measuring.save()


def import_traceback():
    """The module, which only children that fail need; None where it cannot be imported: no descriptor is free, or the
    child has left the file system that Python is in. Where one child has failed others may: from then on the parent
    imports it before it forks, and they inherit it."""
    try:
        import traceback
    except Exception:
        return None
    return traceback


def _format_roughly(exception):
    """What can be said without the module traceback, and without reading files."""
    lines, step = ["Traceback (most recent call last):"], exception.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {step.tb_lineno}, in {code.co_name}')
        step = step.tb_next
    return "\n".join([*lines, summarise(exception)]) + "\n"


def format_exception(exception):
    """The traceback as the interpreter would print it."""
    traceback = import_traceback()
    if traceback is None:
        return _format_roughly(exception)
    return "".join(traceback.format_exception(type(exception), exception, exception.__traceback__))


def summarise(exception):
    """One line: the type and the message."""
    try:
        traceback = import_traceback()
        if traceback is None:
            return f"{type(exception).__name__}: {exception}"
        return "".join(traceback.format_exception_only(type(exception), exception)).strip()
    except Exception:
        return type(exception).__name__


def exit_status(exception):
    """The process's exit status for a SystemExit, by the interpreter's rules; prints a code that is no number."""
    code = exception.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(1 << 63) <= code < 1 << 63 else 0xFF
    write_line(code)
    return 1
