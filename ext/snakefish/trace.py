"""Tracing: every fork, send, receive, merge and join into one SQLite database, from this process and all it forks.

    with snakefish.trace.session("run.db"):
        ...

or SNAKEFISH_TRACE=run.db in the environment, or `snakefish-trace record -- python3 prog.py`.
"""

import atexit
import contextlib
import os
import shutil
import sys

from snakefish import _snakefish
from snakefish._snakefish import _trace_span as span
from snakefish._snakefish import enabled, mark

__all__ = ["enabled", "instrument", "mark", "session", "span", "start", "stop", "uninstrument"]

_SESSION_ENV = "SNAKEFISH_TRACE_SESSION"
_collector = None  # (pid of the process that started it, its pipe, the database's path)


def _find_collector():
    package = os.path.dirname(os.path.abspath(__file__))
    for path in (
        os.path.join(package, "bin", "snakefish-trace"),
        os.path.join(package, "..", "..", "bin", "snakefish-trace"),
        shutil.which("snakefish-trace"),
    ):
        if path and os.access(path, os.X_OK):
            return os.path.normpath(path)
    raise RuntimeError(
        "the collector snakefish-trace is not there: build it (make tracer) or put it on the PATH"
    )


def _process_name():
    program = sys.argv[0] if getattr(sys, "argv", None) and sys.argv[0] else "python"
    if program == "-m" and sys.argv[1:]:  # python3 -m snakefish PROGRAM, which is still at its imports
        program = sys.argv[1]
    return os.path.basename(program)


def _read_word(pipe):
    """One line of the collector's: (word, rest). ("", "") when it has died."""
    word, _, rest = pipe.readline().rstrip("\n").partition(" ")
    return word, rest


def start(path, *, kernel=False):
    """Starts the collector and traces this process and everything it forks from now on into the database at `path`.

    Blocks until the collector is ready (some ms). An older trace at `path` is replaced; RuntimeError when there is any
    other file, when it cannot be written, when tracing is on already, or when the collector cannot be started.
    kernel=True asks for the kernel's view too: times on and off the CPUs, page faults and waits of this process and all it
    forks from now on. It needs root and some tenths of a second to start; where it cannot be had, a sentence on stderr and in
    the database says why, and the trace goes on without it.
    """
    global _collector
    import subprocess

    if _snakefish._trace_directory():
        if enabled() or (_collector is not None and _collector[0] == os.getpid()):
            raise RuntimeError("tracing is on already: trace.stop() first")
        _snakefish._trace_detach()  # it was the parent's, who has stopped it
    path = os.path.abspath(os.fspath(path))
    command = [_find_collector(), "serve", "-o", path, "--root", str(os.getpid())]
    if kernel:
        command.append("--kernel")
    launcher = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    )
    pipe = launcher.stdout
    word, rest = _read_word(pipe)
    launcher.wait()  # what collects has detached itself and is no child of ours
    if word != "session":
        pipe.close()
        raise RuntimeError(rest or "the collector snakefish-trace ended without a word")
    _collector = (os.getpid(), pipe, path)
    try:
        _snakefish._trace_attach(rest, _process_name())
    except BaseException:
        _collector = None
        pipe.close()
        raise
    os.environ[_SESSION_ENV] = rest  # for programs started by exec from here


def stop():
    """Ends the session that this process started: blocks until the database at its path is complete.

    RuntimeError when this process has not started one, or the collector could not finish; then it says what to do.
    Processes that were forked meanwhile and still run write no more events.
    """
    global _collector
    if _collector is None or _collector[0] != os.getpid():
        raise RuntimeError("this process has not started tracing: trace.start(path) first")
    _, pipe, path = _collector
    directory = _snakefish._trace_directory()
    _collector = None
    if not os.environ.get("SNAKEFISH_TRACE"):
        os.environ.pop(_SESSION_ENV, None)  # else it tells programs started from here that the trace is made and over
    _snakefish._trace_request_stop()
    _snakefish._trace_detach()
    with pipe:
        word, rest = _read_word(pipe)
    if word == "done":
        return
    raise RuntimeError(
        rest
        or f"the collector died: what it had not stored is in {directory}; recover it with "
        f"snakefish-trace collect {directory} -o {path}"
    )


@contextlib.contextmanager
def session(path, *, kernel=False):
    """trace.start(path) at the block's begin, trace.stop() at its end, also when it raises."""
    start(path, kernel=kernel)
    try:
        yield
    finally:
        stop()


def instrument(library):
    """Wraps the library's methods from now on, so that unchanged programs write the same events as ours.

    library: "multiprocessing". Process, Connection, Queue, SimpleQueue and Pool, in this process and those it forks:
    processes with their start, run, exit and join; every message with its sender, receiver and bytes; waits; Pool's
    maps, chunks and results. Whether tracing is on makes no difference to it. Messages of pipes that were there before,
    of sockets, and those shared with processes started by spawn or forkserver have no number, and so no row in the view
    `message`. Calling it again does nothing. ValueError for another library, RuntimeError when this version of it lacks
    what is wrapped.
    """
    from snakefish import _instrument

    _instrument.instrument(library)


def uninstrument(library):
    """Puts back what instrument(library) has replaced, in this process; does nothing where nothing is."""
    from snakefish import _instrument

    _instrument.uninstrument(library)


def _stop_at_exit():
    if _collector is not None and _collector[0] == os.getpid():
        try:
            stop()
        except RuntimeError as error:
            print(f"snakefish: {error}", file=sys.stderr)


def _start_from_environment():
    """At import: joins the session of a `snakefish-trace record` above, or starts one for SNAKEFISH_TRACE.

    A trace that cannot be had is told on stderr and does not stop the program.
    """
    directory, path = os.environ.get(_SESSION_ENV), os.environ.get("SNAKEFISH_TRACE")
    try:
        if directory:
            if os.path.isdir(directory):  # else the session is over, and this process is a late one
                _snakefish._trace_attach(directory, _process_name())
        elif path:
            start(path)
    except (RuntimeError, OSError, MemoryError) as error:
        print(f"snakefish: no trace: {error}", file=sys.stderr)
    for library in filter(None, os.environ.get("SNAKEFISH_TRACE_INSTRUMENT", "").split(",")):
        try:
            instrument(library.strip())
        except (RuntimeError, ValueError, OSError, MemoryError, ImportError) as error:
            print(f"snakefish: SNAKEFISH_TRACE_INSTRUMENT: {error}", file=sys.stderr)


atexit.register(_stop_at_exit)
