"""trace.instrument("multiprocessing"): its methods wrapped, so that they write the events that ours write. Internal.

Every wrapper calls what it wraps, with the same arguments, and hands on what that returns or raises. They are put in place
of attributes of multiprocessing's classes and modules, which uninstrument() puts back; children made by fork have them
too. What is wrapped in what: _instrument_messages.py, _instrument_processes.py, _instrument_pools.py.
"""

import functools

from snakefish import _snakefish

_installed = []  # (owner, name, what was there, what is there now); another list for each time


def _method(original, within, mine):
    """Calls within(original, ...), while the wrappers of that time are there: somebody may have kept this one."""

    @functools.wraps(original)
    def wrapper(*args, **kwargs):
        if mine is not _installed:
            return original(*args, **kwargs)
        try:
            return within(original, *args, **kwargs)
        except TypeError as error:
            if error.__traceback__.tb_next:
                raise
        return original(*args, **kwargs)  # no call was begun: these are not its arguments, which it says by its own name

    return wrapper


# The same for what is called for every message, with its own parameters, which need not be packed up.


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


_OWN_PARAMETERS = {
    "send": _method_send,
    "recv": _method_recv,
    "_send_bytes": _method_write,
    "_recv_bytes": _method_read,
}


def _bound(attribute, cls):
    """What cls.name is, where vars(cls)[name] is the attribute: any kind of method, or what another put there."""
    get = getattr(attribute, "__get__", None)
    return attribute if get is None else get(None, cls)


def _class_method(original, within, mine):
    """The same, for what is called as an attribute of its class."""

    @functools.wraps(getattr(original, "__func__", original))
    def wrapper(cls, *args, **kwargs):
        if mine is not _installed:
            return _bound(original, cls)(*args, **kwargs)
        return within(_bound(original, cls), *args, **kwargs)

    return classmethod(wrapper)


def _multiprocessing():
    """[(maker of the wrapper, owner, name, what it calls)]"""
    from snakefish import _instrument_messages as messages
    from snakefish import _instrument_pools as pools
    from snakefish import _instrument_processes as processes

    methods = [*messages.METHODS, *processes.METHODS, *pools.METHODS]
    return [(_OWN_PARAMETERS.get(one[1], _method), *one) for one in methods] + [(_class_method, *one) for one in messages.CLASS_METHODS]


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
        if vars(owner).get(name) is now:  # else somebody has wrapped ours, which does nothing from now on
            setattr(owner, name, before)
    if mine:
        _snakefish._instrument_forget()
