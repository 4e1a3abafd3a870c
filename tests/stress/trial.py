"""What a program of the fault harness is given: chance by a seed, shared memory that the victims write to until their
last moment, an executioner, and looks at processes. See run.py."""
import mmap
import os
import random
import signal
import struct
import time

PROGRAMS = {}  # name -> function
SLOTS = 64     # participants of a trial
STOPPED, ALONE = SLOTS, SLOTS + 1  # flags behind them


def program(function=None, *, doom_s=None):
    """Marks a program. With doom_s its own process is killed, at a random time up to that."""
    def mark(found):
        found.doom_s = doom_s
        PROGRAMS[found.__name__] = found
        return found

    return mark(function) if function else mark


class Failed(Exception):
    """What a trial has found."""


class Skipped(Exception):
    """Why a trial could not be made here."""


def check(truth, *words):
    """assert, which no option turns off."""
    if not truth:
        raise Failed(*words)


def children(pid="self"):
    """Its children, zombies included."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as listed:
                found += map(int, listed.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(pid="self"):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def is_running(pid):
    """A process that is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Trial:
    def __init__(self, name, seed):
        self.chance = random.Random(f"{name} {seed}")
        self.slots = memoryview(mmap.mmap(-1, 4 * (SLOTS + 2))).cast("i")  # pids, then the two flags
        self.struck = mmap.mmap(-1, SLOTS)  # 1: the executioner came; set before the stroke
        self.executioner = None

    # ---- by any process of the trial ----

    def sign_in(self, slot):
        """The calling process is this participant from now on."""
        self.slots[slot] = os.getpid()

    def wait_for(self, look, what, limit_s=15):
        """Until look() is true; its value."""
        end = time.monotonic() + limit_s
        while True:
            seen = look()
            if seen:
                return seen
            check(time.monotonic() < end, "it never came:", what)
            time.sleep(0.0005)

    def set_flag(self, flag):
        self.slots[flag] = 1

    def is_set(self, flag):
        return bool(self.slots[flag])

    def moment(self):
        """A random time: the very first instructions matter as much as all that follows."""
        return self.chance.uniform(0, self.chance.choice((0.0003, 0.003, 0.02, 0.04)))

    # ---- by the program itself ----

    def strike(self, victims, pause_s=None):
        """From a process of its own, forked here, before there are channels it would count for: strikes each victim
        (a slot) at a random moment after it signed in, by SIGKILL, or by a pause."""
        plan = [(slot, self.moment()) for slot in victims]
        self.executioner = os.fork()
        if self.executioner:
            return
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for slot, delay in plan:
                while not self.slots[slot] and os.getppid() != 1 and not self.is_set(STOPPED):
                    time.sleep(0.0002)
                time.sleep(delay)
                if self.slots[slot]:
                    self.strike_now(slot, pause_s)
        finally:
            os._exit(0)

    def strike_now(self, slot, pause_s=None):
        pid = self.slots[slot]
        try:
            if pause_s is None:
                self.struck[slot] = 1
                os.kill(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(pause_s)
                os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def was_struck(self, slot):
        return bool(self.struck[slot])

    def some_of(self, slots):
        """A random part of them, not empty."""
        slots = list(slots)
        return self.chance.sample(slots, self.chance.randint(1, len(slots)))

    def end_executioner(self):
        if self.executioner:
            self.set_flag(STOPPED)
            os.waitpid(self.executioner, 0)
            self.executioner = None


class Book:
    """Which messages were sent and received: one byte for each, written by whoever did it."""

    def __init__(self, writers, numbers):
        self.writers, self.numbers = writers, numbers
        self.sent, self.received = (mmap.mmap(-1, writers * numbers) for _ in range(2))

    def body(self, writer, number, largest):
        """Its bytes: their length and content follow from its number."""
        pattern = struct.pack("<HI", writer, number) * 11  # no power of two, so that a shift is seen
        length = (number * 40503 + writer * 977) % largest
        return (pattern * (length // len(pattern) + 1))[:length]

    def note_sent(self, writer, number):
        self.sent[writer * self.numbers + number] = 1

    def note_received(self, writer, number, body, largest):
        check(0 <= writer < self.writers and 0 <= number < self.numbers, "no such message", writer, number)
        check(bytes(body) == self.body(writer, number, largest), "a corrupt message", writer, number)
        self.received[writer * self.numbers + number] += 1

    def lost(self):
        """How many were sent and never received. None may be received twice."""
        check(max(self.received[:]) <= 1, "a message was received twice")
        return sum(s > r for s, r in zip(self.sent[:], self.received[:]))
