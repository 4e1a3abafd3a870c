"""The warning before a fork of a process with other threads, Python's and those of libraries. Internal.

A fork copies the thread that forks and none of the others. A lock that another one holds at that moment stays locked in
the child for ever. So the warning names the threads. It is a DeprecationWarning because os.fork's own warning of this,
since Python 3.12, is one.
"""

import _thread
import bisect
import os
import re
import sys
import time
import warnings

# Threads that nobody needs to know of: the module that made them, or the name that the library gave them.
_HARMLESS_MODULES = (
    "snakefish.",  # our own
    "tqdm._monitor",  # sleeps 10 s, then holds tqdm's lock for microseconds: map(progress=True) starts one
    "IPython.core.history",  # sleeps on an event, then writes into SQLite, which a child does not use
    "ipykernel.",  # heartbeat, IOPub, control: wait in zmq; ipykernel itself knows in a child that it has none of them
)
_OURS = "sf-"
_HARMLESS_NAMES = (
    "ZMQbg/",  # libzmq's: they hold no lock while they wait, and pyzmq lets a parent's contexts alone in a child
    "jemalloc_bg_thd",  # jemalloc has handlers of its own for a fork
    "iou-",  # the kernel's own, for io_uring
)
# Libraries whose threads are harmless: the file in whose code they begin. OpenBLAS that was built for pthreads ends its
# idle threads in a handler of pthread_atfork before each fork, and starts them again when it needs them. The threads of
# one that was built for OpenMP begin in libgomp or the like, which have no such handler.
_HARMLESS_LIBRARIES = re.compile(r"lib(scipy_)?openblas")
# Between a library and its threads: where one begins in these, what it calls next says whose it is.
_NOT_THE_OWNER = re.compile(r"(libc|ld|libpthread|libstdc\+\+|libc\+\+|libgcc_s)[-.]")
_INTERPRETER = re.compile(r"(lib)?(python|pypy)")
_STARTS_THREADS = re.compile(r"lib(gomp|omp|iomp|(scipy_)?openblas|mkl_|tbb|blis)")

_STACK_BYTES = 65536  # how much of a stack is looked at
_MOST_NAMES = 6
_LONGEST_WAIT_S = 0.1  # for a thread that waits for a CPU
_LITTLE_CPU_NS = 2_000_000  # much more than a thread needs to begin or to end
_SPIN_CPU_NS = 60_000_000  # more than an idle thread of OpenBLAS takes to fall asleep
_PYTHONS, _OWN = object(), object()  # one of Python's; our own
_NOBODYS, _POOLS = object(), object()  # one that nobody needs to know of; the same, of a harmless library
_pool_size = 0  # the most threads of harmless libraries that were found asleep at once
_known = {}  # thread id: whose it is, in words or one of these
_shown: dict = {}  # file: the registry that the warnings module keeps of what it has shown


class _Text(str):
    """All are equal: so Python shows the first one at each place, though the threads differ from call to call."""

    def __eq__(self, other):
        return isinstance(other, _Text)

    def __hash__(self):
        return 0


# ---- Python's threads ----


def _module(thread):
    """The module that a Python thread comes from: its class's, or that of the function which it runs."""
    if type(thread) is not sys.modules["threading"].Thread:
        return type(thread).__module__
    target = getattr(thread, "_target", None)
    return getattr(getattr(target, "func", target), "__module__", None) or ""


def _threading_threads():
    """The threads that the threading module knows besides this one; and how many of them, or this one, _thread counts."""
    threading = sys.modules.get("threading")
    if threading is None:
        return [], 0
    this, main = threading.get_ident(), threading.main_thread()
    all_of_them = list(threading._active.values())
    counted = [thread for thread in all_of_them if thread is not main and type(thread) is not threading._DummyThread]
    return [thread for thread in all_of_them if thread.ident != this], len(counted)


# ---- all threads, by the kernel's numbers ----


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _mappings():
    """[(first address, end, whether it is code, file)] of this process, in order."""
    found = []
    for line in _read("/proc/self/maps").splitlines():
        addresses, rights, _, _, _, *path = line.split(None, 5)
        first, end = (int(address, 16) for address in addresses.split("-"))
        found.append((first, end, "x" in rights, os.path.basename(path[0]) if path else ""))
    return found


def _mapping_at(mappings, address):
    at = bisect.bisect_right(mappings, (address, sys.maxsize, True, "")) - 1
    return mappings[at] if at >= 0 and address < mappings[at][1] else (0, 0, False, "")


def _library(syscall, mappings):
    """The file in whose code a sleeping thread began, "" if that cannot be told: the outermost return address on its
    stack that is neither of the C library nor the like. syscall: what /proc says of it."""
    words = syscall.split()
    if len(words) < 2:
        return ""
    stack = int(words[-2], 16)
    end = min(_mapping_at(mappings, stack)[1], stack + _STACK_BYTES)
    try:
        with open("/proc/self/mem", "rb", 0) as memory:
            memory.seek(stack)
            read = memory.read(max(end - stack, 0))
    except (OSError, ValueError, OverflowError):  # it has ended meanwhile
        return ""
    for address in reversed(memoryview(read[: len(read) & ~7]).cast("N")):
        _, _, is_code, file = _mapping_at(mappings, address)
        if is_code and file and file[0] != "[" and not _NOT_THE_OWNER.match(file):
            return file
    return ""


def _describe(name, library, mappings):
    """Whose a thread is."""
    if name.startswith(_OURS):
        return _OWN
    if name.startswith(_HARMLESS_NAMES):
        return _NOBODYS
    if _INTERPRETER.match(library):
        return _PYTHONS
    if _HARMLESS_LIBRARIES.match(library):
        return _POOLS
    if name == _read("/proc/self/comm").strip():  # inherited from who started it
        name = ""
    if not library:
        loaded = sorted({file for *_, file in mappings if _STARTS_THREADS.match(file)})
        library = "a library" + (f" (perhaps {' or '.join(loaded)})" if loaded else "")
    return f"{name} of {library}".strip()


def _cpu_ns(thread):
    return int((_read(f"/proc/self/task/{thread}/schedstat").split() or ["0"])[0])


def _examine(threads):
    """Notes whose these threads are. The stack of one that runs cannot be read. It may be on its way out, as a thread of
    Python that was joined a moment ago, or just begin: then it needs to run a little more, which may take a while where
    the CPUs are busy. If it goes on running, it stays unknown. Threads of OpenBLAS run for some time before they sleep:
    once as many were found asleep, those that run are taken for them, so that not every fork waits for that."""
    global _pool_size
    mappings, begun = _mappings(), {thread: _cpu_ns(thread) for thread in threads}
    may_spin = any(_HARMLESS_LIBRARIES.match(file) for *_, file in mappings)
    enough_ns = _SPIN_CPU_NS if may_spin and not _pool_size else _LITTLE_CPU_NS
    pause, end = 0.0001, time.monotonic() + _LONGEST_WAIT_S
    while begun:
        for thread, begun_ns in list(begun.items()):
            syscall = _read(f"/proc/self/task/{thread}/syscall")
            name = _read(f"/proc/self/task/{thread}/comm").strip()
            runs = syscall.startswith("running")
            is_late = _cpu_ns(thread) - begun_ns > enough_ns or time.monotonic() > end
            if name and (is_late or not runs):
                _known[thread] = _describe(name, _library(syscall, mappings), mappings)
                if isinstance(_known[thread], str) and runs and may_spin and _pool() < _pool_size:
                    _known[thread] = _POOLS
            if not name or thread in _known:  # it has ended, or is known
                del begun[thread]
        if begun:
            time.sleep(pause)
            pause = min(pause * 2, 0.002)
    _pool_size = max(_pool(), _pool_size)


def _pool():
    return list(_known.values()).count(_POOLS)


def _thread_ids():
    try:
        return {int(name) for name in os.listdir("/proc/self/task")}
    except OSError:
        return set()


def _other_threads(threads):
    """Whose the threads with these numbers are, in the order of the numbers. Only new ones are looked at."""
    for gone in _known.keys() - threads:
        _known.pop(gone, None)  # another thread may be doing the same
    new = threads - _known.keys()
    if new:
        _examine(new)
    for thread, whose in list(_known.items()):  # one of ours may have been seen before it had named itself
        if whose is _PYTHONS and _read(f"/proc/self/task/{thread}/comm").startswith(_OURS):
            _known[thread] = _OWN
    return [whose for _, whose in sorted(list(_known.items()))]


# ---- the warning ----


def _names(python, unnamed, libraries):
    names = [thread.name for thread in python]
    if unnamed:
        names.append(f"{unnamed} of _thread.start_new_thread")
    for whose in dict.fromkeys(libraries):
        names.append(f"{libraries.count(whose)} {whose}" if whose.startswith("of ") else whose)
    if len(names) > _MOST_NAMES:
        names[_MOST_NAMES:] = [f"{len(names) - _MOST_NAMES} more"]
    return ", ".join(names)


def place():
    """The innermost frame that is not this package's."""
    package = os.path.dirname(__file__) + os.sep
    frame = outermost = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(package):
        outermost, frame = frame, frame.f_back
    return frame or outermost


def _unnamed(this, counted, others):
    """How many others were started by _thread itself. One of Python's may be on its way out, and is not counted any more;
    and a forked child still counts its parent's."""
    threading = sys.modules.get("threading")
    me = threading._active.get(threading.get_ident()) if threading is not None else None
    is_unnamed_itself = this != os.getpid() and (me is None or type(me) is threading._DummyThread)
    uncounted = _thread._count() - counted - others.count(_OWN) - is_unnamed_itself
    return max(min(uncounted, others.count(_PYTHONS)), 0)


def warn(this):
    """Warns of threads besides this one, of which the kernel's number is given; not of harmless ones. May raise, as
    warnings may."""
    of_threading, counted = _threading_threads()
    others = _other_threads(_thread_ids() - {this, *(getattr(thread, "native_id", None) for thread in of_threading)})
    unnamed = _unnamed(this, counted, others)
    python = [thread for thread in of_threading if not _module(thread).startswith(_HARMLESS_MODULES)]
    libraries = [whose for whose in others if isinstance(whose, str)]
    count = len(python) + unnamed + len(libraries)
    if count == 0 or _read(f"/proc/self/task/{this}/comm").startswith(_OURS):
        return  # one of our own forks: the program cannot know of it
    text = (
        f"this process has other threads than the one that forks ({count}: {_names(python, unnamed, libraries)}). "
        "A lock that one of them holds stays locked for ever in the child, which may deadlock"
    )
    frame = place()
    file = frame.f_code.co_filename
    warnings.warn_explicit(
        _Text(text),
        DeprecationWarning,
        file,
        frame.f_lineno,
        frame.f_globals.get("__name__") or "<string>",
        _shown.setdefault(file, {}),
    )
