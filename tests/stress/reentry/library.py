"""What is called without an object: maps, tracing, and what a program does beside the library, such as os.fork()."""
import gc
import os
import sys
import tempfile
import time

import snakefish
from snakefish import Thread

from .subject import Subject
from .values import Number, Value
from .world import Stop, at


class LibrarySubject(Subject):
    """What is called without an object."""
    kind = "library"

    def __init__(self, name, options):
        super().__init__(name, options)
        self.folder = self.merged = None

    def f(self, argument):
        self.world.arm_child()
        at("f")
        time.sleep(self.options["seconds"])
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

    def is_ready(self, method):
        return method not in ("trace_start", "trace_stop")

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
