"""trace.instrument("multiprocessing"): wraps its methods, so that they write the same events as snakefish's. Internal.

Every wrapper calls what it wraps, with the same arguments, and returns or raises what that does. The wrappers replace
attributes of multiprocessing's classes and modules, which uninstrument() puts back; children made by fork inherit them.
_instrument_messages.py, _instrument_descriptors.py, _instrument_processes.py, _instrument_pools.py and _instrument_waits.py
list what is wrapped, and by what.
"""

import functools

from snakefish import _snakefish, _tree

_installed: list = []  # (owner, name, the original, our wrapper); each instrument() makes a new list


def _method(original, within, mine):
    """Calls within(original, ...) while `mine` is installed. After uninstrument() the wrapper, where a program has kept it,
    calls only the original."""

    @functools.wraps(original)
    def wrapper(*args, **kwargs):
        if mine is not _installed:
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
        return within(original, self) if mine is _installed else original(self)

    return recv


def _method_send(original, within, mine):
    @functools.wraps(original)
    def send(self, obj):
        return within(original, self, obj) if mine is _installed else original(self, obj)

    return send


def _method_write(original, within, mine):
    @functools.wraps(original)
    def _send_bytes(self, buf):
        return within(original, self, buf) if mine is _installed else original(self, buf)

    return _send_bytes


def _method_read(original, within, mine):
    @functools.wraps(original)
    def _recv_bytes(self, maxsize=None):
        return within(original, self, maxsize) if mine is _installed else original(self, maxsize)

    return _recv_bytes


def _method_read_part(original, within, mine):
    @functools.wraps(original)
    def _recv(self, *args, **kwargs):
        return within(original, self, *args, **kwargs) if mine is _installed else original(self, *args, **kwargs)

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
        if mine is not _installed:
            return _bound(original, cls)(*args, **kwargs)
        return within(_bound(original, cls), *args, **kwargs)

    return classmethod(wrapper)


def _multiprocessing():
    """[(function that makes the wrapper, owner, name, what the wrapper calls)]"""
    from snakefish import _instrument_descriptors as descriptors
    from snakefish import _instrument_messages as messages
    from snakefish import _instrument_pools as pools
    from snakefish import _instrument_processes as processes
    from snakefish import _instrument_waits as waits

    methods = [*messages.METHODS, *descriptors.METHODS, *processes.METHODS, *pools.METHODS, *waits.METHODS]
    wanted = [(_OWN_PARAMETERS.get(one[1], _method), *one) for one in methods]
    return wanted + [(_class_method, *one) for one in messages.CLASS_METHODS]


_LIBRARIES = {"multiprocessing": _multiprocessing}


def _check(library):
    if not isinstance(library, str):
        raise TypeError(f"library must be a str, not {type(library).__name__}")
    if library not in _LIBRARIES:
        raise ValueError(f"library must be one of {', '.join(_LIBRARIES)}, not {library!r}")


def instrument(library):
    global _installed
    _check(library)
    if _installed:
        return
    _tree.replace_starters()  # they stay beneath our wrappers
    wanted, mine = _LIBRARIES[library](), []
    for _, owner, name, _ in wanted:
        if name not in vars(owner):
            raise RuntimeError(f"this version of {library} cannot be instrumented: {owner.__name__} has no {name}")
    for make, owner, name, within in wanted:
        before = vars(owner)[name]
        mine.append((owner, name, before, make(before, within, mine)))
    _snakefish._instrument_begin()
    _installed = mine
    for owner, name, _, now in mine:
        setattr(owner, name, now)


def uninstrument(library):
    global _installed
    _check(library)
    mine, _installed = _installed, []
    for owner, name, before, now in reversed(mine):
        if vars(owner).get(name) is now:  # else another library has wrapped our wrapper, which only calls the original now
            setattr(owner, name, before)
    _tree.restore_starters()
    if mine:
        _snakefish._instrument_forget()
