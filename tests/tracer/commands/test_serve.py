"""snakefish-trace serve, as snakefish.trace.start() uses it."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from tracing import PROGRAM, STOPPING, TRACE, is_gone, meta, not_lost, query, set_state, trace, wait_for


class Served:
    def __init__(self, db, root, **kwargs):
        self.starter = subprocess.Popen([TRACE, "serve", "-o", db, "--root", str(root)], stdout=subprocess.PIPE,
                                        text=True, **kwargs)
        self.line = self.starter.stdout.readline()
        self.status = self.starter.wait(10)
        self.session = self.line.split()[1] if self.line.startswith("session ") else None
        self.pid = int(self.session.split("-")[1]) if self.session else None

    def run(self, *args):
        return subprocess.run([PROGRAM, *args], env=dict(os.environ, SNAKEFISH_TRACE_SESSION=self.session), check=False)

    def end(self):
        rest = self.starter.stdout.read()
        self.starter.stdout.close()
        return rest


def test_it_collects_until_it_is_stopped(db):
    served = Served(db, os.getpid())
    assert served.status == 0 and served.session.startswith("/dev/shm/snakefish-")
    assert os.stat(served.session).st_mode & 0o777 == 0o700
    assert served.run("run", "20").returncode == 0
    set_state(served.session, STOPPING)
    assert served.end() == "done\n"
    assert not os.path.exists(served.session)
    not_lost(db)
    assert query(db, "SELECT count(*) FROM message") == [(20,)]
    assert meta(db, "state") == "complete"


def test_what_a_collector_left_that_was_killed_at_its_first_steps_is_cleared_away(db):
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = pathlib.Path(f"/dev/shm/snakefish-{ended.pid}-0123456789abcdef")
    left.mkdir(0o700)
    os.utime(left, (0, 0))
    try:
        served = Served(db, os.getpid())
        assert not left.exists()
        set_state(served.session, STOPPING)
        assert served.end() == "done\n"
    finally:
        if left.exists():
            left.rmdir()


def test_it_is_detached_and_holds_no_file_of_the_program(db):
    served = Served(db, os.getpid())
    stat = open(f"/proc/{served.pid}/stat").read().rpartition(")")[2].split()
    parent, session = int(stat[1]), int(stat[3])
    assert parent != os.getpid() and session != os.getsid(0)

    def not_its_own():
        names = {int(fd): os.readlink(f"/proc/{served.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{served.pid}/fd")}
        assert names[0] == "/dev/null"
        return {fd: name for fd, name in names.items()  # anon_inode: pidfds, and what waits for them
                if fd > 2 and not name.startswith((str(db), served.session, "anon_inode:"))}

    wait_for(lambda: not not_its_own())  # it closes the starter's pipe just after the starter has ended
    os.kill(served.pid, signal.SIGINT)
    time.sleep(0.05)
    assert not is_gone(served.pid)
    set_state(served.session, STOPPING)
    assert served.end() == "done\n"


@pytest.mark.parametrize("word", [b"g", b"c", None])
def test_where_its_output_is_a_socket_it_waits_for_the_program_s_word(db, word):
    """g: go on. c: take it back. None: the program closes its end, and ends the session later."""
    ours, its = socket.socketpair()
    with ours, its:
        ours.settimeout(20)
        starter = subprocess.Popen([TRACE, "serve", "-o", db, "--root", str(os.getpid())], stdout=its)
        its.close()
        session = ours.recv(1000).decode().split()[1]
        assert starter.wait(10) == 0 and os.path.exists(session) and os.path.exists(db)
        if word:
            ours.sendall(word)
        else:
            ours.close()
        if word != b"c":
            set_state(session, STOPPING)
        if word:
            assert ours.recv(1000) == (b"done\n" if word == b"g" else b"") and ours.recv(1000) == b""
    wait_for(lambda: not os.path.exists(session))
    assert os.path.exists(db) == (word != b"c")
    if word == b"g":
        assert meta(db, "state") == "complete"


def test_it_ends_when_the_root_dies(db):
    root = subprocess.Popen(["sleep", "0.3"])
    served = Served(db, root.pid)
    served.run("exit", "0")
    root.wait()
    assert served.end() == "done\n"
    assert not os.path.exists(served.session)
    not_lost(db)


def test_a_zombie_root_is_dead(db):
    root = subprocess.Popen(["sleep", "0.2"])
    served = Served(db, root.pid)
    assert served.end() == "done\n"  # it has not been reaped
    root.wait()


def test_a_root_that_is_gone_already_does_not_hang_it(db):
    root = subprocess.Popen(["true"])
    root.wait()
    began = time.monotonic()
    served = Served(db, root.pid)
    assert served.end() == "done\n"
    assert time.monotonic() - began < 3


def test_traced_children_of_a_dead_root_get_a_grace(db):
    root = subprocess.Popen(["sleep", "60"])
    served = Served(db, root.pid)
    child = subprocess.Popen([PROGRAM, "sleep", "30"], env=dict(os.environ, SNAKEFISH_TRACE_SESSION=served.session),
                             stdout=subprocess.PIPE)
    child.stdout.readline()
    root.kill()
    root.wait()
    began = time.monotonic()
    assert served.end() == "done\n"
    assert 0.8 < time.monotonic() - began < 5
    assert query(db, "SELECT value FROM stats WHERE name = 'processes_running'") == [(1,)]
    child.kill()
    child.wait()
    child.stdout.close()


def test_sigterm_finishes_the_database(db):
    served = Served(db, os.getpid())
    served.run("exit", "0")
    os.kill(served.pid, signal.SIGTERM)
    assert served.end() == "done\n"
    assert meta(db, "state") == "complete"
    assert not os.path.exists(served.session)


def test_a_closed_pipe_does_not_kill_it(db):
    served = Served(db, os.getpid())
    served.starter.stdout.close()
    set_state(served.session, STOPPING)
    wait_for(lambda: is_gone(served.pid))
    assert meta(db, "state") == "complete"
    assert not os.path.exists(served.session)


@pytest.mark.parametrize("path", ["", "/", "/no/such/directory/run.db", "/dev/null", "/etc/hostname"])
def test_what_it_cannot_do_is_reported(path):
    served = Served(path, os.getpid())
    assert served.line.startswith("error ") and served.status == 1
    assert served.end() == ""


def test_two_at_one_database(db):
    first = Served(db, os.getpid())
    second = Served(db, os.getpid())
    assert "another snakefish-trace" in second.line and second.status == 1
    second.end()
    set_state(first.session, STOPPING)
    assert first.end() == "done\n"


def test_its_usage():
    for args in (), ("-o", "x"), ("--root", "1"), ("-o", "x", "--root", "zero"), ("-o",), ("--what",):
        done = trace("serve", *args)
        assert done.returncode == 2 and "usage:" in done.stderr, args
