"""gdb's commands show a live process: one that is blocked in receive, with a message in another channel and a child."""

import os
import re
import shutil
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("SF_BUILD", os.path.join(TOP, "build")))
SCRIPT = os.path.join(TOP, "ext", "gdb", "snakefish_gdb.py")
LIMIT_S = 60

PROGRAM = """
import ctypes, os, sys, time
import snakefish
ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER, any: gdb is no parent of ours
kept, awaited = snakefish.Channel(5000), snakefish.Channel(6000)
child = snakefish.Thread(lambda: time.sleep(600))
child.start()
with snakefish.trace.session(sys.argv[1]):
    kept.send_bytes(b"x" * 300)
    kept.send_bytes(b"y" * 50)
    kept.receive_bytes()
    snakefish.trace.mark("here")
    print(os.getpid(), child.pid, flush=True)
    awaited.receive_pyobj()
"""

ANOTHER_PROGRAM = """
import ctypes
ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)
print(flush=True)
input()
"""


def gdb(pid, *commands):
    """What gdb prints for the commands, attached to a process."""
    arguments = [piece for command in commands for piece in ("-ex", command)]
    done = subprocess.run(["gdb", "-nx", "-batch", "-p", str(pid), "-x", SCRIPT, *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
                          env={**os.environ, "DEBUGINFOD_URLS": ""})
    if "ptrace: Operation not permitted" in done.stdout:
        pytest.skip("this user may not attach to processes")
    return done.stdout


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """(pid, pid of its child, what the commands print)."""
    if not shutil.which("gdb"):
        pytest.skip("there is no gdb")
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path_factory.mktemp("gdb") / "run.db")],
                               env={**os.environ, "PYTHONPATH": os.path.join(BUILD, "lib")}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True)
    try:
        pid, child = map(int, program.stdout.readline().split())
        asleep_in_futex(pid)
        yield pid, child, gdb(pid, "snakefish ring", "snakefish holders", "snakefish log 4")
    finally:
        program.kill()  # its child dies with it, and the collector finishes
        program.communicate()


def asleep_in_futex(pid):
    """Waits until the process sleeps in the futex of its receive, rather than still spinning."""
    for _ in range(LIMIT_S * 100):
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rsplit(")", 1)[1].split()[0] == "S":
                return
        subprocess.run(["sleep", "0.01"])
    raise AssertionError("the program does not come to its receive")


def ring_of(said, number_of_bytes):
    """The lines about the ring that has so many bytes."""
    return re.search(rf"^ring \d+: {number_of_bytes} bytes for messages.*\n(?:  .*\n)*", said, re.M).group()


def test_a_ring_shows_its_message_in_flight(said):
    pid, _, words = said
    ring = ring_of(words, 5000)
    assert "1 ready" in ring and "lock       free" in ring
    size, = re.findall(rf"^    message \d+: (\d+) bytes, ready, by pid {pid}$", ring, re.M)
    assert 50 <= int(size) < 100  # a channel puts some words before what is sent


def test_a_ring_shows_that_somebody_waits_for_a_message(said):
    ring = ring_of(said[2], 6000)
    assert "somebody may sleep for a message; 0 events" in ring and "nobody sleeps for room; 0 events" in ring
    assert "0 in flight" in ring and "head 0, next 0, tail 0: 0 bytes in flight" in ring


def test_holders_show_the_process_and_its_child(said):
    pid, child, words = said
    holders = re.findall(r"^  slot \d+: live, pid (\d+) .+, life \d+(  this process)?$", words, re.M)
    assert (str(pid), "  this process") in holders and (str(child), "") in holders
    assert {int(found) for found, _ in holders} == {pid, child}


def test_the_log_shows_its_counts_and_last_records(said):
    pid, _, words = said
    log = words[words.index("log of "):]
    assert f"(pid {pid}): room for" in log
    written, begun, lost = map(int, re.search(r"written (\d+), begun (\d+), lost (\d+)", log).groups())
    records = re.findall(r"^ +(\d+) tsc \d+ lane \d+ (\w+) +(begin|end)? +object", log, re.M)
    assert written == begun and lost == 0 and [int(number) for number, _, _ in records] == list(range(written - 4, written))
    assert records[-1][1:] in [("wait", "begin"), ("receive", "begin")], records


def test_a_process_without_snakefish_gets_a_sentence(said):
    other = subprocess.Popen([sys.executable, "-c", ANOTHER_PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        assert "no variable rings here: does this process use snakefish" in gdb(other.pid, "snakefish ring")
    finally:
        other.kill()
        other.communicate()
