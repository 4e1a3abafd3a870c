"""The iterators of imap and imap_unordered, and each call on them."""
import snakefish
from snakefish import ChildDied

from .subject import Source
from .values import Value
from .world import Stop, at


class ImapSubject(Source):
    kind = "imap"

    def __init__(self, name, options):
        super().__init__(name, options)
        make = snakefish.imap_unordered if options["unordered"] else snakefish.imap
        self.object = make(self.work, self.source(), concurrency=2, chunksize=options["chunksize"])

    def source(self):
        for number in range(self.options["items"]):
            at("source")
            yield Value(number, 10)

    def work(self, argument):
        self.world.arm_child()
        at("f")
        return Value(argument.number, self.options["size"])

    def do_next(self):
        self.take(next, self.object)

    def do_close(self):
        self.book.note("closed", self.mine())
        self.object.close()

    def do_with(self):
        self.book.note("closed", self.mine())
        with self.object:
            pass

    def do_iter(self):
        found = self.object
        self.check(iter(found) is found, "its iter() is another object")

    def do_repr(self):
        self.check(repr(self.object), "no repr")

    documented = dict(next=StopIteration)

    def finish(self):
        missing = self.book.times("closed", self.mine()) or self.book.times("raised")
        while True:
            try:
                self.take(next, self.object)
            except StopIteration:
                break
            except (Stop, ChildDied):
                if not self.book.times("raised"):
                    raise
        self.object.close()
        self.check_taken(self.options["items"], missing)
