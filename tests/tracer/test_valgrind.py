"""Every command of snakefish-trace, under valgrind: no bad access, nothing leaked, no descriptor left open."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from tracing import PROGRAM, STOPPING, TRACE, record, session_of, set_state, wait_for

pytestmark = pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")


def start(directory, *args):
    command = ["valgrind", "--error-exitcode=99", "--leak-check=full", "--track-fds=yes",
               f"--log-file={directory}/valgrind.%p", TRACE, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(directory, forks):
    """Valgrind's report of each process that ended. A process that became another program has none. Of a command that
    forks, processes that only fork are left out: they may end at any moment."""
    reports = [path.read_text() for path in directory.glob("valgrind.*")]
    return [text for text in reports if "ERROR SUMMARY" in text and not (forks and " 0 allocs" in text)]


def check(directory, process, status=0, forks=False):
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, (out, err)
    for text in wait_for(lambda: finished(directory, forks)):
        assert "ERROR SUMMARY: 0 errors" in text, text
        assert "no leaks are possible" in text, text
        blocks = re.split(r"==\d+== *\n", text)
        left = [b for b in blocks if re.search(r"Open (file descriptor|\S+ socket)", b) and "<inherited from parent>" not in b]
        assert left == [], text


@pytest.fixture
def trace_db(db):
    record(db, PROGRAM, "run", "200")
    return db


@pytest.mark.parametrize("args", [["events"], ["info", "{db}"], ["analyze", "{db}"], ["export", "{db}", "-o", "{db}.json"]],
                         ids=lambda args: args[0])
def test_what_reads(trace_db, tmp_path, args):
    check(tmp_path, start(tmp_path, *(a.format(db=trace_db) for a in args)))


@pytest.mark.parametrize("args", [["analyze", "{dir}"], ["export", "{db}", "-o", "{db}"], ["collect", "{dir}", "-o", "{db}"]],
                         ids=lambda args: args[0])
def test_what_refuses(trace_db, tmp_path, args):
    check(tmp_path, start(tmp_path, *(a.format(db=trace_db, dir=tmp_path) for a in args)), status=1)


def test_record(db, tmp_path):
    check(tmp_path, start(tmp_path, "record", "-o", db, "--", PROGRAM, "run", "200"))


def test_serve(db, tmp_path):
    starter = start(tmp_path, "serve", "-o", db, "--root", os.getpid())
    session = starter.stdout.readline().split()[1]
    subprocess.run([PROGRAM, "run", "200"], env=dict(os.environ, SNAKEFISH_TRACE_SESSION=session), check=True)
    set_state(session, STOPPING)
    check(tmp_path, starter, forks=True)


def test_collect(db, tmp_path):
    collector = subprocess.Popen([TRACE, "record", "-o", db, "--", PROGRAM, "sleep", "1"], stdout=subprocess.PIPE)
    collector.stdout.readline()
    session = session_of(collector.pid)
    collector.send_signal(signal.SIGKILL)
    collector.wait()
    collector.stdout.close()
    check(tmp_path, start(tmp_path, "collect", session, "-o", db))
