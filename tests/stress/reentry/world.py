"""What all of a case shares, in each of its processes: the book of what happened, and the places.

A place is a point where the library calls the program's code, or where a signal or another Python thread comes in between.
There the program calls at(place); where the case has a plan for that place, the plan's calls are made."""
import collections
import contextlib
import fcntl
import os
import tempfile
import threading
import time

# methods that change nothing
HARMLESS = ("is_alive", "get_exit_status", "fileno", "pid", "name", "repr", "wait", "len", "bool", "iter", "init")
DEEPEST = 2  # a call at a place may come to a place again; this deep, and no deeper


class Stop(BaseException):
    """What a plan raises, as a handler of Ctrl-C does."""


class Book:
    """Lines that any process of a case appends, and that outlive it."""

    def __init__(self):
        with tempfile.TemporaryFile() as file:
            self.fd = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, 700)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, os.O_APPEND)

    def note(self, *words):
        os.write(self.fd, (" ".join(map(str, words)).replace("\n", "\n    ") + "\n").encode(errors="replace"))

    def lines(self):
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0).decode(errors="replace").splitlines()

    def times(self, *words):
        """How many lines begin with these words."""
        text = " ".join(map(str, words))
        return sum(line == text or line.startswith(text + " ") for line in self.lines())

    def numbers(self, *words):
        """The numbers that follow these words, a line each."""
        text = " ".join(map(str, words)) + " "
        return [int(line[len(text):]) for line in self.lines() if line.startswith(text)]

    def close(self):
        os.close(self.fd)


class World:
    def __init__(self, case, book):
        self.case, self.book, self.owner = case, book, os.getpid()
        self.subjects = {}
        self.plans = collections.defaultdict(list)
        for plan in case["plans"]:
            self.plans[plan["place"]].append(plan)
        self.visits = collections.Counter()
        self.depths = threading.local()
        self.inside = collections.Counter()  # thread -> how many at() it is in
        self.home = os.getpid()  # of whom this process is a copy, if it is one: see fork_on
        self.parent_home = None
        self.copies = []         # pids of the copies that this process has made
        self.forgotten = []      # pids of the tasks that nothing refers to any more
        self.forking = set()     # the Python threads that fork for the case itself, not for the library
        self.handles = False     # whether the handler of a signal comes to its place, from where it may raise

    def side(self):
        return "parent" if self.home == self.owner else "child"

    def is_copy(self):
        return self.home != os.getpid()

    def fork(self):
        """os.fork() of the case itself. The other process is a copy of this one, and no child of the library."""
        self.forking.add(threading.get_ident())
        try:
            return os.fork()
        finally:
            self.forking.discard(threading.get_ident())

    def in_library_fork(self):
        return threading.get_ident() not in self.forking

    def became_a_child(self):
        """In a process that the library has forked for the program."""
        self.parent_home, self.home = os.getppid(), os.getpid()
        self.copies, self.forgotten, self.forking = [], [], set()

    def may_refuse(self):
        """Whether something is called meanwhile for which the main program's own calls may raise RuntimeError."""
        main = {name for name, _ in self.case["main"]} - {"library"}
        return self.is_copy() or any(method in ("raise", "fork_on") or name in main and method not in HARMLESS
                                     for plan in self.case["plans"] for name, method in plan["calls"])

    def wrong(self, *words):
        self.book.note("wrong", f"[{self.side()}]", *words)

    @contextlib.contextmanager
    def undisturbed(self):
        """No handler raises within."""
        handles, self.handles = self.handles, False
        try:
            yield
        finally:
            self.handles = handles

    def at(self, place):
        if place == "handler" and not self.handles:
            return
        thread = threading.get_ident()
        self.inside[thread] += 1
        try:
            self.visit(place)
        finally:
            self.inside[thread] -= 1

    def is_alone(self):
        """Whether no other Python thread carries out a plan: the source of an imap that is closed may still do."""
        others = dict(self.inside)
        others.pop(threading.get_ident(), None)
        return not any(others.values())

    def visit(self, place):
        for plan in self.plans.get(place, ()):
            if plan["side"] not in ("any", self.side()) or self.is_copy():
                continue
            key = os.getpid(), place, plan["side"]
            self.visits[key] += 1
            if self.visits[key] == plan["visit"]:
                self.carry_out(plan)

    def carry_out(self, plan):
        depth = getattr(self.depths, "depth", 0)
        if depth >= DEEPEST:
            return
        self.depths.depth = depth + 1
        try:
            for name, method in plan["calls"]:
                if self.is_copy():
                    return  # fork_on was the call before
                where = f"{plan['place']} {self.side()} {os.getpid()}"
                self.book.note("begin", where, name, method)
                self.subjects[name].call(method, plan["place"])
                self.book.note("end", where, name, method)
        finally:
            self.depths.depth = depth


world = None


def at(place):
    if world is not None:
        world.at(place)


def enter(new):
    """From now on, at() speaks of this world."""
    global world
    world = new
    return new


def here():
    return world


def wait_until(look, limit_s):
    end = time.monotonic() + limit_s
    while not look():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True
