"""Every Python that a traced program starts runs this first, and so joins the trace.

`snakefish-trace record`, `python3 -m snakefish` and trace.start put this directory, and nothing else of snakefish, in front
of PYTHONPATH. Python imports the first sitecustomize that it finds. This one

- takes the directory out of sys.path and of os.environ again, so that the program finds both as they were. The environment
  that C sees keeps it, for programs that the program starts;
- imports snakefish, which joins the session that the environment names;
- lets Python find the program's own sitecustomize, if there is one.

Any Python may come here: another version, or one whose virtual environment has no snakefish. So this file is in the language
of Python 2.7 and 3. Where snakefish was not built for the Python it does nothing, and it prints nothing and raises nothing.
"""

import os
import sys


def _program_is_helper():
    """multiprocessing's resource tracker runs nothing of the program's. It would only look like a process that works."""
    words = getattr(sys, "orig_argv", None)
    if words is None:
        with open("/proc/self/cmdline") as file:
            words = file.read().split("\0")
    return any("resource_tracker import main" in word for word in words)


def _is_joinable(session):
    """It may be over, or another user's: root's programs keep out of it too. snakefish.trace says where else than at its path
    a session may be: a program with a /dev/shm of its own finds it through the root of the collector's process."""
    collector = os.path.basename(session).split("-")[1:2]
    roots = ["/proc/" + pid + "/root" for pid in collector if pid.isdigit()]
    for root in [""] + roots:
        try:
            return os.stat(root + session).st_uid == os.geteuid()
        except OSError:
            pass
    return False


def _is_wanted():
    """Whether there is a trace to join, or one to start."""
    env = os.environ.get
    session = env("SNAKEFISH_TRACE_SESSION")
    if env("SNAKEFISH_TRACE_LOAD") == "no" or sys.version_info < (3, 9):
        return False
    if session:
        return _is_joinable(session) and not _program_is_helper()
    return bool(env("SNAKEFISH_TRACE") or env("SNAKEFISH_TRACE_INSTRUMENT"))


def _restore_path(here, stays):
    """PYTHONPATH as it was before `here` was put in front of it, in the form that ext/py/trace/programs.c describes; also for C,
    unless it `stays` there."""
    first, colon, rest = os.environ.get("PYTHONPATH", "").partition(os.pathsep)
    if first.rstrip("/") != here:
        return
    old = rest if colon else "" if first.endswith("/") else None
    if not stays:
        if old is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = old
        return
    import posix

    for data in (os.environ._data, posix.environ):
        data.pop(b"PYTHONPATH", None)
        if old is not None:
            data[b"PYTHONPATH"] = os.fsencode(old)


def _has_own(package):
    """Whether the program's own directory has another snakefish, which it will import. sys.path does not have it yet."""
    program = (getattr(sys, "argv", None) or [""])[0]
    for directory in (program, os.path.dirname(program)):
        for name in ("snakefish.py", "snakefish"):
            path = os.path.join(directory, name)
            if os.path.exists(path) and not os.path.samefile(path, package):
                return True
    return False


def _load(here):
    """Imports the snakefish that the program would import. If there is none, it is the one around this file."""
    import _imp
    from _frozen_importlib_external import PathFinder  # type: ignore

    package = os.path.dirname(here)
    found = PathFinder.find_spec("snakefish")
    if found is not None:
        package = os.path.dirname(found.origin or "")
    suffixes = _imp.extension_suffixes()
    if not any(os.path.exists(os.path.join(package, "_snakefish" + suffix)) for suffix in suffixes) or _has_own(package):
        return
    parent = os.path.dirname(package)
    seen = set(sys.path_importer_cache)
    if found is None:
        sys.path.append(parent)
    try:
        import snakefish  # noqa: F401
    finally:
        if found is None:
            sys.path.remove(parent)
        for path in (parent, package):
            if path not in seen:
                sys.path_importer_cache.pop(path, None)


def _enter():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path != here]
    sys.path_importer_cache.pop(here, None)
    is_wanted = _is_wanted()
    _restore_path(here, stays=is_wanted)
    if is_wanted:
        _load(here)


if __name__ == "sitecustomize":
    try:
        _enter()
    except Exception:
        pass
    del sys.modules["sitecustomize"]
    __import__("sitecustomize")  # the program's own. If there is none, Python takes this error as it does without us
