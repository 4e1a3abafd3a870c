"""A traced map on an executor: the caller's side. Internal; `_submit.py` uses it where the caller is traced, else nothing of
this runs. `_submitted_trace.py` is the worker's side.

The caller writes SUBMIT for each chunk, with its number, and the worker CHUNK with the same one. What a remote worker has
recorded comes with the chunk's result: the report, with a parcel for each process there. Parcels are kept until the map has
ended, or until they are many, because each further exchange tells better how the clocks differ (`_submit_clock.py`). Then
they go into logs of the caller's session (ext/core/log/relay.h), one for each remote process, in the order in which they were
recorded. Those that never came, and what was cut off, count as lost.
"""

import os
import threading
import zlib
from collections import namedtuple

from snakefish import _snakefish
from snakefish._snakefish import (
    _EVENT_MAP as MAP,
    _EVENT_MERGE as MERGE,
    _EVENT_PICKLED as PICKLED,
    _EVENT_SUBMIT as SUBMIT,
    _PHASE_INSTANT as INSTANT,
    _TASK_MAP as TASK_MAP,
    _WAIT_MESSAGE as FOR_RESULTS,
    _instrument_event as event,
    _instrument_new_task as new_task,
    _instrument_span as span,
    _instrument_wait as wait,
    _remote_clock as clock,
    enabled,
)
from snakefish import _submitted_trace
from snakefish._submit_clock import Clocks

_KEPT_PARCELS, _KEPT_BYTES = 1024, 1 << 22
# What _remote_take gives for a log, as a tuple.
Parcel = namedtuple("Parcel", "pid start parent_pid parent_start family task name first end data lost torn is_over")


class _Log:
    """The log of a remote process. parent: that of the remote process that has forked it, or None."""

    def __init__(self, parcel, host, space, parent):
        self._parcel, self._space, self._parent = parcel._replace(data=b""), space, parent
        own = _submitted_trace.name_of(host, parcel.pid)
        self._name = parcel.name if parent is None else f"{own} ".encode() + parcel.name
        self._relay, self.start_tsc = None, 0  # 0: there is no relay yet
        self._next, self._lost, self.is_over = 0, 0, False  # the record that comes next, how many were lost there
        self._kept = {}  # parcels by their first record and their end

    def keep(self, exchange, parcel):
        self._kept[parcel.first, parcel.end] = exchange, parcel

    def write(self, with_gaps):
        """Writes what is kept: all, or what comes before the first gap. (parcels, bytes) that it has written."""
        parcels = size = 0
        for key in sorted(self._kept):
            if key[0] > self._next and not with_gaps:
                break
            exchange, parcel = self._kept.pop(key)
            if parcel.first >= self._next:  # else it counts as lost already
                self._write(exchange, parcel)
            parcels, size = parcels + 1, size + len(parcel.data)
        return parcels, size

    def _write(self, exchange, parcel):
        line, error_ns = exchange.line()
        self._open(line)
        missing, cut = parcel.first - self._next, parcel.end - parcel.first - len(parcel.data) // _submitted_trace.RECORD_BYTES
        if self._relay is not None:
            _snakefish._remote_write(self._relay, line, parcel.data, missing, cut, max(0, parcel.lost - self._lost),
                                     parcel.torn, error_ns)
        self._next, self._lost = parcel.end, max(parcel.lost, self._lost)
        if parcel.is_over:
            self._relay, self.is_over = None, True  # this closes it

    def _open(self, line):
        if self.start_tsc:
            return
        if self._parent is not None:
            self._parent._open(line)
        of = self._parcel
        self.start_tsc = _snakefish._remote_time(line, of.start)
        self._relay = _snakefish._remote_relay(of.pid, of.parent_pid, of.task, self._space, of.family, of.start, self.start_tsc,
                                               self._parent.start_tsc if self._parent else 0, self._name)


class _Home:
    """What this process knows about remote ones, in one session."""

    def __init__(self, directory, forks):
        self._key = directory, forks
        self.session, self.token = os.path.basename(directory), os.urandom(8)
        self._clocks, self._logs, self._lock = Clocks(), {}, threading.RLock()
        self._parcels = self._bytes = 0  # that are kept

    def is_of(self, directory, forks):
        return self._key == (directory, forks)

    def take(self, report, sent, came):
        (host, boot, time_space, pid_space), clocks, parcels = report
        space = zlib.crc32(f"{boot} {pid_space}".encode()) & 0x7FFFFFFF or 1  # the kernel numbers its own from 0xf0000000 on
        with self._lock:
            exchange = self._clocks.exchange(boot, time_space, clocks, sent, came)
            for parcel in map(Parcel._make, parcels):
                self._find(parcel, host, space).keep(exchange, parcel)
                self._parcels, self._bytes = self._parcels + 1, self._bytes + len(parcel.data)
            for with_gaps in (False, True):
                if self._parcels > _KEPT_PARCELS or self._bytes > _KEPT_BYTES:
                    self._write(with_gaps)

    def write_all(self):
        """What is not here by now counts as lost."""
        with self._lock:
            self._write(True)

    def _write(self, with_gaps):
        if not self.is_of(_snakefish._trace_directory(), _snakefish._trace_forks()):
            self._logs.clear()  # the session is over
        for key, log in list(self._logs.items()):
            parcels, size = log.write(with_gaps)
            self._parcels, self._bytes = self._parcels - parcels, self._bytes - size
            if log.is_over:
                del self._logs[key]

    def _find(self, parcel, host, space):
        log = self._logs.get((space, parcel.pid, parcel.start))
        if log is None:
            parent = self._logs.get((space, parcel.parent_pid, parcel.parent_start)) if parcel.parent_start else None
            log = self._logs[space, parcel.pid, parcel.start] = _Log(parcel, host, space, parent)
        return log


_home = None


def _get_home():
    global _home
    directory, forks = _snakefish._trace_directory(), _snakefish._trace_forks()
    if _home is None or not _home.is_of(directory, forks):
        _home = _Home(directory, forks)
    return _home


def write_all():
    """Before this process leaves its session."""
    if _home is not None:
        _home.write_all()


class Trace:
    """The trace of one map on an executor. It keeps no reference to the map."""

    def __init__(self):
        self._home = _get_home()
        self._sent, self._came = {}, {}  # number of a chunk: the clock then

    def submit(self, number, waiting):
        """The ticket of a chunk that is submitted next, behind so many."""
        ticket = _snakefish._next_submit()
        event(SUBMIT, INSTANT, 0, ticket, waiting)
        self._sent[number] = clock()
        return self._home.session, self._home.token, ticket

    def hear(self, number):
        """Its result is here. In any thread."""
        self._came[number] = clock()

    def take(self, number, report):
        """Writes what came with the result of a chunk, once."""
        sent, came = self._sent.pop(number, None), self._came.pop(number, None)
        if report is not None and sent is not None and came is not None and enabled():
            self._home.take(report, sent, came)

    def end(self):
        """The map has ended."""
        self._home.write_all()

    def pickled(self, since, count):
        event(PICKLED, INSTANT, 0, count, since)

    def wait(self, get):
        """get(), which waits for results."""
        return wait(get, FOR_RESULTS, None)

    def run_map(self, f, workers, run):
        """run.run(), which is a map of f."""
        name = getattr(f, "__name__", None) or type(f).__name__
        return span(run.run, MAP, new_task(str(name), TASK_MAP), 0, workers, lambda error: (run.chunks, workers))

    def merge(self, merge, *args):
        return span(merge, MERGE, 0, 0, 0, lambda error: (0, 0), *args)
