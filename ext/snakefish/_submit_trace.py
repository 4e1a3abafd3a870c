"""A traced map on an executor: the caller's side. Internal; `_submit.py` uses it where the caller is traced, else nothing of
this runs. `_submitted_trace.py` is the worker's side.

The caller writes SUBMIT for each chunk, with its number, and the worker CHUNK with the same one. What a remote worker has
recorded comes with the chunk's result: the report. It goes into a log of the caller's session (ext/core/log/relay.h), one for
each remote process, in the order in which it was recorded: a part that comes before an earlier one waits for that, at most
until its map has ended. Parts that never come, and what was cut off, count as lost.

Clocks. A report has two readings of the worker's counter and CLOCK_MONOTONIC, at the begin of what it recorded and at its end,
and the worker's clock at the chunk's begin; the caller has noted its own when it sent the chunk (t0) and when the result was
here (t3). With w1 and w2 as the worker's, the offset to add to the worker's clock is known to lie between t0 - w1 and t3 - w2,
since nothing is received before it is sent. Each exchange with a machine gives such an interval. The offset is in all of them,
so it is taken from the middle of their intersection, and half of its width is the error; it is what the fastest ways there and
back leave open. Clocks drift: the intersection widens by 100 ppm of the time that passes. Where an exchange contradicts it,
somebody has set a clock, and it begins anew. A machine of the same boot id, whose counter agrees with t0 and t3, has the same
counter: no offset, no error.
"""

import os
import threading
import zlib

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

_DRIFT = 1e-4  # by which two clocks may run apart: far more than quartz does, less than a clock that is being set
_WAITING = 64  # parts of one log that wait for an earlier one


class Offset:
    """What has to be added to a machine's clock, by all exchanges with it. Times in ns."""

    def __init__(self):
        self._low = self._high = self._at = None

    def learn(self, low, high, now):
        """It is in [low, high] by an exchange that ended now."""
        if self._at is not None:
            slack = int(abs(now - self._at) * _DRIFT) + 1
            kept = max(low, self._low - slack), min(high, self._high + slack)
            low, high = kept if kept[0] <= kept[1] else (low, high)
        self._low, self._high, self._at = low, high, now

    def estimate(self):
        """(offset, how wrong it may be)."""
        return (self._low + self._high) // 2, (self._high - self._low + 1) // 2


class _Log:
    """The log of a remote process."""

    def __init__(self, relay, start_tsc):
        self._relay, self.start_tsc = relay, start_tsc
        self._next, self._lost, self._waiting = 0, 0, {}

    def add(self, line, error_ns, parcel):
        first, end, data, lost, torn, is_over = parcel[7:]
        if self._relay is None or first < self._next:  # it came after its map had ended, and was counted as lost
            return
        self._waiting[first] = line, error_ns, end, data, lost, torn
        while self._next in self._waiting:
            self._write(self._next)
        if is_over or len(self._waiting) > _WAITING:
            self.flush()
        if is_over:
            self._relay = None  # closes it

    def flush(self):
        """What waits waits no longer."""
        for first in sorted(self._waiting):
            self._write(first)

    def _write(self, first):
        line, error_ns, end, data, lost, torn = self._waiting.pop(first)
        missing, cut = first - self._next, end - first - len(data) // 32
        if self._relay is not None:
            _snakefish._remote_write(self._relay, line, data, missing, cut, max(0, lost - self._lost), torn, error_ns)
        self._next, self._lost = end, max(lost, self._lost)


class _Home:
    """What this process knows about remote ones, in one session."""

    def __init__(self, directory, forks):
        self._key = directory, forks
        self.session, self.token = os.path.basename(directory), os.urandom(8)
        self._boot, self._began = _submitted_trace.where()[1], clock()
        self._offsets, self._logs, self._lock = {}, {}, threading.RLock()

    def is_of(self, directory, forks):
        return self._key == (directory, forks)

    def take(self, report, sent, came):
        (host, boot, time_space, pid_space), (before, entered, ended), parcels = report
        space = zlib.crc32(f"{boot} {pid_space}".encode()) & 0x7FFFFFFF or 1  # the kernel numbers its own from 0xf0000000 on
        with self._lock:
            line, error_ns = self._line(boot, time_space, before, entered, ended, sent, came)
            for parcel in parcels:
                self._find(parcel, line, host, space).add(line, error_ns, parcel)

    def flush(self):
        with self._lock:
            for log in self._logs.values():
                log.flush()

    def _line(self, boot, time_space, before, entered, ended, sent, came):
        """(how the worker's counter becomes this machine's, as ext/core/log/relay.h has it; how wrong that may be in ns)."""
        held = entered[0], sent[0], came[0]
        if boot and boot == self._boot and sent[0] <= entered[0] and ended[0] <= came[0]:
            return (ended[0], ended[0], 1.0, *held), 0
        offset = self._offsets.setdefault((boot, time_space), Offset())
        offset.learn(sent[1] - entered[1], came[1] - ended[1], came[1])
        add_ns, error_ns = offset.estimate()
        ticks_each_ns = (came[0] - self._began[0]) / max(1, came[1] - self._began[1])
        rate = (ended[1] - before[1]) / max(1, ended[0] - before[0]) * ticks_each_ns
        end = came[0] + int((ended[1] + add_ns - came[1]) * ticks_each_ns)
        return (ended[0], end, rate, *held), error_ns

    def _find(self, parcel, line, host, space):
        pid, start, parent_pid, parent_start, family, task, name = parcel[:7]
        log = self._logs.get((space, pid, start))
        if log is None:
            parent = self._logs.get((space, parent_pid, parent_start)) if parent_start else None
            own_name = _submitted_trace.name_of(host, pid)
            name = name if parent is None else f"{own_name} ".encode() + name
            start_tsc = _snakefish._remote_time(line, start)
            relay = _snakefish._remote_relay(pid, parent_pid, task, space, family, start, start_tsc,
                                             parent.start_tsc if parent else 0, name)
            log = self._logs[space, pid, start] = _Log(relay, start_tsc)
        return log


_home = None


def _get_home():
    global _home
    directory, forks = _snakefish._trace_directory(), _snakefish._trace_forks()
    if _home is None or not _home.is_of(directory, forks):
        _home = _Home(directory, forks)
    return _home


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
        self._home.flush()

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

