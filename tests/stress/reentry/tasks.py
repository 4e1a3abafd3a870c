"""Thread and Generator: their child, and each call on them."""
import os
import time

import snakefish
from snakefish import ChildDied, Generator, Thread

from .subject import SHORT_S, Source, Subject
from .values import Number, Problem, Value
from .world import Stop, at


class Ran:
    """What is noted when f begins. A collection may come with what the note makes, and fork within f: the copy's note is
    another one. One that was forked before f and runs f is not told from the child, and is found so."""

    def __init__(self, begun_by):
        self.begun_by = begun_by

    def __str__(self):
        return "ran" if os.getpid() == self.begun_by else "copy-ran"


class Task(Subject):
    """What Thread and Generator have in common."""

    def child_begins(self):
        begun_by = os.getpid()  # first, because it makes nothing that a collection comes with
        self.book.note(Ran(begun_by), f"{self.name}@{self.world.parent_home}")
        self.world.arm_child()
        if self.options["shares"]:
            self.globals["value"] = Value(self.options["number"] + 100, self.options["size"])

    def extract(self, _):
        at("extract")
        return Value(self.options["number"] + 100, self.options["size"])

    def merge(self, _, value):
        self.book.note("merged", self.mine())
        self.check_value(value, self.options["number"] + 100)
        at("merge")

    def merge_shared(self, base, current, child):
        self.check_value(child["value"], self.options["number"] + 100)
        at("merge")  # first, because what interrupts it undoes the merge, and the next join makes it again
        self.book.note("merged", self.mine())
        return child

    def folds(self):
        if self.options["shares"]:
            self.globals = {"value": None}
            return dict(share=["value"], merge=self.merge_shared, globals=self.globals)
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

    def is_ready(self, method):
        called = [step for name, step in self.world.case["main"] if name == self.name]
        if method in ("get_result", "get_exit_status"):
            return "join" in called and "start" in called
        return "start" in called and method not in ("wait", "fileno")  # which come after a join now and then

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
        runs = self.book.times("ran", self.mine())
        self.check(merges <= 1, f"was merged {merges} times")
        changes = runs or not self.options["shares"]  # f that never began has changed nothing that is shared
        self.check(merges == 1 or not self.options["merge"] or not changes or self.may_have_died(), "was not merged")
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

    def check_result(self, get_result):
        try:
            value = get_result()
        except Problem as error:
            self.check(self.options["raises"] and error.args == (self.options["number"],), "raised", repr(error))
        else:
            self.check(not self.options["raises"], "raised nothing")
            self.check_value(value, self.options["number"])

    def do_get_result(self):
        self.check_result(self.object.get_result)

    def finish_started(self, task):
        self.join_finally(task)
        for _ in range(2):
            try:
                self.check_result(task.get_result)
            except ChildDied:
                if not self.may_have_died():
                    raise
            except Stop:
                if not self.book.times("raised"):
                    raise


class GeneratorSubject(Task, Source):
    kind = "generator"

    def __init__(self, name, options):
        super().__init__(name, options)
        self.object = Generator(self.work, **self.folds(), name=name, prefetch=options["prefetch"])

    def work(self):
        self.child_begins()
        for number in range(self.options["items"]):
            at("f")
            yield Value(number, self.options["size"])

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
        self.check_taken(self.options["items"], self.ends_early() or self.may_have_died())
