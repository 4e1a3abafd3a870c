"""An object that a case works with, and what every call on it has to keep to.

Each call returns a right value, or raises RuntimeError or what its documentation names. The main program's own calls raise
no RuntimeError where nothing else is called on their object that changes it. ChildDied is right only where the case itself has
killed the child. finish(), at the end, requires that nothing was lost.
"""
import collections
import os

from snakefish import ChildDied

from . import world as worlds
from .values import Value, describe, take
from .world import Stop

SHORT_S = 0.05
METHODS = {}  # kind -> methods


class Subject:
    kind = None
    documented = {}  # method -> what it may raise besides RuntimeError

    def __init_subclass__(cls):
        if cls.kind:
            METHODS[cls.kind] = [name[3:] for name in dir(cls) if name.startswith("do_") and getattr(cls, name)]

    def __init__(self, name, options):
        self.name, self.options, self.world = name, options, worlds.here()
        self.book = self.world.book
        self.forgotten = False

    def mine(self):
        """The object in this process: a child that inherits it has an object of its own."""
        return f"{self.name}@{self.world.home}"

    def begin(self):
        """When all objects are there."""

    def is_ready(self, method):
        """Whether the main program calls that method in a state where it raises no RuntimeError."""
        return True

    def do_forget(self):
        """The program's last reference goes; a call that is running has one still."""
        self.forgotten = True
        self.world.forgotten.append(getattr(self.object, "pid", None))
        self.object = None

    def call(self, method, where):
        """Makes a call, and notes what is wrong with how it ended. A Stop comes through, if a plan has raised one."""
        if self.forgotten:
            return
        try:
            getattr(self, "do_" + method)()
        except Stop as error:
            if not self.book.times("raised"):
                self.wrong(method, where, error)
            raise
        except ChildDied as error:
            if not self.may_have_died() and not self.world.is_copy():
                self.wrong(method, where, error)
        except RuntimeError as error:
            if not str(error) or where == "main" and self.is_ready(method) and not self.world.may_refuse():
                self.wrong(method, where, error)
        except self.documented.get(method, ()):
            pass
        except BaseException as error:
            if not (self.forgotten and isinstance(error, AttributeError)):
                self.wrong(method, where, error)

    def wrong(self, method, where, error):
        self.world.wrong(f"{self.name}.{method}() at {where}:", describe(error))

    def check(self, truth, *words):
        if not truth:
            self.world.wrong(f"{self.name}:", *words)

    def may_have_died(self):
        """Whether the case has killed the child, or let it raise where the library reports that as ChildDied."""
        return (self.book.times("killed", self.mine()) > self.book.times("spared", self.mine())
                or self.book.times("raised child") or self.book.times("raised parent setstate"))

    def check_value(self, value, number):
        self.check(isinstance(value, Value) and value.is_right(number), f"is no right value {number}:", repr(value))


class Source(Subject):
    """What Generator and imap have in common: items that come out, each once."""

    def __init__(self, name, options):
        super().__init__(name, options)
        self.boxes = collections.defaultdict(list)  # by process: what was taken and not noted, as a handler raised then

    def take(self, function, *arguments):
        box = self.boxes[os.getpid()]
        try:
            take(box, function, *arguments)
        finally:
            self.note_taken(box)

    def note_taken(self, box):
        with self.world.undisturbed():
            while box:
                value = box.pop(0)
                self.check_value(value, value.number)
                self.book.note("copy-item" if self.world.is_copy() else "item", self.mine(), value.number)

    def check_taken(self, count, may_miss):
        self.note_taken(self.boxes[os.getpid()])
        taken = sorted(self.book.numbers("item", self.mine()))
        copied = self.book.numbers("copy-item", self.mine())
        self.check(len(set(taken)) == len(taken), "came out twice:", taken)
        self.check(set(taken + copied) == set(range(count)) or may_miss, "came out:", taken, "of", count)
