"""trace.instrument("multiprocessing"): its methods wrapped, so that they write the events that ours write. Internal.

Every wrapper calls what it wraps, with the same arguments, and hands on what that returns or raises. They are put in place
of attributes of multiprocessing's classes and modules, which uninstrument() puts back; children made by fork have them
too. How messages are numbered: ext/core/pipes.h; how calls nest: ext/py/instrument.c.
"""

import functools
import os
import threading

from snakefish import _snakefish
from snakefish._snakefish import (
    _instrument_call_end as call_end,
    _instrument_event as event,
    _instrument_pickled as pickled,
    _instrument_read_begin as read_begin,
    _instrument_read_end as read_end,
    _instrument_receive_begin as receive_begin,
    _instrument_send_begin as send_begin,
    _instrument_stretch_begin as stretch_begin,
    _instrument_wait as wait_event,
    _instrument_write as write_message,
)

# ids of ext/abi/events.def and the enums of log_format.h, which never change
FORK, RUN, RESULT, EXIT, JOIN, REAP, WAIT, MAP, CHUNK = 5, 7, 9, 10, 11, 12, 16, 19, 20
INSTANT, BEGIN, END = 0, 1, 2
RETURNED, RAISED, EXITED = 1, 2, 3
FOR_MESSAGE, FOR_ROOM, FOR_CHILD = 1, 2, 3
TASK_MAP, TASK_PROCESS = 3, 5

_patched = []  # (owner, name, what was there, what is there now)
_call = threading.local()  # .chunks: of the map that this thread has just begun


# ---- connections: everything that is sent goes through them ----


def _pipes(connection):
    """The numbers of the pipes that it writes into and reads from, (0, 0) if it has none."""
    try:
        return connection._snakefish_pipes
    except AttributeError:
        pass
    found = (0, 0) if connection._handle is None else _snakefish._instrument_find(connection._handle)
    if found != (0, 0):
        connection._snakefish_pipes = found
    return found


def _wrap_send(original):
    @functools.wraps(original)
    def send(self, *args, **kwargs):
        if not send_begin(_pipes(self)[0]):
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            call_end()

    return send


def _wrap_write(original):
    @functools.wraps(original)
    def _send_bytes(self, buf):
        return write_message(original, self, buf, _pipes(self)[0], len(buf), self._handle)

    return _send_bytes


def _wrap_receive(original):
    @functools.wraps(original)
    def receive(self, *args, **kwargs):
        handle = self._handle
        if handle is None or not receive_begin(_pipes(self)[1], handle, False):  # _recv_bytes waits
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            call_end()

    return receive


def _wrap_read(original):
    @functools.wraps(original)
    def _recv_bytes(self, maxsize=None):
        pipe = _pipes(self)[1]
        if not read_begin(pipe, self._handle):
            return original(self, maxsize)
        got = -2
        try:
            buf = original(self, maxsize)
            if buf is not None:  # else the message is longer than the caller takes
                got = buf.tell()
            return buf
        except EOFError:
            got = -1
            raise
        finally:
            read_end(pipe, got)

    return _recv_bytes


def _wrap_pipe(original):
    @functools.wraps(original)
    def Pipe(duplex=True):
        first, second = original(duplex)
        reader, writer = (second, first) if duplex else (first, second)
        _snakefish._instrument_declare(reader._handle, writer._handle, bool(duplex))
        return first, second

    return Pipe


def _wrap_wait(original, Connection):
    @functools.wraps(original)
    def wait(object_list, timeout=None):
        pipe = 0
        if timeout is None or timeout > 0:
            object_list = list(object_list)
            first = object_list[0] if object_list else None
            if isinstance(first, Connection):
                pipe = _pipes(first)[1]
        if not pipe or not wait_event(pipe, FOR_MESSAGE, BEGIN):
            return original(object_list, timeout)
        try:
            return original(object_list, timeout)
        finally:
            wait_event(pipe, FOR_MESSAGE, END)

    return wait


# ---- pickling, for connections and queues ----


def _bound(attribute, cls):
    """What cls.name is, where vars(cls)[name] is the attribute: any kind of method, or what another put there."""
    get = getattr(attribute, "__get__", None)
    return attribute if get is None else get(None, cls)


def _wrap_dumps(original):
    @functools.wraps(getattr(original, "__func__", original))
    def dumps(cls, *args, **kwargs):
        began, size = stretch_begin(), 0
        try:
            buf = _bound(original, cls)(*args, **kwargs)
            size = len(buf)
            return buf
        finally:
            pickled(began, size)

    return classmethod(dumps)


def _wrap_loads(original):
    @functools.wraps(getattr(original, "__func__", original))
    def loads(cls, data, *args, **kwargs):
        began, size = stretch_begin(), 0
        try:
            obj = _bound(original, cls)(data, *args, **kwargs)
            size = len(data)
            return obj
        finally:
            pickled(began, size)

    return classmethod(loads)


# ---- queues: the wait for a message begins where a reader queues for the lock ----


def _wrap_simple_get(original):
    @functools.wraps(original)
    def get(self):
        reader = self._reader
        if reader._handle is None or not receive_begin(_pipes(reader)[1], reader._handle, True):
            return original(self)
        try:
            return original(self)
        finally:
            call_end()

    return get


def _wrap_get(original):
    @functools.wraps(original)
    def get(self, block=True, timeout=None):
        reader = self._reader
        if reader._handle is None or not receive_begin(_pipes(reader)[1], reader._handle, bool(block)):
            return original(self, block, timeout)
        try:
            return original(self, block, timeout)
        finally:
            call_end()

    return get


def _wrap_put(original):
    @functools.wraps(original)
    def put(self, obj, block=True, timeout=None):
        pipe = 0
        if block and self._sem._semlock._is_zero():
            pipe = _pipes(self._writer)[0]
        if not pipe or not wait_event(pipe, FOR_ROOM, BEGIN):
            return original(self, obj, block, timeout)
        try:
            return original(self, obj, block, timeout)
        finally:
            wait_event(pipe, FOR_ROOM, END)

    return put


# ---- processes ----


def _task_of(owner):
    """The number that start() gave it; None: it was started before, or belongs to another family."""
    family, task = getattr(owner, "_snakefish_task", (0, None))
    return task if family == _snakefish._instrument_family() else None


def _new_task(name, kind):
    return _snakefish._instrument_new_task(name, kind)


def _wrap_start(original):
    @functools.wraps(original)
    def start(self):
        if self._popen is not None or not _patched:  # it refuses; somebody kept this
            return original(self)
        task = _new_task(self._name, TASK_PROCESS)
        self._snakefish_task = _snakefish._instrument_family(), task
        event(FORK, BEGIN, task, 0, 0)
        pid = number = 0
        try:
            original(self)
            self._popen._snakefish_task = self._snakefish_task
            pid = self._popen.pid
        except OSError as error:
            number = error.errno or 0
            raise
        finally:
            event(FORK, END, task, pid, number)

    return start


def _wrap_launch(original):
    @functools.wraps(original)
    def _launch(self, process_obj):
        task = _task_of(process_obj)
        if task is None:
            return original(self, process_obj)
        _snakefish._instrument_fork_as(task, process_obj._name)
        try:
            return original(self, process_obj)
        finally:
            _snakefish._instrument_fork_as(0, None)  # it may not have come to the fork

    return _launch


def _wrap_duplicate(original):
    @functools.wraps(original)
    def duplicate_for_child(self, fd):
        _snakefish._instrument_uncount(fd)  # a program of its own, which shares no counts with this one
        return original(self, fd)

    return duplicate_for_child


def _traced_run(run, task):
    def traced():
        outcome = RAISED
        event(RUN, BEGIN, task, 0, 0)
        try:
            run()
            outcome = RETURNED
        except SystemExit:
            outcome = EXITED
            raise
        finally:
            event(RUN, END, task, outcome, 0)

    return traced


def _wrap_bootstrap(original):
    @functools.wraps(original)
    def _bootstrap(self, *args, **kwargs):
        if not _patched:
            return original(self, *args, **kwargs)
        _snakefish._instrument_in_child()
        task = _task_of(self)
        if task is None:  # started by a program of another family: it has numbers of its own
            task = _new_task(self._name, TASK_PROCESS)
            self._snakefish_task = _snakefish._instrument_family(), task
        self.run = _traced_run(self.run, task)
        code = original(self, *args, **kwargs)
        event(EXIT, INSTANT, task, code & 0xFF, 0)
        return code

    return _bootstrap


def _wrap_join(original):
    @functools.wraps(original)
    def join(self, timeout=None):
        popen = self._popen
        task = _task_of(self)
        if task is None or popen is None or getattr(popen, "_snakefish_joined", False):
            return original(self, timeout)
        event(JOIN, BEGIN, task, 0, 0)
        event(WAIT, BEGIN, 0, FOR_CHILD, task)
        try:
            return original(self, timeout)
        finally:
            event(WAIT, END, 0, FOR_CHILD, task)
            event(JOIN, END, task, popen.returncode or 0, 0)
            popen._snakefish_joined = popen.returncode is not None

    return join


def _wrap_poll(original):
    @functools.wraps(original)
    def poll(self, *args, **kwargs):
        before = self.returncode
        status = original(self, *args, **kwargs)
        if before is None and status is not None:
            task = _task_of(self)
            if task is not None:
                event(REAP, INSTANT, task, self.pid, status)
        return status

    return poll


# ---- Pool ----


class _Tasks:
    """A Pool worker's queue of tasks: a chunk begins when one was got."""

    def __init__(self, queue, work, chunked):
        self._queue, self._work, self._chunked = queue, work, chunked

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def get(self):
        task = self._queue.get()
        if task is not None:
            _, number, function, args, _ = task
            chunked = any(function is one for one in self._chunked)
            self._work.begin_chunk(number, len(args[0][1]) if chunked else 1)
        return task


class _Results:
    """A Pool worker's queue of results: the chunk is done when its result is put."""

    def __init__(self, queue, work):
        self._queue, self._work = queue, work

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def put(self, result):
        task = self._work.task
        self._work.end_chunk()
        event(RESULT, BEGIN, task, 0, 0)
        sent = 0
        try:
            self._queue.put(result)
            sent = _snakefish._instrument_sent_bytes()
        finally:
            event(RESULT, END, task, sent, 0)


class _Work:
    """What a Pool worker is at."""

    def __init__(self, task):
        self.task, self._chunk = task, None

    def begin_chunk(self, number, size):
        self._chunk = number, size
        event(CHUNK, BEGIN, self.task, number, size)

    def end_chunk(self):
        if self._chunk is not None:
            event(CHUNK, END, self.task, *self._chunk)
        self._chunk = None


def _wrap_worker(original, current_process, chunked):
    @functools.wraps(original)
    def worker(inqueue, outqueue, *args, **kwargs):
        task = _task_of(current_process()) if hasattr(inqueue, "_writer") else None  # else a thread of a ThreadPool
        if task is not None:
            work = _Work(task)
            inqueue, outqueue = _Tasks(inqueue, work, chunked), _Results(outqueue, work)
        return original(inqueue, outqueue, *args, **kwargs)

    return worker


def _has_processes(pool):
    return hasattr(getattr(pool, "_outqueue", None), "_reader")  # not so a ThreadPool, nor one that is at its end


def _wrap_map(original):
    @functools.wraps(original)
    def map(self, *args, **kwargs):
        if not _patched or not _has_processes(self):
            return original(self, *args, **kwargs)
        task = _new_task(original.__name__, TASK_MAP)
        _call.chunks = 0
        event(MAP, BEGIN, task, 0, self._processes)
        try:
            return original(self, *args, **kwargs)
        finally:
            event(MAP, END, task, _call.chunks, self._processes)

    return map


def _wrap_map_async(original):
    @functools.wraps(original)
    def _map_async(self, func, iterable, *args, **kwargs):
        self._check_running()
        if not hasattr(iterable, "__len__"):
            iterable = list(iterable)
        count = len(iterable)  # the result does not know any more, if a chunk of it has failed by now
        result = original(self, func, iterable, *args, **kwargs)
        if result._chunksize > 0:
            _call.chunks = -(-count // result._chunksize)
        return result

    return _map_async


def _wait_for_results(pool, call):
    if not _has_processes(pool) or not wait_event(0, FOR_MESSAGE, BEGIN):  # no pipe: it is another thread that receives
        return call()
    try:
        return call()
    finally:
        wait_event(0, FOR_MESSAGE, END)


def _wrap_result_wait(original):
    @functools.wraps(original)
    def wait(self, timeout=None):
        if self._event.is_set():
            return original(self, timeout)
        return _wait_for_results(self._pool, lambda: original(self, timeout))

    return wait


def _wrap_next(original):
    @functools.wraps(original)
    def next(self, timeout=None):
        if self._items or self._index == self._length:
            return original(self, timeout)
        return _wait_for_results(self._pool, lambda: original(self, timeout))

    return next


# ---- on and off ----


def _multiprocessing():
    """[(owner, name, wrap)]: what is wrapped."""
    from multiprocessing import (
        connection,
        pool,
        popen_fork,
        popen_forkserver,
        popen_spawn_posix,
        process,
        queues,
        reduction,
    )

    base, Process = connection.Connection.__mro__[1], process.BaseProcess
    worker = functools.partial(
        _wrap_worker, current_process=process.current_process, chunked=(pool.mapstar, pool.starmapstar)
    )
    wait = functools.partial(_wrap_wait, Connection=connection.Connection)
    return [
        (base, "send", _wrap_send),
        (base, "send_bytes", _wrap_send),
        (base, "recv", _wrap_receive),
        (base, "recv_bytes", _wrap_receive),
        (base, "recv_bytes_into", _wrap_receive),
        (connection.Connection, "_send_bytes", _wrap_write),
        (connection.Connection, "_recv_bytes", _wrap_read),
        (connection, "Pipe", _wrap_pipe),
        (connection, "wait", wait),
        (reduction.ForkingPickler, "dumps", _wrap_dumps),
        (reduction.ForkingPickler, "loads", _wrap_loads),
        (queues.SimpleQueue, "get", _wrap_simple_get),
        (queues.Queue, "get", _wrap_get),
        (queues.Queue, "put", _wrap_put),
        (queues.JoinableQueue, "put", _wrap_put),
        (Process, "start", _wrap_start),
        (Process, "_bootstrap", _wrap_bootstrap),
        (Process, "join", _wrap_join),
        (popen_fork.Popen, "_launch", _wrap_launch),
        (popen_fork.Popen, "poll", _wrap_poll),
        (popen_forkserver.Popen, "poll", _wrap_poll),
        (popen_forkserver.Popen, "duplicate_for_child", _wrap_duplicate),
        (popen_spawn_posix.Popen, "duplicate_for_child", _wrap_duplicate),
        (pool, "worker", worker),
        (pool.Pool, "map", _wrap_map),
        (pool.Pool, "starmap", _wrap_map),
        (pool.Pool, "_map_async", _wrap_map_async),
        (pool.ApplyResult, "wait", _wrap_result_wait),
        (pool.IMapIterator, "next", _wrap_next),
        (pool.IMapIterator, "__next__", _wrap_next),
    ]


_LIBRARIES = {"multiprocessing": _multiprocessing}


def _check(library):
    if not isinstance(library, str):
        raise TypeError(f"library must be a str, not {type(library).__name__}")
    if library not in _LIBRARIES:
        raise ValueError(f"library must be one of {', '.join(_LIBRARIES)}, not {library!r}")


def instrument(library):
    _check(library)
    if _patched:
        return
    wanted = _LIBRARIES[library]()
    for owner, name, _ in wanted:
        if name not in vars(owner):
            raise RuntimeError(f"this version of {library} cannot be instrumented: {owner.__name__} has no {name}")
    wrapped = [(owner, name, vars(owner)[name], wrap(vars(owner)[name])) for owner, name, wrap in wanted]
    _snakefish._instrument_active(True)
    for owner, name, before, now in wrapped:
        setattr(owner, name, now)
        _patched.append((owner, name, before, now))


def uninstrument(library):
    _check(library)
    while _patched:
        owner, name, before, now = _patched.pop()
        if vars(owner).get(name) is now:  # else somebody has wrapped ours, which does nothing from now on
            setattr(owner, name, before)
    _snakefish._instrument_active(False)
