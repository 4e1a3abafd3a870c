"""Plays a case in a process of its own: makes its objects, arms its places, runs the main program, and then looks at what
is there: nothing is lost, and nothing is left."""
import collections
import contextlib
import gc
import mmap
import os
import signal
import sys
import threading
import time
import warnings

from . import left, world as worlds
from .subjects import KINDS
from .values import describe
from .world import Stop, World, at

HANDLED, IN_WAIT = signal.SIGALRM, signal.SIGUSR2
FLAGS = ("ended", "in_main")
COPY_WITHIN_S = 10
OTHERS_WITHIN_S = 5
THREADS, REPEATED = 3, 4


class Player(World):
    def __init__(self, case, book, folder):
        super().__init__(case, book)
        self.folder = folder  # for files; whoever plays the case removes it
        self.helpers = []
        self.flags = mmap.mmap(-1, len(FLAGS))

    def set_flag(self, name, value=1):
        self.flags[FLAGS.index(name)] = value

    def is_set(self, name):
        return bool(self.flags[FLAGS.index(name)])

    def fork_helper(self, function):
        pid = self.fork()
        if pid:
            self.helpers.append(pid)
            return
        status = 1
        try:
            self.became_a_child()
            signal.setitimer(signal.ITIMER_REAL, 0)
            function()
            status = 0
        except Stop:
            status = 0
        finally:
            os._exit(status)

    def planned(self, *places):
        return [place for place in places if self.plans.get(place)]

    # ---- the places ----

    def arm_before_objects(self):
        """What has to be there before any object: a helper would count as a holder of a channel."""
        signal.signal(HANDLED, lambda number, frame: at("handler" if self.side() == "parent" else "handler_in_child"))
        signal.signal(IN_WAIT, lambda number, frame: at("handler_in_wait"))
        if self.planned("handler_in_wait"):
            self.fork_helper(self.watch)
        if self.planned("flush"):
            sys.stdout = Flushes(sys.stdout)
        os.register_at_fork(before=lambda: self.at_fork("before_fork"), after_in_child=self.after_fork_in_child,
                            after_in_parent=lambda: self.at_fork("after_fork_in_parent"))
        if self.planned("collection"):
            gc.set_threshold(1)
            gc.callbacks.append(lambda phase, info: at("collection"))
        if self.planned("unraisable"):
            sys.unraisablehook = lambda unraisable: at("unraisable")
        warnings.simplefilter("ignore")
        if self.planned("warning"):
            warnings.simplefilter("always", DeprecationWarning)
            warnings.showwarning = lambda *details, **more: at("warning")

    def at_fork(self, place):
        if self.in_library_fork():
            at(place)

    def after_fork_in_child(self):
        if self.in_library_fork():
            self.became_a_child()
            at("after_fork_in_child")

    def arm_child(self):
        """In a child of the library, before f."""
        if self.planned("handler_in_child"):
            signal.setitimer(signal.ITIMER_REAL, max(self.case["delay"], 1e-4))
            time.sleep(self.case["delay"] / 2)

    def watch(self):
        """Sends a signal when the main program sleeps in one of its calls: twice is enough."""
        sent = quiet = 0
        while sent < 3 and not self.is_set("ended") and os.getppid() == self.owner:
            with open(f"/proc/{self.owner}/stat") as stat:
                sleeps = stat.read().rpartition(") ")[2][0] == "S"
            quiet = quiet + 1 if sleeps and self.is_set("in_main") else 0
            if quiet == 3:
                os.kill(self.owner, IN_WAIT)
                sent, quiet = sent + 1, -10
            time.sleep(0.001)

    def from_python_thread(self):
        time.sleep(self.case["delay"])
        with contextlib.suppress(Stop):
            at("python_thread")
        if os.getpid() != self.owner:
            os._exit(0)

    def repeat(self, plan):
        time.sleep(self.case["delay"])
        with contextlib.suppress(Stop):
            for _ in range(REPEATED):
                self.carry_out(plan)
                if os.getpid() != self.owner:
                    os._exit(0)

    def profile(self, frame, event, argument):
        if frame.f_globals.get("__name__", "").endswith(("subjects", "snakefish", "trace", "_wait")):
            at("profile")

    # ---- the program ----

    def run_main(self):
        threads = []
        if self.planned("python_thread", "warning"):
            threads = [threading.Thread(target=self.from_python_thread)]
        threads += [threading.Thread(target=self.repeat, args=(plan,)) for plan in self.plans["python_threads"] * THREADS]
        for thread in threads:
            thread.start()
        if self.planned("handler"):
            signal.setitimer(signal.ITIMER_REAL, max(self.case["delay"], 1e-4), 0.01)
        if self.planned("profile"):
            sys.setprofile(self.profile)
        self.set_flag("in_main")
        try:
            for name, method in self.case["main"]:
                self.step(name, method)
        finally:
            sys.setprofile(None)
            self.set_flag("in_main", 0)
            self.set_flag("ended")
            signal.setitimer(signal.ITIMER_REAL, 0)
        for thread in threads:
            thread.join()

    def step(self, name, method):
        self.book.note("main begins", name, method)
        try:
            self.handles = True
            self.subjects[name].call(method, "main")
            self.handles = False
        except Stop:
            self.handles = False
        if os.getpid() != self.owner:
            os._exit(0)
        self.book.note("main ends", name, method)

    def play(self):
        worlds.enter(self)
        self.arm_before_objects()
        plans, self.plans = self.plans, collections.defaultdict(list)
        for name, options in self.case["subjects"].items():
            self.subjects[name] = KINDS[options["kind"]](name, options)
        for name, method in self.case["before"]:
            self.step(name, method)
        self.plans = plans
        for subject in self.subjects.values():
            subject.begin()
        self.run_main()
        self.plans = collections.defaultdict(list)
        # What blocks for longer than this waits for what the subjects' ends bring.
        worlds.wait_until(self.is_alone, OTHERS_WITHIN_S)
        for name, subject in self.subjects.items():
            if not subject.forgotten:
                self.finish(name, subject)
        self.reap_copies()

    def finish(self, name, subject):
        self.book.note("finish", name)
        try:
            subject.finish()
        except BaseException as error:
            self.wrong(f"{name}, at the end:", describe(error))

    def reap_helpers(self):
        while self.helpers:
            pid = self.helpers.pop()
            if os.waitpid(pid, 0)[1]:
                self.wrong("a helper of the case failed:", pid)

    def reap_copies(self):
        self.reap_helpers()
        for pid in self.copies:
            if not worlds.wait_until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG), COPY_WITHIN_S):
                self.wrong("a copy did not end:", pid)
                os.kill(pid, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if status != 0:
                self.wrong("a copy ended with status", status)


class Flushes:
    """A standard stream that calls at() when it is flushed."""

    def __init__(self, stream):
        self.stream = stream

    def flush(self):
        at("flush")
        self.stream.flush()

    def __getattr__(self, name):
        return getattr(self.stream, name)


def play(case, book, folder):
    """In the process of the case."""
    player = Player(case, book, folder)
    before = left.now()
    player.play()
    stream = sys.stdout
    sys.stdout = getattr(stream, "stream", stream)
    player.subjects.clear()
    for _ in range(2):
        gc.collect()
    for what in left.since(before, player.forgotten):
        player.wrong("left behind:", what)
