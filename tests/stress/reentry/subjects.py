"""The objects that a case works with, and each call on them: what it may raise, what it must return, what it leaves in the
book. finish() then requires that nothing was lost.

Each call returns a right value, or raises RuntimeError or what its documentation names. The main program's own calls raise
no RuntimeError where nothing else is called on their object that changes it. ChildDied is right only where the
case itself has killed the child."""
import gc
import itertools
import os
import sys
import tempfile
import time

import snakefish
from snakefish import Channel, ChildDied, Generator, Thread

from . import world as worlds
from .world import Number, Problem, Stop, Value, at, take

SHORT_S = 0.05
METHODS = {}  # kind -> methods


class Subject:
    kind = None
    documented = {}  # method -> what it may raise besides RuntimeError
    refusable = ()   # methods that the main program may call in a state where they raise RuntimeError

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
            if not str(error) or where == "main" and method not in self.refusable and not self.world.may_refuse():
                self.wrong(method, where, error)
        except self.documented.get(method, ()):
            pass
        except BaseException as error:
            if not (self.forgotten and isinstance(error, AttributeError)):
                self.wrong(method, where, error)

    def wrong(self, method, where, error):
        self.world.wrong(f"{self.name}.{method}() at {where}:", worlds.describe(error))

    def check(self, truth, *words):
        if not truth:
            self.world.wrong(f"{self.name}:", *words)

    def may_have_died(self):
        """Whether the case has killed the child, or let it raise where the library reports that as ChildDied."""
        return (self.book.times("killed", self.mine()) > self.book.times("spared", self.mine())
                or self.book.times("raised child") or self.book.times("raised parent setstate"))

    def check_value(self, value, number):
        self.check(isinstance(value, Value) and value.is_right(number), f"is no right value {number}:", repr(value))


class Task(Subject):
    """What Thread and Generator have in common."""

    def child_begins(self):
        self.book.note("ran", f"{self.name}@{self.world.parent_home}")
        self.world.arm_child()

    def extract(self, _):
        at("extract")
        return Value(self.options["number"] + 100, self.options["size"])

    def merge(self, _, value):
        self.book.note("merged", self.mine())
        self.check_value(value, self.options["number"] + 100)
        at("merge")

    def folds(self):
        return dict(extract=self.extract, merge=self.merge) if self.options["merge"] else {}

    def do_init(self):
        self.object.__init__(self.work)
        self.check(False, "was initialised again")

    def do_start(self):
        self.object.start()
        if not self.world.is_copy():
            self.book.note("started", self.mine())

    def note_join(self):
        self.book.note("join", self.mine())

    def do_join(self):
        self.note_join()
        self.object.join()

    def do_join_timeout(self):
        self.note_join()
        self.object.join(Number(SHORT_S))

    def do_try_join(self):
        self.note_join()
        self.check(self.object.try_join() in (True, False), "try_join() returned no bool")

    def do_is_alive(self):
        self.check(self.object.is_alive() in (True, False), "is_alive() returned no bool")

    def do_get_exit_status(self):
        status = self.object.get_exit_status()
        self.check(status == 0 or self.may_have_died() or self.world.is_copy(), "exit status", status)

    def do_fileno(self):
        self.check(self.object.fileno() >= 0, "a negative descriptor")

    def do_pid(self):
        self.check(self.object.pid is None or self.object.pid > 0, "no pid:", self.object.pid)

    def do_name(self):
        self.check(self.object.name == self.name, "is called", self.object.name)

    def do_repr(self):
        self.check(self.name in repr(self.object), "its repr:", repr(self.object))

    def kill_by(self, function):
        self.book.note("killed", self.mine())
        try:
            function()
        except RuntimeError:
            self.book.note("spared", self.mine())
            raise

    def do_kill(self):
        self.kill_by(self.object.kill)

    def do_terminate(self):
        self.kill_by(self.object.terminate)

    def do_dispose(self):
        self.note_join()
        self.kill_by(self.object.dispose)
        if self.world.side() == "parent" and not self.world.is_copy():
            self.book.note("disposed", self.mine())

    def do_with(self):
        self.note_join()
        with self.object:
            self.book.note("left", self.mine())

    def do_wait(self):
        task = self.object
        ended = snakefish.wait([task], Number(SHORT_S))
        self.check(ended in ([], [task]), "wait() returned", ended)

    documented = dict(join_timeout=TimeoutError)
    refusable = ("wait", "fileno")  # after a join

    def finish(self):
        """Nobody else calls anything now: no RuntimeError is right any more."""
        task = self.object
        if self.book.times("disposed", self.mine()):
            task.dispose()
            return
        if task.pid is None:
            if self.book.times("left", self.mine()):
                return  # the end of a with block has disposed of it
            task.start()
        self.finish_started(task)
        merges = self.book.times("merged", self.mine())
        self.check(merges <= 1, f"was merged {merges} times")
        self.check(merges == 1 or not self.options["merge"] or self.may_have_died(), "was not merged")
        runs = self.book.times("ran", self.mine())
        self.check(runs == 1 or runs == 0 and (self.may_have_died() or self.ends_early()), "f ran", runs, "times")

    def ends_early(self):
        """Whether its end has been asked for before its items were taken."""
        return False

    def join_finally(self, task):
        try:
            task.join()
        except Stop:
            if not self.book.times("raised"):
                raise


class ThreadSubject(Task):
    kind = "thread"

    def __init__(self, name, options):
        super().__init__(name, options)
        self.object = Thread(self.work, **self.folds(), name=name)

    def work(self):
        self.child_begins()
        at("f")
        time.sleep(self.options["seconds"])
        if self.options["raises"]:
            raise Problem(self.options["number"])
        return Value(self.options["number"], self.options["size"])

    def check_result(self, task):
        try:
            value = task.get_result()
        except Problem as error:
            self.check(self.options["raises"] and error.args == (self.options["number"],), "raised", repr(error))
        else:
            self.check(not self.options["raises"], "raised nothing")
            self.check_value(value, self.options["number"])

    def do_get_result(self):
        self.check_result(self.object)

    def finish_started(self, task):
        self.join_finally(task)
        for _ in range(2):
            try:
                self.check_result(task)
            except ChildDied:
                if not self.may_have_died():
                    raise
            except Stop:
                if not self.book.times("raised"):
                    raise


class GeneratorSubject(Task):
    kind = "generator"

    def __init__(self, name, options):
        super().__init__(name, options)
        self.object = Generator(self.work, **self.folds(), name=name, prefetch=options["prefetch"])

    def work(self):
        self.child_begins()
        for number in range(self.options["items"]):
            at("f")
            yield Value(number, self.options["size"])

    def take(self, function, *arguments):
        box = []
        try:
            take(box, function, *arguments)
        finally:
            for value in box:
                self.check_value(value, value.number)
                self.book.note("copy-item" if self.world.is_copy() else "item", self.mine(), value.number)

    def do_next(self):
        self.take(self.object.next)

    def do_next_now(self):
        self.take(self.object.next, Number(False))

    def do_next_timeout(self):
        self.take(self.object.next, True, Number(SHORT_S))

    def do_iterate(self):
        self.take(next, self.object)

    def do_iter(self):
        found = self.object
        self.check(iter(found) is found, "its iter() is another object")

    documented = dict(Task.documented, next=StopIteration, next_now=(StopIteration, IndexError),
                      next_timeout=(StopIteration, TimeoutError), iterate=StopIteration)

    def ends_early(self):
        return self.book.times("join", self.mine())

    def finish_started(self, task):
        if not self.ends_early():
            while True:
                try:
                    self.take(task.next)
                except StopIteration:
                    break
                except ChildDied:
                    if not self.may_have_died():
                        raise
                    break
                except Stop:
                    if not self.book.times("raised"):
                        raise
        self.join_finally(task)
        self.check_taken("item", self.options["items"], self.ends_early() or self.may_have_died())

    def check_taken(self, word, count, may_miss):
        taken = sorted(self.book.numbers(word, self.mine()))
        copied = self.book.numbers("copy-" + word, self.mine())
        self.check(len(set(taken)) == len(taken), "came out twice:", taken)
        self.check(set(taken + copied) == set(range(count)) or may_miss, "came out:", taken, "of", count)


class ChannelSubject(Subject):
    kind = "channel"

    def __init__(self, name, options):
        super().__init__(name, options)
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
        box = []
        try:
            take(box, self.object.receive_bytes if self.options["raw"] else self.object.receive_pyobj, *arguments)
        finally:
            for message in box:
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
        self.check(len(set(got)) == len(got), "received twice:", sorted(got))
        self.check(set(got) <= set(maybe), "received, but never sent:", sorted(set(got) - set(maybe)))
        killed = self.book.times("killed") or self.book.times("raised")
        self.check(set(sent) <= set(got + copied) or killed, "lost:", sorted(set(sent) - set(got)))
        self.object.dispose()


class ImapSubject(Subject):
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

    take = GeneratorSubject.take
    check_taken = GeneratorSubject.check_taken

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
        self.check_taken("item", self.options["items"], missing)


class LibrarySubject(Subject):
    """What is called without an object."""
    kind = "library"

    def __init__(self, name, options):
        super().__init__(name, options)
        self.folder = self.merged = None

    def f(self, argument):
        self.world.arm_child()
        at("f")
        return Value(argument, self.options["size"])

    def source(self, count):
        for number in range(count):
            at("source")
            yield number

    def check_values(self, values, count):
        self.check(isinstance(values, list) and len(values) == count, "a map returned", values)
        for number, value in enumerate(values):
            self.check_value(value, number)

    def do_map(self):
        self.check_values(snakefish.map(self.f, self.source(4), Number(2), Number(1)), 4)

    def do_starmap(self):
        self.check_values(snakefish.starmap(self.f, ((number,) for number in self.source(3)), concurrency=2), 3)

    def do_map_progress(self):
        self.check_values(snakefish.map(self.f, range(4), 2, 1, progress=lambda done, total: at("progress")), 4)

    def do_map_merge(self):
        merged = []

        def extract(_):
            at("extract")
            return Value(7, self.options["size"])

        def merge(_, value):
            self.check_value(value, 7)
            merged.append(value.number)
            at("merge")

        self.check_values(snakefish.map(self.f, range(3), extract, merge, 2, 1), 3)
        self.check(merged == [7, 7, 7], "merged", merged)

    def do_imap(self):
        self.check_values(list(snakefish.imap(self.f, self.source(4), 2)), 4)

    def do_imap_unordered(self):
        values = sorted(snakefish.imap_unordered(self.f, self.source(4), 2), key=lambda value: value.number)
        self.check_values(values, 4)

    def do_thread(self):
        with Thread(self.f, args=(5,)) as thread:
            thread.start()
        self.check_value(thread.get_result(), 5)

    def do_wait_nothing(self):
        self.check(snakefish.wait([], Number(0)) == [], "wait([]) is not empty")

    def do_trace_start(self):
        self.folder = self.folder or tempfile.mkdtemp(prefix="sf-reentry-", dir=self.world.folder)
        snakefish.trace.start(os.path.join(self.folder, f"{os.getpid()}.db"))

    def do_trace_stop(self):
        snakefish.trace.stop()

    def do_trace_mark(self):
        snakefish.trace.mark("here")

    def do_trace_span(self):
        with snakefish.trace.span("there"):
            at("in_span")

    def do_trace_enabled(self):
        self.check(snakefish.trace.enabled() in (True, False), "enabled() returned no bool")

    def do_fork_exit(self):
        pid = self.world.fork()
        if pid == 0:
            os._exit(0)
        self.check(os.waitpid(pid, 0) == (pid, 0), "a copy that only ended ended otherwise")

    def do_fork_on(self):
        """The copy comes out of this call too, and so out of the library's call around it."""
        pid = self.world.fork()
        if pid:
            self.world.copies.append(pid)
            self.book.note("copied by", os.getpid(), "to", pid)

    do_forget = None
    refusable = ("trace_start", "trace_stop")

    def do_collect(self):
        gc.collect()

    def do_print(self):
        print(end="")
        sys.stdout.flush()

    def do_raise(self):
        """Only where a plan may raise."""
        self.book.note("raised", self.world.side(), *[plan["place"] for plan in self.world.case["plans"]
                                                      if [self.name, "raise"] in plan["calls"]])
        raise Stop("as planned")

    documented = {}

    def finish(self):
        while snakefish.trace.enabled() and self.book.times("begin") + 1:
            try:
                snakefish.trace.stop()
            except RuntimeError:
                break


KINDS = {found.kind: found for found in (ThreadSubject, GeneratorSubject, ChannelSubject, ImapSubject, LibrarySubject)}
