"""Functions on their way to an Executor's workers. Internal; for _executor_state.py.

A worker is a fork, so it has every function that was there when it was forked. Such a function goes by a number: lambdas
and closures need no pickling then, and a function of a module that was redefined meanwhile (a notebook's cell that runs
again) is never taken for its old self, as it would be if its name were pickled. One that came later gets a number too,
and workers that have it have to be forked: a new generation.

    number < inherited: all workers of this generation have it
"""

import collections
import functools
import itertools
import os
import pickle
import sys
import time
import types

from snakefish._child import summarise
from snakefish._exceptions import pickle_exception
from snakefish._snakefish import ChildDied

_PICKLED = {  # from C: they cannot be redefined, and pickle finds them by their name
    types.BuiltinFunctionType,
    types.ClassMethodDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
}.difference([types.FunctionType])  # which some of them are in PyPy
_HEAP_TYPE = 1 << 9  # a class with this flag was made by a program, not by C (Py_TPFLAGS_HEAPTYPE)
_MOST, _KEPT = 1000, 500  # functions: from the one number on the oldest are dropped, down to the other
_PLACEHOLDER = getattr(functools, "Placeholder", object())
NO_NUMBER = -1
# Attributes of exceptions on their way home:
UNOPENED = "_snakefish_unopened"  # it is why an item cannot be unpickled in the worker
RESULTS = "_snakefish_results"  # of a chunk, before the call that raised


# An item with share=: see _executor_share.py. function: as of Functions.item
SharedItem = collections.namedtuple("SharedItem", "function packed_parcel packed_call")


class Refused(Exception):
    """A worker has no function with that number: it was forked before. args: its generation."""


def _contents(cell):
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return cell


def _parts(function):
    """What makes a callable what it is: two with the same parts do the same. A bound method, and a function of Python that
    is made in a call, is another object each time."""
    if isinstance(function, types.MethodType):
        return [function.__func__, function.__self__]
    if isinstance(function, types.BuiltinFunctionType) and function.__self__ is not None:
        return [sys.intern(function.__name__), function.__self__]
    if not isinstance(function, types.FunctionType):
        return [function]
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
    return type(callable_) not in _PICKLED and isinstance(getattr(callable_, "__qualname__", None), str)


def goes_whole(callable_):
    """Whether no part of it is pickled that could go by a number with the rest."""
    if isinstance(callable_, (types.MethodType, types.BuiltinFunctionType)):
        return isinstance(getattr(callable_, "__self__", None), (types.ModuleType, type(None)))
    return _goes_by_number(callable_) or isinstance(callable_, type) or type(callable_) in _PICKLED


class Functions:
    """The functions of one Executor, by number. In a worker: those it was forked with."""

    def __init__(self):
        self._by_number = {}
        self._numbers = {}  # the ids of a function's parts: its number
        self._kept = {}  # number: those ids, and the parts, which have to live as long as their ids are here
        self._seconds = {}  # number: what a call took in its last map
        self._limit = _MOST
        self._next = itertools.count()
        self.inherited = self.generation = 0

    def number(self, function):
        """The number of any callable, a new one if it has none."""
        parts = _parts(function)
        key = tuple(map(id, parts))
        number = self._numbers.get(key)
        if number is None:
            number = next(self._next)  # one step: another thread, or a signal handler, gets another number
            self._by_number[number] = function
            self._kept[number] = (key, parts)
            self._numbers[key] = number
        return number

    def item(self, function, args, kwargs, whole):
        """What travels for a call, and the number of the function in it, or NO_NUMBER: it is pickled. whole: the callable
        goes by one number, none of its parts is pickled."""
        if whole:
            number = self.number(function)
            return (number, args, kwargs or None), number
        while True:
            is_method = isinstance(function, types.MethodType)
            if is_method and not isinstance(function.__self__, (type, types.ModuleType)):
                function, args = function.__func__, (function.__self__, *args)
            elif type(function) is functools.partial and not any(value is _PLACEHOLDER for value in function.args):
                kwargs = {**function.keywords, **kwargs}
                function, args = function.func, (*function.args, *args)
            else:
                break
        if is_method or _goes_by_number(function):
            number = self.number(function)
            return (number, args, kwargs or None), number
        return (function, args, kwargs or None), NO_NUMBER

    def inherit(self):
        """Before the first workers of a generation are forked: they will have all functions that are here."""
        self.generation += 1
        self.inherited = next(self._next)

    def seconds(self, function):
        """What a call of it took in its last map; None: there was none."""
        return self._seconds.get(self._numbers.get(tuple(map(id, _parts(function)))))

    def note_seconds(self, number, seconds):
        if number in self._by_number:
            self._seconds[number] = seconds

    def is_full(self):
        return len(self._by_number) > self._limit

    def trim(self, used):
        """Drops the oldest functions, but for some, and for those with these numbers."""
        for number in sorted(self._by_number.keys() - used)[: len(self._by_number) - _KEPT]:
            key, _ = self._kept.pop(number)
            self._numbers.pop(key, None)  # two threads may have given a function two numbers
            del self._by_number[number]
            self._seconds.pop(number, None)
        self._limit = max(_MOST, 2 * len(self._by_number))

    def call(self, item):
        """In a worker: what an item asks for. None is a probe (ext/py/workers/crew.h); an exception is why the item cannot
        be unpickled."""
        if item is None:
            return None
        if isinstance(item, BaseException):
            vars(item)[UNOPENED] = True
            raise item
        if type(item) is SharedItem:
            return self._call_shared(item)
        is_chunk = type(item) is list
        if is_chunk:
            is_star, function, args, kwargs = item.pop(), item.pop(), (), None
        else:
            function, args, kwargs = item[:3]
        function = self._found(function)
        if is_chunk:
            return _call_each(function, item, is_star)
        if len(item) > 3:
            if args or kwargs:
                function = functools.partial(function, *args, **kwargs or {})
            return _call_each(function, *item[3:])
        return function(*args, **kwargs) if kwargs else function(*args)

    def _found(self, function):
        """The function of an item, which may be a number."""
        if type(function) is int:
            function = self._by_number.get(function)
            if function is None:
                raise Refused(self.generation)
        return function

    def _call_shared(self, item):
        from snakefish._submitted_share import SharedCall

        function = self._found(item.function)
        try:
            call = SharedCall(function, item.packed_parcel, item.packed_call)
        except Exception as reason:
            vars(reason)[UNOPENED] = True
            raise
        return call.run()


def chunk_item(number, items, is_star):
    """What travels for a chunk of a map (_executor_map.py) whose function goes by its number. A flat list, because one of
    numbers or strs is packed and opened fastest."""
    return [*items, number, is_star]


def _call_each(function, items, is_star):
    """For a chunk: the results, and behind them how many seconds it took, for the same reason in one list."""
    results, failure = [], None
    begin = time.perf_counter()
    try:
        results.extend(itertools.starmap(function, items) if is_star else map(function, items))
        if len(results) < len(items):
            raise RuntimeError("the function raised StopIteration")
    except SystemExit:
        raise
    except BaseException as raised:
        results, failure = _failure_after(results, raised)
    if failure is not None:  # raised here, it refers to no other exception, which it would take along (tblib)
        vars(failure)[RESULTS] = results
        raise failure
    results.append(time.perf_counter() - begin)
    return results


def _failure_after(results, raised):
    """The results that can travel, up to the first one that cannot, and what comes in the place of the next one: why that
    one cannot, or what was raised. Neither can travel if one of both cannot."""
    for at, result in enumerate([] if _why_not(results) is None else results):
        reason = _why_not(result)
        if reason is not None:
            return results[:at], reason
    try:
        pickle_exception(raised)
    except Exception as reason:
        died = ChildDied(f"what the function raised was {summarise(raised)}, an exception that cannot be pickled: {reason}")
        died.pid = os.getpid()
        return results, died
    return results, raised


def _why_not(value):
    """What pickling it raises, or None."""
    try:
        pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception as reason:
        return reason
    return None
