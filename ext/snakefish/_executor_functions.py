"""Functions on their way to an Executor's workers. Internal; for _executor.py.

A worker is a fork, so it has every function that was there when it was forked. Such a function goes by a number: lambdas
and closures need no pickling then, and a function of a module that was redefined meanwhile (a notebook's cell that runs
again) is never taken for its old self, as it would be if its name were pickled. One that came later gets a number too,
and workers that have it have to be forked: a new generation.

    number < inherited: all workers of this generation have it
"""

import functools
import types

_PICKLED = (  # from C: they cannot be redefined, and pickle finds them by their name
    types.BuiltinFunctionType,
    types.ClassMethodDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)
_HEAP_TYPE = 1 << 9  # a class with this flag was made by a program, not by C (Py_TPFLAGS_HEAPTYPE)
_MOST, _KEPT = 1000, 500  # functions: from the one number on the oldest are dropped, down to the other
_PLACEHOLDER = getattr(functools, "Placeholder", object())
NO_NUMBER = -1


class Refused(Exception):
    """A worker has no function with that number: it was forked before. args: its generation."""


def _contents(cell):
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return cell


def _parts(function):
    """What makes a Python function what it is. Two with the same parts do the same."""
    parts = [function.__code__, function.__globals__]
    parts += function.__defaults__ or ()
    for name, value in (function.__kwdefaults__ or {}).items():
        parts += (name, value)
    parts += map(_contents, function.__closure__ or ())
    if function.__dict__:
        parts.append(function)
    return parts


def _goes_by_number(callable_):
    if isinstance(callable_, type):
        return bool(callable_.__flags__ & _HEAP_TYPE)
    return not isinstance(callable_, _PICKLED) and isinstance(getattr(callable_, "__qualname__", None), str)


class Functions:
    """The functions of one Executor, by number. In a worker: those it was forked with."""

    def __init__(self):
        self._by_number = {}
        self._numbers = {}  # the ids of a function's parts: its number
        self._kept = {}  # number: those ids, and the parts, which have to live as long as their ids are here
        self._limit = _MOST
        self.next = self.inherited = 0
        self.generation = 0

    def number(self, function):
        """The number of any callable, a new one if it has none."""
        parts = _parts(function) if type(function) is types.FunctionType else [function]
        if type(function) is types.MethodType:  # each access makes another one
            parts = [function.__func__, function.__self__]
        key = tuple(map(id, parts))
        number = self._numbers.get(key)
        if number is None:
            number = self.next
            self._by_number[number] = function
            self._kept[number] = (key, parts)
            self._numbers[key] = number
            self.next = number + 1
        return number

    def item(self, function, args, kwargs):
        """What travels for a call, and the number of the function in it, or NO_NUMBER: it is pickled."""
        while True:
            kind = type(function)
            if kind is types.MethodType and not isinstance(function.__self__, (type, types.ModuleType)):
                function, args = function.__func__, (function.__self__, *args)
            elif kind is functools.partial and not any(value is _PLACEHOLDER for value in function.args):
                kwargs = {**function.keywords, **kwargs}
                function, args = function.func, (*function.args, *args)
            else:
                break
        if kind is types.FunctionType or kind is types.MethodType or _goes_by_number(function):
            number = self.number(function)
            return (number, args, kwargs or None), number
        return (function, args, kwargs or None), NO_NUMBER

    def inherit(self):
        """Before the first workers of a generation are forked: they will have all functions that are here."""
        self.generation += 1
        self.inherited = self.next

    def is_full(self):
        return len(self._by_number) > self._limit

    def trim(self, used):
        """Drops the oldest functions, but for some, and for those with these numbers."""
        for number in sorted(self._by_number.keys() - used)[:-_KEPT]:
            key, _ = self._kept.pop(number)
            del self._numbers[key], self._by_number[number]
        self._limit = max(_MOST, 2 * len(self._by_number))

    def call(self, item):
        """In a worker: what an item asks for. None is a probe (ext/py/workers/crew.h)."""
        if item is None:
            return None
        function, args, kwargs = item
        if type(function) is int:
            number, function = function, self._by_number.get(function)
            if function is None and number not in self._by_number:
                raise Refused(self.generation)
        return function(*args, **kwargs) if kwargs else function(*args)
