"""What travels between the processes of a case, and calls at() on its way."""
import itertools
import traceback
import weakref

from .world import at

live = set()  # a weak reference for each value of this process


def _died(reference):
    live.discard(reference)
    at("weakref")


class Value:
    """Travels between processes, and calls at() on the way. Its payload follows from its number and size."""

    def __init__(self, number, size):
        self.number, self.payload = number, bytes([number % 251]) * size
        live.add(weakref.ref(self, _died))

    def __reduce__(self):
        at("reduce")
        return _empty, (), (self.number, self.payload)

    def __setstate__(self, state):
        self.number, self.payload = state
        live.add(weakref.ref(self, _died))
        at("setstate")

    def __del__(self):
        at("del")

    def is_right(self, number):
        return self.number == number and self.payload == bytes([number % 251]) * len(self.payload)


def _empty():
    return Value.__new__(Value)


class Problem(Exception):
    """What f raises: it travels as a value does, and is printed as text in the child."""

    def __init__(self, number):
        super().__init__(number)

    def __reduce__(self):
        at("reduce")
        return Problem, self.args, {"travelled": True}

    def __setstate__(self, state):
        self.__dict__.update(state)
        at("setstate")

    def __str__(self):
        at("str")
        return f"problem {self.args[0]}"


class Number:
    """A number in an argument whose conversion calls at()."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        at("argument")
        return float(self.value)

    def __index__(self):
        at("argument")
        return int(self.value)

    def __bool__(self):
        at("argument")
        return bool(self.value)


def take(box, function, *arguments):
    """box.append(function(*arguments)) in one step of the interpreter: no handler can raise between the two, and what was
    taken is never lost here."""
    before = len(box)
    box.extend(itertools.starmap(function, [arguments]))
    if len(box) == before:
        raise StopIteration


def describe(error):
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
