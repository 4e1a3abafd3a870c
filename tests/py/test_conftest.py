"""What tests count children with: it misses none, although threads that have forked end meanwhile."""
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import conftest
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "stress"))

import trial  # noqa: E402


@pytest.mark.parametrize("children", [conftest.children, trial.children], ids=["conftest", "trial"])
def test_no_child_is_missed_while_the_thread_that_has_forked_it_ends(children):
    pids, missed = [], 0

    def fork():
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        pids.append(pid)
        time.sleep(0.0005)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # os.fork's own
        for n in range(1, 101):
            thread = threading.Thread(target=fork)
            thread.start()
            while len(pids) < n:
                time.sleep(0)
            end = time.monotonic() + 0.004
            while time.monotonic() < end:
                missed += pids[-1] not in children()
            os.kill(pids[-1], signal.SIGKILL)
            os.waitpid(pids[-1], 0)
            thread.join()
    assert missed == 0
