"""Cleans up behind the runner, however that ends: ends the sample that still runs, removes the temporary files.

It is a process of its own that sleeps on a pipe. The runner writes the number of the process group that it started, and
0 when that group has ended. When the pipe closes, the runner has ended. Samples get the folder as their TMPDIR, because a
killed sample cannot remove its files itself. Their TMPDIR also identifies processes that have left the group, or whose
group the runner had no time to write.

Processes get SIGTERM before SIGKILL. The resource trackers of multiprocessing and loky ignore SIGTERM, and remove the
named semaphores of the processes that it ended; a trace's collector closes its database.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

GRACE_S = 2.0  # between the two signals
POLL_S = 0.01
STATE, GROUP = 0, 2  # fields of /proc/PID/stat, from the one after the name


class Lifeline:
    """A context manager; call it with the process group that runs now, 0 for none."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="snakefish-bench-")
        self.keeper = subprocess.Popen([sys.executable, "-I", "-S", __file__, self.folder], stdin=subprocess.PIPE,
                                       start_new_session=True)
        return self

    def __call__(self, pgid):
        try:
            os.write(self.keeper.stdin.fileno(), b"%d\n" % pgid)
        except BrokenPipeError:
            pass  # somebody killed the process that cleans up; the samples are still right

    def __exit__(self, *_):
        self.keeper.stdin.close()
        self.keeper.wait()


def of_group(pgid):
    """The group's processes, without zombies."""
    return {pid for pid, fields in processes() if int(fields[GROUP]) == pgid}


def of_folder(folder):
    """The processes whose TMPDIR is that folder, without zombies."""
    return {pid for pid, _ in processes() if b"TMPDIR=" + os.fsencode(folder) in environment(pid)}


def processes():
    """(pid, fields of /proc/PID/stat from the state on) of every process that is no zombie."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if fields[STATE] not in "ZX":
            yield int(name), fields


def environment(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:  # it has ended, or belongs to another user
        return []


def end(find):
    """Ends the processes that find() returns, including those that start meanwhile."""
    signalled, start = set(), time.monotonic()
    while (found := find()) and time.monotonic() < start + 2 * GRACE_S:
        late = time.monotonic() > start + GRACE_S
        for pid in found if late else found - signalled:
            try:
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            except (ProcessLookupError, PermissionError):
                pass
        signalled |= found
        time.sleep(POLL_S)


def end_group(pgid):
    end(lambda: of_group(pgid))


def keep(folder):
    pgid = 0
    for line in sys.stdin:
        pgid = int(line)
    if pgid:
        end_group(pgid)
    end(lambda: of_folder(folder))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    keep(sys.argv[1])
