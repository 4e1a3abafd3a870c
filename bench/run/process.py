"""A fresh process, measured from outside: start it, wait for it or end it at its limit, take its rusage.

It leads a session of its own, so that Ctrl-C at the terminal reaches the runner alone, and so that all its children are
known by their process group.
"""
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import Optional

from bench.run import lifeline

POLL_S = 0.01  # where the kernel has no pidfd


@dataclass(frozen=True)
class Ended:
    """How a process ended. exit_status: -N for signal N."""

    exit_status: int
    timed_out: bool
    wall_ns: int
    rusage: object
    stdout: str
    stderr: str

    @property
    def failure(self) -> Optional[str]:
        """One line on why it failed, None when it did not."""
        if self.exit_status == 0:
            return None
        lines = self.stderr.strip().splitlines()
        if self.exit_status < 0:
            return f"killed by {signal_name(-self.exit_status)}" + (f" after: {lines[-1]}" if lines else "")
        return lines[-1] if lines else f"exit status {self.exit_status}"


def signal_name(number):
    """SIGKILL; of the real-time signals only the first and the last have a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def run(command, *, cwd, env, limit_s, watch=None, keep=()) -> Ended:
    """Runs command to its end. Calls watch(pgid) with its process group when it starts, and watch(0) after its end. keep:
    descriptors that it inherits."""
    # Files in memory, not pipes: nobody has to read them meanwhile, and a grandchild may keep them open.
    with memory_file("stdout") as out, memory_file("stderr") as err:
        start = time.perf_counter_ns()
        child = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 start_new_session=True, pass_fds=keep)
        try:
            if watch:
                watch(child.pid)
            timed_out = not _wait(child.pid, limit_s)
        finally:
            if child.returncode is None:
                wall_ns = time.perf_counter_ns() - start
                # The group may have other processes even after its leader ended well. None may run on into the next sample.
                # The kernel gives the group's number to nobody else until its leader is reaped.
                if not _ended_well(child.pid):
                    lifeline.end_group(child.pid)
                _kill_group(child.pid)
                _, status, rusage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
            if watch:
                watch(0)
        return Ended(child.returncode, timed_out, wall_ns, rusage, text(out), text(err))


def memory_file(name):
    """An unnamed file that a process can write and that can be read after its end."""
    return os.fdopen(os.memfd_create(name), "w+b", buffering=0)


def text(file):
    """All that was written into it."""
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _exited(pid):
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ended_well(pid):
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended is not None and (ended.si_code, ended.si_status) == (os.CLD_EXITED, 0)


def _wait(pid, limit_s):
    """True when pid has exited (it is not reaped), False when the limit passed first."""
    try:
        pidfd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        deadline = time.monotonic() + limit_s
        while not _exited(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True
    try:
        return bool(select.select([pidfd], [], [], limit_s)[0])
    finally:
        os.close(pidfd)


def _kill_group(pgid):
    try:
        os.killpg(pgid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the group has ended, or its leader had not made its session yet
    os.kill(pgid, signal.SIGKILL)
