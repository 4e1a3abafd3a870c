"""trace.instrument: wraps the methods of libraries, so that they write the same events as snakefish's. Internal.

Every wrapper calls what it wraps, with the same arguments, and returns or raises what that does. The wrappers replace
attributes of the library's classes and modules, which uninstrument() puts back; children made by fork inherit them.

What is wrapped comes in parts. A part has the name of the module with whose import it begins, and needs other parts. The files
_instrument_*.py list what is wrapped, and by what; _instrument_later.py says which parts a library has.
"""

import functools
import sys

from snakefish import _snakefish, _tree


class _Installation:
    """A part that is installed. Each time it is another one: a wrapper of an earlier time only calls its original."""

    __slots__ = ("places", "on", "when_off")

    def __init__(self):
        self.places = []  # (owner, name, the original, our wrapper)
        self.on, self.when_off = False, None


_installed: dict = {}  # part: its installation, in the order of installing
_uses: dict = {}  # (library, part): None, for each part that a library has been given


def _method(original, within, mine):
    """Calls within(original, ...) while `mine` is on. After uninstrument() the wrapper, where a program has kept it,
    calls only the original."""

    @functools.wraps(original)
    def wrapper(*args, **kwargs):
        if not mine.on:
            return original(*args, **kwargs)
        try:
            return within(original, *args, **kwargs)
        except TypeError as error:
            if error.__traceback__.tb_next:
                raise
        return original(*args, **kwargs)  # within() refused the arguments; so does the original, by its own name

    return wrapper


# These are like _method, for methods that are called for every message. They have the parameters of their originals,
# which is faster than *args and **kwargs.


def _method_recv(original, within, mine):
    @functools.wraps(original)
    def recv(self):
        return within(original, self) if mine.on else original(self)

    return recv


def _method_send(original, within, mine):
    @functools.wraps(original)
    def send(self, obj):
        return within(original, self, obj) if mine.on else original(self, obj)

    return send


def _method_write(original, within, mine):
    @functools.wraps(original)
    def _send_bytes(self, buf):
        return within(original, self, buf) if mine.on else original(self, buf)

    return _send_bytes


def _method_read(original, within, mine):
    @functools.wraps(original)
    def _recv_bytes(self, maxsize=None):
        return within(original, self, maxsize) if mine.on else original(self, maxsize)

    return _recv_bytes


def _method_read_part(original, within, mine):
    @functools.wraps(original)
    def _recv(self, *args, **kwargs):
        return within(original, self, *args, **kwargs) if mine.on else original(self, *args, **kwargs)

    return _recv


_OWN_PARAMETERS = {
    "send": _method_send,
    "recv": _method_recv,
    "_send_bytes": _method_write,
    "_recv_bytes": _method_read,
    "_recv": _method_read_part,
}


def _bound(attribute, cls):
    """What cls.name gives where vars(cls)[name] is `attribute`: any kind of method, or what another library put there."""
    get = getattr(attribute, "__get__", None)
    return attribute if get is None else get(None, cls)


def _class_method(original, within, mine):
    """Like _method, for a method that is called on its class."""

    @functools.wraps(getattr(original, "__func__", original))
    def wrapper(cls, *args, **kwargs):
        if not mine.on:
            return _bound(original, cls)(*args, **kwargs)
        return within(_bound(original, cls), *args, **kwargs)

    return classmethod(wrapper)


def _with_makers(methods, class_methods=()):
    """[(function that makes the wrapper, owner, name, what the wrapper calls)]"""
    wanted = [(_OWN_PARAMETERS.get(one[1], _method), *one) for one in methods]
    return wanted + [(_class_method, *one) for one in class_methods]


# Each of these gives what is to be wrapped, and a function that is called when the part goes off, or None.


def _threading(module):
    from snakefish import _instrument_waits as waits

    return _with_makers(waits.METHODS), None


def _multiprocessing(module):
    from snakefish import _instrument_descriptors as descriptors
    from snakefish import _instrument_messages as messages
    from snakefish import _instrument_pools as pools
    from snakefish import _instrument_processes as processes

    _tree.replace_starters()  # they stay beneath our wrappers
    _snakefish._instrument_begin()
    methods = [*messages.METHODS, *descriptors.METHODS, *processes.METHODS, *pools.METHODS]
    return _with_makers(methods, messages.CLASS_METHODS), _end_of_multiprocessing


def _end_of_multiprocessing():
    _tree.restore_starters()
    _snakefish._instrument_forget()


def _thread_executors(module):
    from snakefish import _instrument_executors as executors

    return _with_makers(executors.thread_methods(module)), None


def _process_executors(module):
    from snakefish import _instrument_executors as executors

    tasks = executors.ProcessTasks(module)
    return _with_makers(tasks.methods()), tasks.end


def _loky(module):
    from snakefish import _instrument_loky as loky

    wanted, end = _process_executors(module)
    return wanted + _with_makers(loky.methods(module.__name__.rpartition(".")[0])), end


def _loky_processes(module):
    from snakefish import _instrument_loky as loky

    return _with_makers(loky.process_methods(module)), None


def _joblib(module):
    from snakefish import _instrument_joblib as joblib

    return _with_makers(joblib.methods(module)), None


_PARTS = {  # (the parts that it needs, what it wraps)
    "threading": ((), _threading),
    "multiprocessing": (("threading",), _multiprocessing),
    "concurrent.futures.thread": (("threading",), _thread_executors),
    "concurrent.futures.process": (("multiprocessing",), _process_executors),
    "loky.process_executor": (("multiprocessing",), _loky),
    "joblib.externals.loky.process_executor": (("multiprocessing",), _loky),
    "loky.backend.popen_loky_posix": (("multiprocessing",), _loky_processes),
    "joblib.externals.loky.backend.popen_loky_posix": (("multiprocessing",), _loky_processes),
    "joblib.parallel": (("multiprocessing",), _joblib),
}


def _install(part):
    needs, look = _PARTS[part]
    for need in needs:
        _install(need)
    if part in _installed:
        return
    mine = _Installation()
    wanted, mine.when_off = look(sys.modules.get(part))
    _installed[part] = mine
    for _, owner, name, _ in wanted:
        if name not in vars(owner):
            raise RuntimeError(f"this version of {part} cannot be instrumented: {owner.__name__} has no {name}")
    for make, owner, name, within in wanted:
        before = vars(owner)[name]
        mine.places.append((owner, name, before, make(before, within, mine)))
    mine.on = True
    for owner, name, _, now in mine.places:
        setattr(owner, name, now)


def _take_out(part):
    mine = _installed.pop(part)
    was_on, mine.on = mine.on, False
    for owner, name, before, now in reversed(mine.places if was_on else ()):
        if vars(owner).get(name) is now:  # else another library has wrapped our wrapper, which only calls the original now
            setattr(owner, name, before)
    if mine.when_off:
        mine.when_off()


def _needed():
    found = [part for _, part in _uses]
    for part in found:
        found += [need for need in _PARTS[part][0] if need not in found]
    return found


def _tidy():
    needed = _needed()
    for part in [part for part in reversed(_installed) if part not in needed]:
        _take_out(part)


def instrument(library, part):
    """Installs this part of the library, whose module is imported."""
    _uses[library, part] = None
    try:
        _install(part)
    except BaseException:
        _uses.pop((library, part), None)
        _tidy()
        raise


def uninstrument(library):
    """Takes out the parts of this library that no other one needs."""
    for use in [use for use in _uses if use[0] == library]:
        del _uses[use]
    _tidy()
