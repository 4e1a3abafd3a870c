"""What a program of the fault harness works with: random numbers from a seed, shared memory that processes write to until
they are killed, a process that kills others, and functions that look at processes. See run.py."""
import mmap
import os
import random
import signal
import struct
import time

PROGRAMS = {}  # name -> function
SLOTS = 64     # participants of a trial
STOPPED, ALONE = SLOTS, SLOTS + 1  # flags, stored after the slots


def program(function=None, *, killed_within_s=None):
    """Registers a program. With killed_within_s the program's own process is killed, at a random time up to that."""
    def mark(found):
        found.killed_within_s = killed_within_s
        PROGRAMS[found.__name__] = found
        return found

    return mark(function) if function else mark


class Failed(Exception):
    """What went wrong in a trial."""


class Skipped(Exception):
    """Why a trial could not be made here."""


def check(truth, *words):
    """Like assert, but no option of Python turns it off."""
    if not truth:
        raise Failed(*words)


def children(pid="self"):
    """Its children, zombies included. Those of a thread that ends meanwhile go to another thread, which may have been looked
    at before: so this looks again until all threads were there."""
    while os.path.exists(f"/proc/{pid}/task"):
        found = []
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
            for task in tasks:
                with open(f"/proc/{pid}/task/{task}/children") as listed:
                    found += map(int, listed.read().split())
            if os.listdir(f"/proc/{pid}/task") == tasks:
                return found
        except (FileNotFoundError, ProcessLookupError):
            pass
    return []


def descendants(pid="self"):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def is_running(pid):
    """Whether the process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_or_stop(pid, number, pause_s):
    """Sends the signal, or with pause_s stops the process for so long. It may have ended: then its pid may be that of a
    process that is not the trial's, which is in another group."""
    try:
        if os.getpgid(pid) != os.getpgid(0):
            return
        if pause_s is None:
            os.kill(pid, number)
        else:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(pause_s)
            os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


class Trial:
    def __init__(self, name, seed):
        self.chance = random.Random(f"{name} {seed}")
        self.slots = memoryview(mmap.mmap(-1, 4 * (SLOTS + 2))).cast("i")  # pids, then the two flags
        self.killed = mmap.mmap(-1, SLOTS)  # 1: it is being killed; set before the signal
        self.killer = None

    # ---- by any process of the trial ----

    def sign_in(self, slot):
        """From now on the calling process is the one in this slot."""
        self.slots[slot] = os.getpid()

    def wait_for(self, look, what, limit_s=15):
        """Waits until look() is true, and returns its value."""
        end = time.monotonic() + limit_s
        while True:
            seen = look()
            if seen:
                return seen
            check(time.monotonic() < end, "this did not come in time:", what)
            time.sleep(0.0005)

    def set_flag(self, flag):
        self.slots[flag] = 1

    def is_set(self, flag):
        return bool(self.slots[flag])

    def moment(self):
        """A random delay, often very short: the first instructions of a process matter as much as all others."""
        return self.chance.uniform(0, self.chance.choice((0.0003, 0.003, 0.02, 0.04)))

    # ---- by the program itself ----

    def disturb(self, victims, pause_s=None):
        """Kills each victim (a slot), or stops it for pause_s, at a random moment after it signed in. A process forked here
        does that. Fork it before the channels: it would count as one of their holders."""
        plan = [(slot, self.moment()) for slot in victims]
        self.killer = os.fork()
        if self.killer:
            return
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for slot, delay in plan:
                while not self.slots[slot] and os.getppid() != 1 and not self.is_set(STOPPED):
                    time.sleep(0.0002)
                time.sleep(delay)
                if self.slots[slot]:
                    self.disturb_now(slot, pause_s)
        finally:
            os._exit(0)

    def disturb_now(self, slot, pause_s=None):
        if pause_s is None:
            self.killed[slot] = 1
        kill_or_stop(self.slots[slot], signal.SIGKILL, pause_s)

    def was_killed(self, slot):
        return bool(self.killed[slot])

    def some_of(self, slots):
        """A random part of them, not empty."""
        slots = list(slots)
        return self.chance.sample(slots, self.chance.randint(1, len(slots)))

    def end_killer(self):
        if self.killer:
            self.set_flag(STOPPED)
            os.waitpid(self.killer, 0)
            self.killer = None


class Book:
    """Which messages were sent and received: one byte for each, written by whoever did it."""

    def __init__(self, writers, numbers):
        self.writers, self.numbers = writers, numbers
        self.sent, self.received = (mmap.mmap(-1, writers * numbers) for _ in range(2))

    def body(self, writer, number, largest):
        """A message's bytes: their length and content follow from its number."""
        pattern = struct.pack("<HI", writer, number) * 11  # its length is no power of two, so that shifted bytes are noticed
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
