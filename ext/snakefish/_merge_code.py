"""Which globals a function changes, read from its code. Internal; for _merge_explain.py.

The code is not run: _merge_pass.py looks at its instructions, and here the calls in it are followed: into functions of the
same module, into those that are made in the code, and into all others that get a part of a global.
"""

import builtins
import functools
import inspect
import types

from snakefish._merge_pass import Made, Pass
from snakefish._merge_things import (FUNCTIONS, UNKNOWN, Instance, Thing, either, holding, is_atom, is_function,
                                     new_container, parts, returned)

MOST = 300  # pieces of code that are looked at
DEEPEST = 40  # calls in calls


def changes_of(functions, namespace):
    """{name: ["total = ... in line 3", ...]} of the globals in `namespace` that these functions change, or what they call. A
    global of another module is "module:name"."""
    reader = Reader(namespace)
    for function in functions:
        reader.call(Thing(None, "", 0, function), [], {}, 0)
    return {name: list(dict.fromkeys(how)) for name, how in reader.found.items()}


class Reader:
    """found: {name: [how and where]}."""

    def __init__(self, namespace):
        self.namespace, self.found = namespace, {}
        self._names = {id(value): name for name, value in namespace.items() if not is_atom(value)}
        self._results = {}  # of the pieces of code that were looked at
        self._depth = 0

    def change(self, things, how, line):
        for thing in things:
            if thing.name and not thing.new:
                self.found.setdefault(thing.name, []).append(f"{how.format(thing.text)} in line {line}")

    def known(self, text, value, name=None):
        """The things that an object is which is there just now."""
        if is_atom(value):
            return ()
        name = name or self._names.get(id(value))
        return (Thing(name, name or text, 0, value),)

    def load_global(self, name, namespace):
        if name not in namespace and hasattr(builtins, name):
            return self.known(name, getattr(builtins, name))
        return self.known(name, namespace.get(name, UNKNOWN), name if namespace is self.namespace else None)

    def call(self, thing, arguments, keywords, line):
        """What comes out of a call. arguments: the things that each is; keywords: {name: things}, "*" is for those of **."""
        function, handed = thing.value, [*arguments, *keywords.values()]
        if thing.owner:
            arguments = [thing.owner, *arguments]
        while not (isinstance(function, Made) or is_function(function)):
            if isinstance(function, functools.partial):
                arguments = [*(self.known("", value) for value in function.args), *arguments]
                keywords = {**{name: self.known(name, value) for name, value in function.keywords.items()}, **keywords}
                handed = [*arguments, *keywords.values()]
                function = function.func
            elif isinstance(function, types.MethodType):
                arguments = [self.known("self", function.__self__), *arguments]
                function = function.__func__
            elif isinstance(function, type):
                return self._made(function, thing, arguments, keywords, line)
            elif is_function(inspect.getattr_static(type(function), "__call__", None)):
                arguments = [self.known(thing.text, function, thing.name), *arguments]
                function = inspect.getattr_static(type(function), "__call__")
            elif is_function(inspect.getattr_static(function, "__wrapped__", None)):
                function = inspect.getattr_static(function, "__wrapped__")
            else:
                return self._without_code(thing, function, arguments, keywords, line)
        if isinstance(function, Made):
            return self.code(function.code, function.namespace, {**function.free, **_bound(function.code, arguments, keywords)})
        inherited = self._inherited(function)
        if function.__globals__ is not self.namespace and thing.text and not any(
                one.name for things in (*handed, *inherited.values()) for one in things):
            return ()  # another module's, with nothing of ours but its own object, if it is a method
        return self.code(function.__code__, function.__globals__,
                         {**inherited, **_bound(function.__code__, arguments, keywords)})

    def _made(self, cls, thing, arguments, keywords, line):
        """An object of a class."""
        init = next((vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)), None)
        if not is_function(init):
            found = self._without_code(thing, cls, arguments, keywords, line)
            return found or (Thing(None, "object", 0, Instance(cls)),)
        made = Thing(None, "object", 0, Instance(cls))
        self.call(Thing(None, thing.text, 0, init), [(made,), *arguments], keywords, line)
        return (made,)

    def _inherited(self, function):
        """{name: things} of its default arguments and of the variables of the functions around it."""
        code, defaults = function.__code__, function.__defaults__ or ()
        values = dict(zip(code.co_varnames[code.co_argcount - len(defaults):], defaults), **function.__kwdefaults__ or {})
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            try:
                values[name] = cell.cell_contents
            except ValueError:  # nothing is in it yet
                pass
        return {name: self.known(name, value) for name, value in values.items()}

    def _without_code(self, thing, function, arguments, keywords, line):
        name = thing.text.rpartition(".")[2]
        if function is builtins.globals:
            return (Thing(None, "globals()", 0, self.namespace),)
        if function is functools.partial or function in (map, filter):
            given = arguments[1:] if function is functools.partial else [parts(things, "[...]") for things in arguments[1:]]
            for called in arguments[0] if arguments else ():  # sooner or later
                self.call(called, given, keywords, line)
            return new_container(_all(arguments[1:]))
        if name in FUNCTIONS and arguments and not thing.owner:
            self.change(arguments[0], name + "({})", line)
        self.change(keywords.get("out", ()), f"{name}(out={{}})", line)
        return returned(name, _all(arguments))

    def code(self, code, namespace, given):
        """Looks at it once for each that it is given: {local or free variable: things}. What it returns."""
        key = code, tuple(sorted((name, tuple(thing.key() for thing in things)) for name, things in given.items() if things))
        if key not in self._results and len(self._results) < MOST and self._depth < DEEPEST:
            self._results[key] = ()  # for who calls itself
            self._depth += 1
            self._results[key] = Pass(self, code, namespace, given).run()
            self._depth -= 1
        return self._results.get(key, ())


def _bound(code, arguments, keywords):
    """{parameter: things}"""
    names = code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]
    others = list(code.co_varnames[len(names):])
    given = dict(zip(names[:code.co_argcount], arguments))
    for name in names[len(given):] if "*" in keywords else ():
        given[name] = keywords["*"]
    given.update((name, things) for name, things in keywords.items() if name in names)
    if code.co_flags & 4:  # *args
        given[others.pop(0)] = holding(*arguments[code.co_argcount:])
    if code.co_flags & 8:  # **kwargs
        given[others.pop(0)] = holding(*(things for name, things in keywords.items() if name not in names))
    return given


def _all(values):
    return functools.reduce(either, values, ())
