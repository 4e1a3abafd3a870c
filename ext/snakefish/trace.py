"""Tracing: every fork, send, receive, merge and join into one SQLite database, from this process and all it forks.

    with snakefish.trace.session("run.db"):
        ...

or SNAKEFISH_TRACE=run.db in the environment, or `snakefish-trace record -- python3 prog.py`.
"""

import atexit
import os
import sys

from snakefish import _snakefish
from snakefish._snakefish import _trace_span as span
from snakefish._snakefish import enabled, mark
from snakefish import _streams

__all__ = ["enabled", "instrument", "mark", "session", "span", "start", "stop", "uninstrument"]

_SESSION_ENV = "SNAKEFISH_TRACE_SESSION"
_collector = None  # (pid of the process that started it, the pipe from it, the database's path)


def _find_collector():
    package = os.path.dirname(os.path.abspath(__file__))
    for path in (
        os.path.join(package, "bin", "snakefish-trace"),
        os.path.join(package, "..", "..", "bin", "snakefish-trace"),
    ):
        if os.access(path, os.X_OK):
            return os.path.normpath(path)
    import shutil  # takes long, and is needed only here

    path = shutil.which("snakefish-trace")
    if path:
        return path
    raise RuntimeError(
        "the collector snakefish-trace is not there: build it (make tracer) or put it on the PATH"
    )


def _process_name():
    """The program's file, as text without NUL that UTF-8 can encode: the bytes of a file's name need not be UTF-8. The
    program may put anything into sys.argv."""
    argv = getattr(sys, "argv", None)
    words = [word for word in argv if isinstance(word, str)] if isinstance(argv, list) else []
    if words[0:1] == ["-m"] and words[1:]:  # python3 -m snakefish PROGRAM, while the imports still run
        del words[0]
    name = os.path.basename(words[0]) if words else ""
    return name.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode() or "python"


class _Pipe:
    """The pipe from the collector. The program may close any descriptor and be given its number for a file of its own
    (os.closerange, every daemon): so the pipe is known by device and inode, and what is not ours is left alone.
    """

    def __init__(self, file):
        self._fd = _streams.above_standard_streams(os.dup(file.fileno()))
        self._identity = self._identify()
        file.close()

    def _identify(self):
        status = os.fstat(self._fd)
        return status.st_dev, status.st_ino

    def is_ours(self):
        try:
            return self._fd >= 0 and self._identify() == self._identity
        except OSError:
            return False

    def read_word(self):
        """Reads a line: its first word and the rest. ("", "") when the collector has died."""
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._fd, 1)  # lines are short, and few
            if not byte:
                break
            line += byte
        word, _, rest = line.decode(errors="replace").rstrip("\n").partition(" ")
        return word, rest

    def close(self):
        if self.is_ours():
            os.close(self._fd)
        self._fd = -1


def start(path, *, kernel=False):
    """Starts the collector and traces this process and everything it forks from now on into the database at `path`.

    Blocks until the collector is ready (some ms). An older trace at `path` is replaced. RuntimeError when any other
    file is there, when the file cannot be written, when tracing is on already, or when the collector cannot be started.
    kernel=True records the kernel's view too: times on and off the CPUs, page faults and waits of this process and all
    it forks from now on. It needs root, and takes some tenths of a second to start. Where it is not possible, a
    sentence on stderr and in the database says why, and the trace goes on without it.
    """
    global _collector
    import subprocess

    if _snakefish._trace_directory():
        if enabled() or (_collector is not None and _collector[0] == os.getpid()):
            raise RuntimeError("tracing is on already: call trace.stop() first")
        _snakefish._trace_detach()  # the session was the parent's, which has stopped it
    path = os.path.abspath(os.fspath(path))
    command = [_find_collector(), "serve", "-o", path, "--root", str(os.getpid())]
    if kernel:
        command.append("--kernel")
    with open(os.devnull, "r+b") as null:  # Popen leaves its own open where no descriptor is left for the pipe
        stderr = None if _streams.stderr_is_there() else null
        launcher = subprocess.Popen(command, stdin=null, stdout=subprocess.PIPE, stderr=stderr)
    pipe = _Pipe(launcher.stdout)
    word, rest = pipe.read_word()
    launcher.wait()  # the collector has detached itself and is no child of this process
    if word != "session":
        pipe.close()
        raise RuntimeError(rest or "the collector snakefish-trace ended without saying why")
    _collector = (os.getpid(), pipe, path)
    try:
        _snakefish._trace_attach(rest, _process_name())
    except BaseException:
        _collector = None
        pipe.close()
        raise
    os.environ[_SESSION_ENV] = rest  # for programs started by exec from here


def stop():
    """Ends the session that this process started. Blocks until the database at its path is complete.

    RuntimeError when this process has started none, or when the collector could not finish; the message says what to
    do. Processes that were forked during the session and still run write no more events.
    """
    global _collector
    if _collector is None or _collector[0] != os.getpid():
        raise RuntimeError("this process has not started tracing: call trace.start(path) first")
    _, pipe, path = _collector
    directory = _snakefish._trace_directory()
    _collector = None
    if not os.environ.get("SNAKEFISH_TRACE"):
        os.environ.pop(_SESSION_ENV, None)  # else programs started from here would look for this session
    _snakefish._trace_request_stop()
    _snakefish._trace_detach()
    if not pipe.is_ours():
        raise RuntimeError(
            f"the program has closed the pipe from the collector, which finishes {path} by itself: wait for that"
        )
    try:
        word, rest = pipe.read_word()
    finally:
        pipe.close()
    if word == "done":
        return
    raise RuntimeError(
        rest
        or f"the collector died. What it had not stored is in {directory}: recover it with "
        f"snakefish-trace collect {directory} -o {path}"
    )


def session(path, *, kernel=False):
    """trace.start(path) at the beginning of the block, trace.stop() at its end, also when the block raises."""
    import contextlib  # takes long

    @contextlib.contextmanager
    def block():
        start(path, kernel=kernel)
        try:
            yield
        finally:
            stop()

    return block()


def instrument(library):
    """Wraps the library's methods from now on, so that unchanged programs write the same events as snakefish's own
    calls.

    library: "multiprocessing", that is Process, Connection, Queue, SimpleQueue and Pool, in this process and those that
    it forks. Recorded are processes with their start, run, exit and join; every message with its sender, receiver and
    bytes; waits; maps, chunks and results of Pools. It may be called while tracing is on or off. These messages have no
    number, and so no row in the view `message`: those in pipes that existed before, in sockets, and in pipes shared
    with processes started by spawn or forkserver. Calling it again does nothing. ValueError for another library,
    RuntimeError when this version of the library lacks a method that is to be wrapped.
    """
    from snakefish import _instrument

    _instrument.instrument(library)


def uninstrument(library):
    """Puts back what instrument(library) has replaced, in this process. Does nothing where nothing was replaced."""
    from snakefish import _instrument

    _instrument.uninstrument(library)


def _stop_at_exit():
    if _collector is not None and _collector[0] == os.getpid():
        try:
            stop()
        except RuntimeError as error:
            _streams.write_line(f"snakefish: {error}")


def _start_from_environment():
    """At import: joins the session of the `snakefish-trace record` that runs this program, or starts one for
    SNAKEFISH_TRACE. Where that fails, it prints why to stderr, and the program goes on without a trace.
    """
    directory, path = os.environ.get(_SESSION_ENV), os.environ.get("SNAKEFISH_TRACE")
    try:
        if directory:
            if os.path.isdir(directory):  # else the session is over already
                _snakefish._trace_attach(directory, _process_name())
        elif path:
            start(path)
    except (RuntimeError, OSError, MemoryError) as error:
        _streams.write_line(f"snakefish: no trace: {error}")
    for library in filter(None, os.environ.get("SNAKEFISH_TRACE_INSTRUMENT", "").split(",")):
        try:
            instrument(library.strip())
        except (RuntimeError, ValueError, OSError, MemoryError, ImportError) as error:
            _streams.write_line(f"snakefish: SNAKEFISH_TRACE_INSTRUMENT: {error}")


def __dir__():
    return __all__


atexit.register(_stop_at_exit)
