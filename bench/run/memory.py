"""Peak memory of a sample's whole tree, read from outside while it runs.

PSS divides each shared page among the processes that map it, so that the sum over a tree of forks counts no page twice.
Reading it slows the sample down, so it is done in runs that are not timed.
"""
import re
import threading

from bench.run.lifeline import processes

EVERY_S = 0.02
SESSION, PARENT = 3, 1  # fields of /proc/PID/stat, from the one after the name


class PeakPss:
    """A lifeline that also reads memory: call it with the process group that runs now, and with 0 when it has ended."""

    def __init__(self, lifeline):
        self.lifeline, self.folder = lifeline, lifeline.folder
        self.peak_bytes, self.processes, self.readings = None, None, 0
        self.ended = threading.Event()

    def __call__(self, pgid):
        self.lifeline(pgid)
        if pgid:
            self.reader = threading.Thread(target=self._read_until_the_end, args=(pgid,))
            self.reader.start()
        else:
            self.ended.set()
            self.reader.join()

    def _read_until_the_end(self, leader):
        self._read(leader)  # at once: on a busy machine a short program has ended after the first pause
        while not self.ended.wait(EVERY_S):
            self._read(leader)

    def _read(self, leader):
        found = [pss for pss in map(pss_bytes, tree(leader)) if pss is not None]
        if found:
            self.readings += 1
            self.peak_bytes = max(self.peak_bytes or 0, sum(found))
            self.processes = max(self.processes or 0, len(found))


def tree(leader):
    """The processes of that session and their descendants, including those in sessions of their own."""
    parents, inside = {}, set()
    for pid, fields in processes():
        parents[pid] = int(fields[PARENT])
        if int(fields[SESSION]) == leader:
            inside.add(pid)
    while more := {pid for pid, parent in parents.items() if parent in inside} - inside:
        inside |= more
    return inside


def pss_bytes(pid):
    """The PSS of a process; None where it has ended, or may not be read."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            found = re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
