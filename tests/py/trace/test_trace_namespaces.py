"""Traced processes in pid namespaces of their own, as in containers: their events, their ends and who is who."""
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from databases import TRACER

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="unshare needs root")

NEW = ["unshare", "--fork", "--pid"]
MARKS = "import os, time, snakefish\nfor i in range(40):\n    snakefish.trace.mark('m'); time.sleep(0.005)\n"


def python(program):
    return [sys.executable, "-c", program]


opened = []


@pytest.fixture(autouse=True)
def close():
    yield
    while opened:
        opened.pop().close()


def record(path, *command, before=()):
    got = subprocess.run([*before, str(TRACER), "record", "-q", "-o", str(path), "--", *command], capture_output=True,
                         text=True, timeout=60)
    assert (got.returncode, got.stderr) == (0, "")
    opened.append(sqlite3.connect(path))
    return opened[-1]


def marks(db):
    """(pid, name of the parent's row, marks) of each process that has any."""
    return db.execute("""SELECT p.pid, p.parent, count(*) FROM event e JOIN process p ON p.id = e.process
                         WHERE e.kind = 21 GROUP BY p.id ORDER BY p.id""").fetchall()


def nothing_is_lost(db, unknown_ends=0):
    assert db.execute("SELECT name, value FROM stats WHERE severity <> 'info'").fetchall() == []
    assert db.execute("SELECT sum(value) FROM stats WHERE name = 'unknown_ends'").fetchone()[0] in (unknown_ends, None)


def test_all_events_of_another_namespace_are_stored(tmp_path):
    db = record(tmp_path / "run.db", *NEW, "sh", "-c", '"$@"; true', "sh", *python(MARKS))
    assert [row[2] for row in marks(db)] == [40]
    nothing_is_lost(db)


def test_processes_of_the_same_number_are_two_processes(tmp_path):
    both = '"$@" & "$@"; wait'
    db = record(tmp_path / "run.db", "sh", "-c", both, "sh", *NEW, *python(MARKS))
    assert marks(db) == [(1, None, 40), (1, None, 40)]
    nothing_is_lost(db)


def test_families_of_the_same_number_share_no_task(tmp_path):
    program = """
import snakefish, time
t = snakefish.Thread(time.sleep, args=(0.1,))
t.start()
t.join()
"""
    db = record(tmp_path / "run.db", "sh", "-c", '"$@" & "$@"; wait', "sh", *NEW, *python(program))
    assert db.execute("SELECT count(*), count(DISTINCT process), count(DISTINCT creator) FROM task").fetchone() == (2, 2, 2)
    assert sorted(db.execute("SELECT parent IS NULL, exit_status FROM process WHERE task").fetchall()) == [(0, 0), (0, 0)]


def test_inner_namespaces_and_user_namespaces(tmp_path):
    db = record(tmp_path / "run.db", "unshare", "--user", "--map-root-user", "--fork", "--pid", *NEW, *python(MARKS))
    assert marks(db) == [(1, None, 40)]
    nothing_is_lost(db)


def test_a_child_in_a_namespace_that_the_program_made_has_its_parent(tmp_path):
    program = """
import ctypes, os, time, snakefish
snakefish.trace.mark("parent")
assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID
if os.fork() == 0:
    if os.fork() == 0:
        snakefish.trace.mark("grandchild")
        time.sleep(0.3)
        os._exit(0)
    snakefish.trace.mark("child")
    os.wait()
    os._exit(0)
os.wait()
"""
    db = record(tmp_path / "run.db", *python(program))
    (parent, none, _), *others = marks(db)
    assert none is None and parent > 2
    assert others == [(1, 1, 1), (2, 2, 1)]
    nothing_is_lost(db)


def test_the_end_of_a_process_there_is_known_to_the_moment(tmp_path):
    program = "import os, signal, time, snakefish\nsnakefish.trace.mark('m')\ntime.sleep(0.4)\nos._exit(0)"
    db = record(tmp_path / "run.db", "sh", "-c", '"$@"; sleep 0.4', "sh", *NEW, *python(program))
    [(lasted, last)] = db.execute("""SELECT end_ns - start_ns, (SELECT max(ns) FROM event_time WHERE process = p.id)
                                     - start_ns FROM process p""").fetchall()
    assert last < 350e6 < lasted < 600e6
    nothing_is_lost(db)


def test_one_that_closes_all_descriptors_at_once_is_traced_on(tmp_path):
    program = "import os, snakefish\nos.closerange(3, 1024)\n" + MARKS
    db = record(tmp_path / "run.db", *NEW, *python(program))
    assert [row[2] for row in marks(db)] == [40]
    nothing_is_lost(db)


def test_a_program_that_execs_another_one_stays_one_process(tmp_path):
    program = """
import os, sys, time, snakefish
snakefish.trace.mark("first")
time.sleep(0.2)
os.execv(sys.executable, [sys.executable, "-c", "import snakefish; snakefish.trace.mark('second')"])
"""
    db = record(tmp_path / "run.db", *NEW, "sh", "-c", '"$@"; true', "sh", *python(program))
    assert [row[2] for row in marks(db)] == [2]


@pytest.mark.parametrize("proc", [[], ["--mount-proc"]])
def test_a_collector_inside_a_namespace_sees_the_processes_there(tmp_path, proc):
    """Also where /proc is that of the namespace outside, with other processes under the same numbers."""
    db = record(tmp_path / "run.db", "sh", "-c", '"$@" & "$@"; wait', "sh", *python(MARKS), before=[*NEW, *proc])
    assert [row[2] for row in marks(db)] == [40, 40]
    nothing_is_lost(db)


def test_the_parent_behind_a_shell_is_not_a_stranger_from_another_namespaces_proc(tmp_path):
    """There, the parent of a process with the second one's number has the first one's number."""
    program = """
import os, sys, time, snakefish
snakefish.trace.mark("m")
open(sys.argv[1], "w").close()
while not os.path.exists(sys.argv[2]): time.sleep(0.01)
time.sleep(0.3)
"""
    shell = """
start() { # $1: its number, which another process or thread may just take
    until [ "$!" = "$1" ]; do
        [ -z "$last" ] || kill -9 "$last"
        echo $(($1 - 1)) > /proc/sys/kernel/ns_last_pid
        "$2" -c "$3" $4 second &
        last=$!
    done
    last=
}
start $1 "$3" "$4" first
until [ -e first ]; do sleep 0.02; done
start $2 "$3" "$4" second
wait
"""
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            db = record(tmp_path / "run.db", "sh", "-c", f"cd {tmp_path}\n{shell}", "sh", str(os.getpid()), str(child.pid),
                        sys.executable, program, before=NEW)
        finally:
            child.kill()
        assert marks(db) == [(os.getpid(), None, 1), (child.pid, None, 1)]


OWN_SHM = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/shm; "$@"', "sh"]


def test_a_program_with_another_shared_memory_is_traced(tmp_path):
    program = "import os, snakefish\nif os.fork() == 0:\n    os.closerange(3, 1024)\n    os.fork()\n" + MARKS
    db = record(tmp_path / "run.db", *OWN_SHM, *python(program))
    assert [row[2] for row in marks(db)] == [40, 40, 40]
    nothing_is_lost(db)


def test_one_that_does_not_import_snakefish_is_traced_there_too(tmp_path):
    program = "import os, subprocess, sys\nsubprocess.run([sys.executable, '-c', 'pass'], check=True)\n"
    db = record(tmp_path / "run.db", *OWN_SHM, *python(program))
    assert db.execute("SELECT count(*) FROM process").fetchone() == (2,)
    assert db.execute("SELECT name, value FROM stats WHERE severity <> 'info'").fetchall() == []


def test_one_that_is_not_allowed_to_reach_the_session_says_so(tmp_path):
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    got = subprocess.run([str(TRACER), "record", "-q", "-o", str(tmp_path / "run.db"), "--", *OWN_SHM, *user,
                          *python(MARKS)], capture_output=True, text=True, timeout=60)
    assert got.returncode == 0
    assert "no trace" in got.stderr and "/dev/shm/snakefish-" in got.stderr


def test_a_channel_works_where_proc_shows_other_processes(tmp_path):
    """Whether a holder of a channel lives is asked of the kernel, not of another namespace's /proc."""
    program = """
import os, time, snakefish
taken = [int(name) for name in os.listdir("/proc") if name.isdigit()]
free = next(n for n in sorted(taken, reverse=True) if n > 300)  # a number that lives outside, with another stack
with open("/proc/sys/kernel/ns_last_pid", "w") as file:
    file.write(str(free - 1))
c = snakefish.Channel()
def send():
    time.sleep(0.5)
    c.send_pyobj(os.getpid())
with snakefish.Thread(send) as t:
    t.start()
    assert c.receive_pyobj(timeout=10) == free
print("received")
"""
    got = subprocess.run([*NEW, *python(program)], capture_output=True, text=True, timeout=60)
    assert (got.stdout, got.stderr) == ("received\n", "")


def test_the_first_processes_of_two_namespaces_are_not_taken_for_each_other(tmp_path):
    """Both have pid 1. The child neither ends its parent's trace nor counts from its parent's CPU time."""
    program = """
import ctypes, os, sys, time, snakefish
from snakefish import trace
trace.start(sys.argv[1])
while time.process_time() < 0.3: pass
assert os.getpid() == 1 and ctypes.CDLL(None).unshare(0x20000000) == 0
pid = os.fork()
if pid == 0:
    assert os.getpid() == 1
    trace.mark("child")
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
trace.mark("parent")
trace.stop()
"""
    path = tmp_path / "run.db"
    done = subprocess.run([*NEW, "--mount-proc", *python(program), str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    opened.append(sqlite3.connect(path))
    assert marks(opened[-1]) == [(1, None, 1), (1, 1, 1)]
    used = opened[-1].execute("SELECT e.a FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'usage'").fetchall()
    assert len(used) == 2 and all(ns >= 0 for ns, in used)


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_a_child_in_a_namespace_of_its_own_has_a_log(tmp_path, seconds):
    """Its parent knows it by another number than it has in its log."""
    program = f"""
import ctypes, time, snakefish
assert ctypes.CDLL(None).unshare(0x20000000) == 0
with snakefish.Thread(time.sleep, args=({seconds},)) as thread:
    thread.start()
"""
    record(tmp_path / "run.db", *python(program))
    told = subprocess.run([str(TRACER), "analyze", str(tmp_path / "run.db")], capture_output=True, text=True, check=True).stdout
    assert "efficiency" in told and "had no log" not in told
