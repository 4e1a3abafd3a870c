"""Exceptions on their way from a child to its parent. Internal; for ext/py/task/outcome.c.

pickle makes an exception again by calling its class with its `args`. That fails where __init__ takes other arguments than
it hands on to Exception. Here such an exception is made without its __init__. And an attribute that cannot be pickled
stays in the child, so that the rest of its exception can travel.
"""

import copyreg
import io

try:
    from _pickle import Pickler  # type: ignore[import]
except ImportError:  # PyPy
    from pickle import Pickler

from snakefish._interruption import is_from_signal_handler

_PROTOCOL = 5  # the highest


class _Pickler(Pickler):
    """Pickles exceptions as calls of `remake`. With `left_out` as a dict, attributes of exceptions that cannot be
    pickled are left out, and it gets the reasons by their names. tried: the exceptions whose attribute this Pickler
    tries; such an attribute may lead back to them."""

    def __init__(self, left_out=None, tried=()):
        self.file, self.left_out, self.tried = io.BytesIO(), left_out, tried
        super().__init__(self.file, _PROTOCOL)

    def reducer_override(self, obj):
        if not isinstance(obj, BaseException) or type(obj) in copyreg.dispatch_table:
            return NotImplemented
        if any(exception is obj for exception in self.tried):
            reduced = reduce_exception(obj)
            return reduced[:2] if reduced[0] is remake else reduced
        if self.left_out is None:
            return reduce_exception(obj)
        return reduce_exception(obj, lambda name, value: self._can_pickle(obj, name, value))

    def _can_pickle(self, exception, name, value):
        try:
            _Pickler({}, (*self.tried, exception)).dump(value)
            return True
        except Exception as reason:
            self.left_out[name] = reason
            return False


def pickle_exception(exception):
    """Its pickle, and what its remote traceback has to say besides, which is often nothing. Raises what pickle raises."""
    try:
        pickler = _Pickler()
        pickler.dump(exception)
        return pickler.file.getvalue(), ""
    except Exception as reason:
        left_out = {}
        try:
            pickler = _Pickler(left_out)
            pickler.dump(exception)
        except Exception:
            raise reason from None
        lines = [f"(its attribute {name!r} stayed in the child: {why})\n" for name, why in left_out.items()]
        return pickler.file.getvalue(), "".join(lines)


def reduce_exception(exception, can_travel=None):
    """What its __reduce_ex__ returns, with `remake` in the place of its class, unless the class has a way of its own.
    can_travel(name, value): of each attribute, whether it is kept; all are where that is None."""
    reduced = exception.__reduce_ex__(_PROTOCOL)
    if not isinstance(reduced, tuple) or reduced[0] is not type(exception):
        return reduced
    state = reduced[2:]
    if can_travel is not None and state and isinstance(state[0], dict):
        state = ({name: value for name, value in state[0].items() if can_travel(name, value)}, *state[1:])
    return (remake, (type(exception), reduced[1], exception.args), *state)


def remake(cls, arguments, args):
    """The exception that cls(*arguments) makes, or if that raises, one made without the class's own __new__ and
    __init__. pickle sets the attributes afterwards. args: those that it had."""
    try:
        exception = cls(*arguments)
    except Exception as reason:
        if isinstance(reason, (MemoryError, RecursionError)) or is_from_signal_handler(reason):
            raise  # it says nothing about the class: see ext/py/base/interruption.h
        builtin = next(base for base in cls.__mro__ if base.__module__ == "builtins")
        exception = builtin.__new__(cls, *arguments)
        builtin.__init__(exception, *arguments)
    exception.args = args
    return exception
