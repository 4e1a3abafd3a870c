"""Tracing: every fork, send, receive, merge and join into one SQLite database, from this process and all it forks.

    with snakefish.trace.session("run.db"):
        ...

or SNAKEFISH_TRACE=run.db in the environment, or `snakefish-trace record -- python3 prog.py`. Every Python that a traced
program starts joins its trace.
"""

import atexit
import operator
import os
import sys

from snakefish import _snakefish
from snakefish._snakefish import _trace_span as span
from snakefish._snakefish import enabled, mark
from snakefish import _command, _streams, _tree

__all__ = ["enabled", "instrument", "mark", "session", "span", "start", "stop", "uninstrument"]

_SESSION_ENV = "SNAKEFISH_TRACE_SESSION"
_INSTRUMENT_ENV = "SNAKEFISH_TRACE_INSTRUMENT"

_outer = ""  # the directory of the session that the environment named, or asked for
_inner = None  # (the program's own session, which has joined that one; the process that it belongs to)
_asked: list = []  # the libraries that the program has asked instrument() for
_environment_before = None  # SNAKEFISH_TRACE_INSTRUMENT before that
_told: set = set()  # (path, kernel) of such sessions of which stderr has been told


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
    """The program's file or module, as text without NUL that UTF-8 can encode: the bytes of a file's name need not be UTF-8.
    The program may put anything into sys.argv. While Python starts, it says only that there is a module."""
    argv = getattr(sys, "argv", None)
    words = [word for word in argv if isinstance(word, str)] if isinstance(argv, list) else []
    name = os.path.basename(words[0]) if words else ""
    if name == "-m":
        name = _command.split(_command.words())[2] or name
    return name.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode() or "python"


class _Session:
    """A session that this process has started, or is starting. ext/py/trace/collector.h has its states."""

    def __init__(self, path):
        self.path = path
        self.directory = ""


def start(path, *, kernel=False, sample_hz=0):
    """Starts the collector and traces this process and everything it forks from now on into the database at `path`.

    Blocks until the collector is ready (some ms). An older trace at `path` is replaced. RuntimeError when any other
    file is there, when the file cannot be written, when tracing is on already, or when the collector cannot be started.
    Where `snakefish-trace record` or SNAKEFISH_TRACE traces the program, this joins that trace: stderr says in which file
    the events are, nothing is written to `path`, and stop() does not end the trace. `kernel` has no effect then.
    When a signal handler raises meanwhile, as Ctrl-C does, nothing is left of what was started.
    This process's life in the trace is from the end of this call to the call of stop(): what they take is not counted.
    kernel=True records the kernel's view too: times on and off the CPUs, page faults and waits of this process and all
    it forks from now on. It needs root, and takes some tenths of a second to start. Where it is not possible, a
    sentence on stderr and in the database says why, and the trace goes on without it.
    sample_hz=199 takes the stack of each thread of Python 199 times in each second of CPU time that it uses, in this process
    and all that it forks or starts: the functions that the time was spent in are then in the trace. From 1 to 1000; 0, none.
    It uses one real-time signal, and has to be begun in the main thread. PyPy has no samples.
    """
    _start(_Session(os.path.abspath(os.fspath(path))), kernel, _checked_hz(sample_hz))


def _checked_hz(hz):
    hz = operator.index(hz)
    if not 0 <= hz <= 1000:
        raise ValueError(f"sample_hz must be from 0 to 1000, not {hz}")
    return hz


def _sample():
    """Begins to take samples, where the session wants them."""
    why = _snakefish._trace_sample()
    if why:
        _streams.write_line(f"snakefish: no samples in process {os.getpid()}: {why}")


def _mine():
    """The session that this process has started and that has joined another; None: there is none."""
    return _inner[0] if _inner and _inner[1] == _snakefish._trace_forks() else None


def _join(session, kernel, sample_hz):
    """Whether there is a session from the environment, which `session` joins."""
    global _inner
    if not _outer or not enabled() or _snakefish._trace_directory() != _outer:
        return False
    if _mine():
        raise RuntimeError("tracing is on already: call trace.stop() first")
    if (session.path, kernel) not in _told:
        _told.add((session.path, kernel))
        try:
            where = os.readlink(os.path.join(_outer, "database"))
        except OSError:  # the collector could not note it
            where = "the file of that trace"
        line = f"snakefish: this program is traced already: the events that it wants in {session.path} go to {where}"
        if kernel:
            line += ", and kernel=True has no effect: `snakefish-trace record --kernel` records the kernel's view"
        if sample_hz:
            line += ", and sample_hz has no effect: `snakefish-trace record --sample` takes samples"
        _streams.write_line(line.encode("utf-8", "backslashreplace").decode())
    _inner = session, _snakefish._trace_forks()
    return True


def _start(session, kernel, sample_hz):
    if _join(session, kernel, sample_hz):
        return
    command = [_find_collector(), "serve", "-o", session.path, "--root", str(os.getpid())]
    if kernel:
        command.append("--kernel")
    if sample_hz:
        command += ["--sample", str(sample_hz)]
    try:
        session.directory = _snakefish._trace_launch(
            session, [os.fsencode(word) for word in command], _streams.stderr_is_there()
        )
        os.environ[_SESSION_ENV] = session.directory  # for programs started by exec from here
        _tree.extend()
        _snakefish._trace_attach(session.directory, _process_name())  # late: this process's life in the trace begins here
        _snakefish._trace_go(session)
        _sample()
    except BaseException:
        _snakefish._trace_abandon(session)
        if session.directory and os.environ.get(_SESSION_ENV) == session.directory:
            _leave_environment()
        raise


def _leave_environment():
    """Else programs started from here would look for this session."""
    _tree.end()
    if not os.environ.get("SNAKEFISH_TRACE"):
        os.environ.pop(_SESSION_ENV, None)


def stop():
    """Ends the session that this process started. Blocks until the database at its path is complete.

    RuntimeError when this process has started none, or when the collector could not finish; the message says what to
    do. Processes that were forked during the session and still run write no more events. When a signal handler raises
    meanwhile, as Ctrl-C does, call it again to wait for the database.
    """
    global _inner
    if _mine():
        _inner = None  # the session that it has joined goes on
        return
    session = _snakefish._trace_session()
    if session is None:
        raise RuntimeError("this process has not started tracing: call trace.start(path) first")
    _finish(session)


def _write_remote():
    """What remote workers have recorded and sent."""
    remote = sys.modules.get("snakefish._submit_trace")
    if remote:
        remote.write_all()


def _finish(session):
    _leave_environment()
    _write_remote()
    _snakefish._trace_leave_threads()
    _snakefish._trace_sample_end()
    line = _snakefish._trace_finish(session)
    if line is None:
        raise RuntimeError(
            f"the program has closed the pipe from the collector, which finishes {session.path} by itself: wait for that"
        )
    word, _, rest = line.partition(" ")
    if word == "done":
        return
    raise RuntimeError(
        rest
        or f"the collector died. What it had not stored is in {session.directory}: recover it with "
        f"snakefish-trace collect {session.directory} -o {session.path}"
    )


def session(path, *, kernel=False, sample_hz=0):
    """trace.start(path, ...) at the beginning of the block, trace.stop() at its end, also when the block raises."""
    import contextlib  # takes long

    @contextlib.contextmanager
    def block():
        mine, is_started = _Session(os.path.abspath(os.fspath(path))), False
        try:
            _start(mine, kernel, _checked_hz(sample_hz))
            is_started = True
            yield
        finally:
            # a signal handler may raise just after the start
            if is_started or mine in (_snakefish._trace_session(), _mine()):
                stop()

    return block()


def instrument(library):
    """Wraps the library's methods from now on, so that unchanged programs write the same events as snakefish's own
    calls, in this process and those that it starts. It may be called while tracing is on or off, and for several libraries.

    library: "multiprocessing", that is Process, Connection, Queue, SimpleQueue and Pool: processes with their start, run,
    exit and join; every message with its sender, receiver and bytes; waits; maps, chunks and results of Pools. These
    messages have no number, and so no row in the view `message`: those in pipes that existed before, in the sockets of
    Listener and Client, and in pipes shared with processes started by spawn or forkserver.

    "concurrent.futures": the tasks of ProcessPoolExecutor and ThreadPoolExecutor, each with its queueing, its run, and the
    bytes and the pickling of its arguments and its result on both sides. With ProcessPoolExecutor comes what
    "multiprocessing" records.

    "all": each of these. A library is instrumented when the program imports it; only "multiprocessing" is imported now.

    Replaced elsewhere, because programs wait there for their workers, or pass descriptors on: threading.Condition.wait,
    threading.Thread.join and the select of selectors; socket.send_fds, os.dup2, os.set_inheritable, os.posix_spawn,
    os.posix_spawnp, subprocess._fork_exec and _posixsubprocess.fork_exec. Each calls its original with the same arguments.

    Calling it again does nothing. ValueError for another library, RuntimeError when this version of the library lacks a
    method that is to be wrapped; where it is imported later, stderr says so.
    """
    from snakefish import _instrument_later

    _instrument_later.check(library)
    if library == "multiprocessing":
        import multiprocessing  # noqa: F401
    _instrument_later.instrument(library)
    _set_environment([*_asked, *(one for one in _instrument_later.named(library) if one not in _asked)])


def uninstrument(library):
    """Puts back what instrument(library) has replaced, in this process: what no other instrumented library needs, too. Does
    nothing where nothing was replaced."""
    from snakefish import _instrument_later

    _instrument_later.uninstrument(library)
    _set_environment([one for one in _asked if one not in _instrument_later.named(library)])


def _set_environment(libraries):
    """For programs started from here: what SNAKEFISH_TRACE_INSTRUMENT said before, and what the program has asked for."""
    global _environment_before
    if not _asked:
        _environment_before = os.environ.get(_INSTRUMENT_ENV)
    if libraries == _asked:
        return
    _asked[:] = libraries
    if libraries:
        os.environ[_INSTRUMENT_ENV] = ",".join(filter(None, [_environment_before, *libraries]))
    elif _environment_before is None:
        os.environ.pop(_INSTRUMENT_ENV, None)
    else:
        os.environ[_INSTRUMENT_ENV] = _environment_before


def _stop_at_exit():
    _snakefish._trace_sample_end()
    _write_remote()
    _snakefish._trace_leave_threads()
    session = _snakefish._trace_session()
    if session is not None:
        try:
            _finish(session)
        except RuntimeError as error:
            _streams.write_line(f"snakefish: {error}")


def _reach(directory):
    """The path by which this process reaches the session's directory; None: the session is over.

    A program that has a /dev/shm of its own finds it through the root of the collector's process. RuntimeError where that
    runs, but is out of reach.
    """
    if os.path.isdir(directory):
        return directory
    try:
        collector = f"/proc/{int(os.path.basename(directory).split('-')[1])}"
        with open(f"{collector}/comm") as file:
            if file.read() != "snakefish-trace\n":
                return None
        if os.path.isdir(f"{collector}/root{directory}"):
            return f"{collector}/root{directory}"
        os.listdir(f"{collector}/root")
    except PermissionError:
        raise RuntimeError(f"the session {directory} cannot be reached: this process has another /dev/shm") from None
    except (OSError, IndexError, ValueError):
        pass
    return None


def _wanted_hz():
    word = os.environ.get("SNAKEFISH_TRACE_SAMPLE") or "0"
    try:
        return _checked_hz(int(word))
    except ValueError:
        raise RuntimeError(f"SNAKEFISH_TRACE_SAMPLE must be a number from 0 to 1000, not {word}") from None


def _start_from_environment():
    """At import: joins the session of the `snakefish-trace record` that runs this program, or starts one for
    SNAKEFISH_TRACE. Where that fails, it prints why to stderr, and the program goes on without a trace.
    """
    global _outer
    if _command.is_ours():  # this interpreter is about to be replaced by the program's
        return
    directory, path = os.environ.get(_SESSION_ENV), os.environ.get("SNAKEFISH_TRACE")
    try:
        if directory:
            directory = _reach(directory)
            if directory:
                _snakefish._trace_attach(directory, _process_name())
                _tree.extend()
                _sample()
        elif path:
            start(path, sample_hz=_wanted_hz())
        _outer = _snakefish._trace_directory()
    except (RuntimeError, OSError, MemoryError) as error:
        _streams.write_line(f"snakefish: no trace: {error}")
    if os.environ.get(_INSTRUMENT_ENV):
        from snakefish import _instrument_later

        _instrument_later.instrument_from_environment(os.environ[_INSTRUMENT_ENV])


def __dir__():
    return __all__


atexit.register(_stop_at_exit)
