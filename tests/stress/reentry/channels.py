"""Channel: numbered messages, each of which is received once."""
import collections
import itertools
import os
import time

from snakefish import Channel

from .subject import SHORT_S, Subject
from .values import Number, Value, take
from .world import Stop


class ChannelSubject(Subject):
    kind = "channel"

    def __init__(self, name, options):
        super().__init__(name, options)
        self.boxes = collections.defaultdict(list)  # as a Source has them
        self.object = Channel(options["bytes"])
        self.numbers = itertools.count()
        for _ in range(options["loaded"]):
            self.call("send", "the beginning")

    def begin(self):
        if self.options["helper"]:
            self.world.fork_helper(self.help)

    def help(self):
        """In a process of its own: feeds the channel, or drains it."""
        time.sleep(self.options["seconds"])
        for _ in range(self.options["loaded"]):
            if self.world.is_set("ended"):
                break
            self.call("send_timeout" if self.options["helper"] == "feeds" else "receive_timeout", "the helper")

    def send(self, *arguments):
        number = os.getpid() * 1000 + next(self.numbers)
        self.book.note("maybe", self.name, number)
        if self.options["raw"]:
            self.object.send_bytes(b"%d" % number + bytes(self.options["size"]), *arguments)
        else:
            self.object.send_pyobj(Value(number, self.options["size"]), *arguments)
        self.book.note("sent", self.name, number)

    def receive(self, *arguments):
        box = self.boxes[os.getpid()]
        try:
            take(box, self.object.receive_bytes if self.options["raw"] else self.object.receive_pyobj, *arguments)
        finally:
            self.note_taken(box)

    def note_taken(self, box):
        with self.world.undisturbed():
            while box:
                message = box.pop(0)
                if self.options["raw"]:
                    number = int(message.rstrip(bytes(1)))
                    self.check(len(message) == len(b"%d" % number) + self.options["size"], "bytes are missing of", number)
                else:
                    self.check_value(message, message.number)
                    number = message.number
                self.book.note("copy-got" if self.world.is_copy() else "got", self.name, number)

    def do_send(self):
        self.send()

    def do_send_now(self):
        self.send(Number(False))

    def do_send_timeout(self):
        self.send(True, Number(SHORT_S))

    def do_receive_now(self):
        self.receive(Number(False))

    def do_receive_timeout(self):
        self.receive(True, Number(SHORT_S))

    def do_init(self):
        self.object.__init__(5000)
        self.check(False, "was initialised again")

    def do_len(self):
        self.check(len(self.object) >= 0, "a negative length")

    def do_bool(self):
        self.check(bool(self.object) is True, "is false")

    def do_repr(self):
        self.check("Channel" in repr(self.object), repr(self.object))

    def do_dispose(self):
        self.object.dispose()
        if not self.world.is_copy():
            self.book.note("disposed", self.name, os.getpid())

    def do_with(self):
        with self.object:
            pass
        if not self.world.is_copy():
            self.book.note("disposed", self.name, os.getpid())

    _send = (OverflowError, TimeoutError, BrokenPipeError)
    _receive = (IndexError, TimeoutError, EOFError)
    documented = dict(send=_send, send_now=_send, send_timeout=_send, receive_now=_receive, receive_timeout=_receive)

    def finish(self):
        self.world.reap_helpers()
        if self.book.times("disposed", self.name, os.getpid()):
            self.object.dispose()
            return
        while True:
            try:
                self.receive(False)
            except IndexError:
                break
            except Stop:
                pass
        sent, maybe = self.book.numbers("sent", self.name), self.book.numbers("maybe", self.name)
        got, copied = self.book.numbers("got", self.name), self.book.numbers("copy-got", self.name)
        twice = [number for number in set(got) if got.count(number) > max(1, sent.count(number))]  # a copy sends it too
        self.check(not twice, "received twice:", twice)
        self.check(set(got) <= set(maybe), "received, but never sent:", sorted(set(got) - set(maybe)))
        killed = self.book.times("killed") or self.book.times("raised")
        self.check(set(sent) <= set(got + copied) or killed, "lost:", sorted(set(sent) - set(got)))
        self.object.dispose()
