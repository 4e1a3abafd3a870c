"""What the library does with Threads and Generators that nobody refers to or asks for any more. Internal; called by
ext/py/task/fate.c."""

import sys
import types

_MESSAGE = "Exception never retrieved"


def tell(owner, exception, message=_MESSAGE):
    """Tells sys.unraisablehook. Where that is Python's own, which prints no __cause__, the whole is printed here: the
    cause is the traceback in the child. owner: what the message names, by its repr."""
    if getattr(sys, "unraisablehook", None) in (None, getattr(sys, "__unraisablehook__", None)):
        _print(owner, exception, message)
    else:
        sys.unraisablehook(_arguments(type(exception), exception, exception.__traceback__, message, owner))


def _print(owner, exception, message):
    import traceback

    if sys.stderr is not None:
        lines = traceback.format_exception(type(exception), exception, exception.__traceback__)
        sys.stderr.write(f"{message}: {owner!r}\n{''.join(lines)}")
        sys.stderr.flush()


def _arguments(*values):
    """As the interpreter makes them, so that a hook can hand them on to sys.__unraisablehook__, which takes no other
    type. CPython gives this type no name; PyPy has none."""
    for kind in tuple.__subclasses__():
        if kind.__name__ == "UnraisableHookArgs":
            return kind(values)
    return types.SimpleNamespace(**dict(zip(("exc_type", "exc_value", "exc_traceback", "err_msg", "object"), values)))
