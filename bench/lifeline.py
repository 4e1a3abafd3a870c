"""Cleans up behind the runner, however that ends: kills the sample that still runs, removes the temporary files.

A process of its own, asleep on a pipe: the runner writes the number of the process group that it started, 0 when that
one has ended. The end of the pipe is the end of the runner. Samples get the folder as their TMPDIR, because one that
is killed removes nothing itself.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile


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
            pass  # killed by somebody: the samples are none the worse

    def __exit__(self, *_):
        self.keeper.stdin.close()
        self.keeper.wait()


def keep(folder):
    pgid = 0
    for line in sys.stdin:
        pgid = int(line)
    if pgid:
        try:
            os.killpg(pgid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    keep(sys.argv[1])
