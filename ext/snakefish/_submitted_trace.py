"""What a traced chunk records where it runs: the worker's side. Internal; `_submit_trace.py` is the caller's side.

With a chunk travels a ticket, (name of the caller's session, token of the caller, number of the chunk). A worker that is in
that session, because the caller's program has started it on the same machine, writes into its own log as local workers do.
Any other is remote:

    ticket -> a session of its own, without a collector -> logs of this process and those that it forks (local=n)
           -> what is in them goes with the chunk's result: the report

Recorded is what local workers record: the wait for the chunk, unpickling, the chunk, pickling, and whatever f does (spans,
Channels, forks). A report brings at most 64 KiB of records of each process and 256 KiB in all; what is above that is lost, and
counted. What has not been brought when a worker dies is lost with it. Between two chunks nothing is recorded, and there is no
directory. A process that outlives the chunk which has forked it is recorded up to the chunk's end.

A worker records for one caller at a time. A chunk that comes while another caller's runs, or in a process that somebody else
traces, is not recorded.
"""

import contextlib
import os
import shutil
import tempfile
import threading

from snakefish import _snakefish
from snakefish._snakefish import (
    _EVENT_CHUNK as CHUNK,
    _EVENT_PICKLED as PICKLED,
    _PHASE_BEGIN as BEGIN,
    _PHASE_END as END,
    _PHASE_INSTANT as INSTANT,
    _instrument_event as event,
    _remote_clock as clock,
    enabled,
    get_timestamp,
)

RECORD_BYTES = 32
_RECORDS_EACH, _RECORDS_ALL = 2048, 8192
_PREFIX = "snakefish-remote-"


def _read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _inode(path):
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def where():
    """(host, boot, clock, space): the machine as it was booted, its CLOCK_MONOTONIC, the pid namespace of this process."""
    boot = _read("/proc/sys/kernel/random/boot_id")
    return os.uname().nodename, boot, _inode("/proc/self/ns/time"), _inode("/proc/self/ns/pid")


def name_of(host, pid):
    """As the trace calls that process: host:pid, cut to what a log can hold."""
    end = f":{pid}"
    return host.encode("utf-8", "replace").replace(b"\0", b"?")[: 47 - len(end)].decode("utf-8", "ignore") + end


def _sweep(parent, prefix):
    """Removes what killed workers of this pid namespace have left."""
    for name in os.listdir(parent):
        pid = name[len(prefix):].partition("-")[0] if name.startswith(prefix) else ""
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(os.path.join(parent, name), ignore_errors=True)


def _start_in(name):
    """Of the name of a log, log.<pid>.<tsc>: what sorts it by its start."""
    start = name.split(".")[2:3]
    return [(len(digits), digits) for digits in start]


class _Log:
    """What this process has recorded for a caller and not brought yet."""

    def __init__(self):
        self.lock = threading.RLock()
        self.running = 0  # traced chunks
        self.seen = 0, 0  # the clock as of the last report, or of the log's begin
        self.began = 0  # the counter as of the log's begin
        self.where = None  # what where() says
        self._token, self._directory = None, ""

    def enter(self, token):
        """A chunk of that caller begins. Whether it is recorded."""
        with self.lock:
            mine = bool(self._directory) and _snakefish._trace_directory() == self._directory
            if token == self._token and mine:
                if not self.running:
                    self._go_on()
            elif self.running or enabled() or not self._begin(token):
                return False
            self.running += 1
            return True

    def _begin(self, token):
        self._token = None
        parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
        prefix = f"{_PREFIX}{_inode('/proc/self/ns/pid')}-"
        try:
            _sweep(parent, prefix)
            self._directory = os.path.join(parent, f"{prefix}{os.getpid()}-{os.urandom(8).hex()}")
            os.mkdir(self._directory, 0o700)
            begun = _snakefish._remote_begin(self._directory, name_of(os.uname().nodename, os.getpid()))
            for name in os.listdir(self._directory):  # this process's own log is mapped; what is there later is of others
                os.unlink(os.path.join(self._directory, name))
        except (OSError, RuntimeError, MemoryError):
            begun = False
        if begun:
            self._token, self.seen = token, clock()
            self.began, self.where = self.seen[0], where()
        else:
            if _snakefish._trace_directory() == self._directory:
                _snakefish._remote_pause(True)
            self._remove()
        return begun

    def _go_on(self):
        try:
            os.mkdir(self._directory, 0o700)  # for the logs of forks; without it they have none
        except OSError:
            pass
        _snakefish._remote_pause(False)

    def leave(self):
        """A chunk has ended. With the lock."""
        self.running -= 1
        if not self.running:
            _snakefish._remote_pause(True)
            self._remove()

    def _remove(self):
        try:
            os.rmdir(self._directory)
        except OSError:  # processes that it has forked still run
            shutil.rmtree(self._directory, ignore_errors=True)

    def take_forked(self, most):
        """Parcels of the other processes here, parents first. With the lock."""
        parcels = []
        try:
            names = os.listdir(self._directory)
        except OSError:
            names = []
        for name in sorted(names, key=_start_in):
            parcel = _snakefish._remote_take(name, min(most, _RECORDS_EACH))
            if parcel is None:
                continue
            if parcel[-1]:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self._directory, name))
            most -= len(parcel[9]) // RECORD_BYTES
            parcels.append(parcel)
        return parcels


_log = _Log()


def _reset():
    global _log, _ended
    _log, _ended = _Log(), threading.local()


_ended = threading.local()  # .chunk: when the last recorded chunk of this thread ended, and whose it was
os.register_at_fork(after_in_child=_reset)


class Recording:
    """A chunk that is recorded here: in this process's own trace, or for a report."""

    def __init__(self, ticket):
        session, self._token, self._number = ticket
        self._pid, self._entered, self._size = os.getpid(), clock(), None
        self._is_local = enabled() and os.path.basename(_snakefish._trace_directory()) == session
        self._log = None
        if not self._is_local and _log.enter(self._token):
            self._log = _log
        self.is_on = self._is_local or self._log is not None
        token, since = getattr(_ended, "chunk", (None, 0))
        if self._log is not None and token == self._token and since > self._log.began:
            _snakefish._remote_waited(since)

    def now(self):
        return get_timestamp()

    def pickled(self, since, count):
        """So many bytes were pickled or unpickled since then."""
        if self.is_on:
            event(PICKLED, INSTANT, 0, count, since)

    def begin(self, size):
        """f begins with the first of so many arguments."""
        self._size = size
        if self.is_on:
            event(CHUNK, BEGIN, 0, self._number, size)

    def end(self):
        """The report, None if there is none. It goes back with what came of the chunk."""
        if not self.is_on or self._pid != os.getpid():
            return None
        self.is_on = False
        if self._is_local:
            self._end_chunk()
            return None
        log = self._log
        with log.lock:
            try:
                return self._report(log)
            finally:
                log.leave()

    def _end_chunk(self):
        if self._size is not None:
            event(CHUNK, END, 0, self._number, self._size)
            _ended.chunk = self._token, get_timestamp()

    def _report(self, log):
        """The end of the chunk finds room in the log, because what was there before it was taken."""
        parcels = [_snakefish._remote_take_own(_RECORDS_EACH)]
        self._end_chunk()
        parcels.append(_snakefish._remote_take_own(_RECORDS_EACH))
        parcels = [parcel for parcel in parcels if parcel is not None]
        parcels += log.take_forked(_RECORDS_ALL - sum(len(parcel[9]) // RECORD_BYTES for parcel in parcels))
        before, log.seen = log.seen, clock()
        return log.where, (before, self._entered, log.seen), parcels

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
