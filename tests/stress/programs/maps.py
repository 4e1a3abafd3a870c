"""map and starmap whose workers are killed."""
import mmap
import os
import re
import time

import snakefish
from trial import SLOTS, STOPPED, check, children, is_running, program

COUNT = 40


def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def check_who(trial, died, chunk, begun):
    """The exception of a killed worker: the signal, the process, and a range that can be its."""
    pids = {trial.slots[slot]: slot for slot in range(SLOTS) if trial.slots[slot]}
    check(died.exit_status == -9 and "signal 9" in str(died), "it does not say why:", died)
    check(died.pid in pids and trial.was_killed(pids[died.pid]), "it was not the victim:", died)
    named = re.search(r"results? for (?:chunk \d+, )?arguments? (\d+)(?: to (\d+))?$", str(died)) or re.search(
        r"extracted after chunk \d+, arguments (\d+) to (\d+)$", str(died))
    check(named, "it does not say which arguments:", died)
    first, last = (int(n) for n in (named.group(1), named.group(2) or named.group(1)))
    check(first <= last < COUNT, "no chunk has this range:", died)
    check(not chunk or first % chunk == 0 and last < first + chunk, "no chunk has this range:", died)
    of_victim = [i for i in range(COUNT) if begun[i] - 1 == pids[died.pid]]
    others = [i for i in range(first, last + 1) if begun[i] and begun[i] - 1 != pids[died.pid]]
    check(not others, "another worker has these arguments:", died, others, of_victim)


class ByHand:
    """Extracts and merges so many bytes for each chunk."""

    def __init__(self, size):
        self.size, self.merged = size, []
        self.options = dict(extract=lambda g: [7] * size, merge=lambda g, extracted: self.merged.append(len(extracted)))

    def work(self, i):
        pass

    def check_all(self, chunks):
        check(self.merged == [self.size] * chunks, self.merged)

    def check_nothing(self):
        check(not self.merged, "a map that raises merges nothing:", self.merged)


class Shared:
    """Each argument changes a count and a dict."""

    def __init__(self, size):
        self.globals = {"count": 0, "marks": {}}
        self.size, self.options = size, dict(share=["count", "marks"], globals=self.globals)

    def work(self, i):
        self.globals["count"] += 1
        self.globals["marks"][i] = bytes([i]) * self.size

    def check_all(self, chunks):
        check(self.globals == {"count": COUNT, "marks": {i: bytes([i]) * self.size for i in range(COUNT)}},
              "it is not merged whole:", self.globals["count"], list(self.globals["marks"]))
        check(list(self.globals["marks"]) == list(range(COUNT)), "it is not merged in order")

    def check_nothing(self):
        check(self.globals == {"count": 0, "marks": {}}, "a map that raises merges nothing:", self.globals["count"])


def break_a_map(trial, merging=None):
    workers, chunksize = trial.chance.randint(1, 4), trial.chance.choice((0, 1, 3, 10))
    chunk = chunksize or (-(-COUNT // workers) if merging else 0)  # 0: the workers cut the chunks
    size = trial.chance.choice((1, 1000, 300000))
    work = trial.chance.choice((0, 0.0003, 0.002))
    begun = mmap.mmap(-1, COUNT)
    trial.disturb([trial.chance.randrange(workers)])
    back = merging(size) if merging else None

    def f(i, _=None):
        mine = [slot for slot in range(SLOTS) if trial.slots[slot] == os.getpid()]
        # Places are taken without a lock: a worker's own is that of its first argument.
        slot = mine[0] if mine else i // (chunk or 1) % SLOTS
        begun[i] = slot + 1
        trial.sign_in(slot)
        busy(work)
        if back:
            back.work(i)
        return bytes([i]) * size

    options = {"concurrency": workers, "chunksize": chunksize}
    if back:
        options.update(back.options)
    right = [bytes([i]) * size for i in range(COUNT)]
    try:
        if trial.chance.random() < 0.5:
            got = snakefish.map(f, range(COUNT), **options)
        else:
            got = snakefish.starmap(f, [(i, None) for i in range(COUNT)], **options)
    except snakefish.ChildDied as died:
        left = [pid for pid in children() if pid != trial.killer]
        check(not left, "workers are left:", left)
        check_who(trial, died, chunk, begun)
        if back:
            back.check_nothing()
    else:
        check(got == right, "wrong results")
        if back:
            back.check_all(-(-COUNT // chunk))
    trial.end_killer()
    check(not any(is_running(pid) for pid in trial.slots[:SLOTS] if pid), "a worker runs on")
    check(snakefish.map(abs, [-1, -2, -3], 2) == [1, 2, 3], "the next map")


@program
def workers_of_map_are_killed(trial):
    break_a_map(trial)


@program
def workers_of_a_merging_map_are_killed(trial):
    break_a_map(trial, ByHand)


@program
def workers_of_a_map_that_shares_are_killed(trial):
    break_a_map(trial, Shared)


@program
def a_worker_that_has_threads_of_its_own_is_killed(trial):
    """Nothing below a worker outlives it, whether it is the victim or is ended because another one is."""
    trial.disturb([trial.chance.randrange(2)])

    def f(i):
        trial.sign_in(i)
        with snakefish.Thread(lambda: (trial.sign_in(8 + i), busy(0.02))) as task:
            task.start()
        return i

    try:
        check(snakefish.map(f, range(2), 2, 1) == [0, 1], "wrong results")
    except snakefish.ChildDied as died:
        check(died.exit_status == -9 and trial.was_killed(0) | trial.was_killed(1), died)
    trial.set_flag(STOPPED)
    trial.wait_for(lambda: not any(is_running(pid) for pid in trial.slots[:16] if pid), "the end of all below", 5)
