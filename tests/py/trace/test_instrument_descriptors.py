"""trace.instrument: pipe ends that reach somebody who does not count messages. No message is paired with another one."""
import contextlib
import os
import sqlite3
import subprocess

import pytest
from conftest import BUILD, PYPY
from instrumented import check, needs_collector, received, traced, unnumbered  # noqa: F401
from matrix import first

pytestmark = needs_collector

# raw(fd, b"...") writes a message as another program would, take(fd) reads one. CHILD is a program that does both.
RAW_FUNCTIONS = """
import os, struct, sys
def raw(fd, content):
    os.write(fd, struct.pack("!i", len(content)) + content)
def take(fd):
    size, = struct.unpack("!i", os.read(fd, 4))
    return os.read(fd, size)
"""
RAW = f"""
import multiprocessing, socket, subprocess
{RAW_FUNCTIONS}
CHILD = {RAW_FUNCTIONS!r} + sys.argv[1]
Pipe = multiprocessing.get_context("fork").Pipe
"""


def check_pairs(db):
    """Every row of `message` that has a receiver is a pair of the program's, by the numbers in `sent`: its bytes."""
    check(db)
    assert db.one("SELECT count(*) FROM message m JOIN event e ON e.object = m.channel AND e.a = m.seq AND e.phase = 2 "
                  "AND e.kind = 15 WHERE e.b <> m.bytes OR m.latency_ns < 0") == 0


def pairs(db):
    return db.one("SELECT count(*) FROM message WHERE receive_ns IS NOT NULL")


# What is done with r and w; how many messages may be paired: those before the first that is not counted.
HERE = {
    "written before": ("raw(w.fileno(), b'abc'); w.send_bytes(b'abc'); r.recv_bytes(); r.recv_bytes()", 0),
    "written between": ("w.send_bytes(b'1'); r.recv_bytes(); raw(w.fileno(), b'2'); w.send_bytes(b'3'); r.recv_bytes(); "
                        "r.recv_bytes()", 1),
    "written after": ("w.send_bytes(b'1'); raw(w.fileno(), b'2'); r.recv_bytes(); r.recv_bytes(); w.send_bytes(b'3'); "
                      "r.recv_bytes()", 0),
    "written alone": ("raw(w.fileno(), b'abc'); r.recv_bytes(); w.send_bytes(b'abc'); r.recv_bytes()", 0),
    "read": ("w.send_bytes(b'1'); w.send_bytes(b'2'); take(r.fileno()); r.recv_bytes(); w.send_bytes(b'3'); r.recv_bytes()", 0),
    "read in part": ("w.send_bytes(struct.pack('!i', 1) + b'1'); os.read(r.fileno(), 4); r.recv_bytes(); w.send_bytes(b'1'); "
                     "r.recv_bytes()", 0),
    "read and put back": ("w.send_bytes(b'1'); raw(w.fileno(), take(r.fileno())); r.recv_bytes()", 1),
    "read and replaced": ("w.send_bytes(b'1'); take(r.fileno()); raw(w.fileno(), b'2'); r.recv_bytes(); w.send_bytes(b'3'); "
                          "r.recv_bytes()", 0),
    "exchanged": ("w.send_bytes(b'1'); w.send_bytes(b'2'); raw(w.fileno(), take(r.fileno())); r.recv_bytes(); r.recv_bytes()", 0),
    "copied": ("c = os.dup(w.fileno()); raw(c, b'1'); w.send_bytes(b'2'); r.recv_bytes(); r.recv_bytes()", 0),
    "opened as a file": ("with open(os.dup(w.fileno()), 'wb') as f: f.write(struct.pack('!i', 1) + b'1')\n"
                         "w.send_bytes(b'2'); r.recv_bytes(); r.recv_bytes()", 0),
    "another put in its place": ("r2, w2 = Pipe(%s); w.send_bytes(b'0'); r.recv_bytes(); os.dup2(w2.fileno(), w.fileno()); "
                                 "w.send_bytes(b'1'); w2.send_bytes(b'2'); r2.recv_bytes(); r2.recv_bytes(); "
                                 "os.dup2(r2.fileno(), r.fileno()); w.send_bytes(b'3'); r.recv_bytes()", 1),
}


@pytest.mark.diagonal
@pytest.mark.parametrize("duplex", [False, True], ids=["pipe", "socket"])
@pytest.mark.parametrize("name", HERE)
def test_bytes_that_are_not_sent_or_received_are_not_counted_for_others(traced, name, duplex):
    if PYPY and name in ("read and replaced", "exchanged"):
        pytest.skip("on PyPy only lengths are compared")
    code, most = HERE[name]
    code = code.replace("%s", str(duplex))
    _, db = traced(RAW + f"r, w = Pipe({duplex})\n{code}\n", "")
    check_pairs(db)
    assert pairs(db) <= most
    assert unnumbered(db) > 0 or name == "read and put back"


@pytest.mark.parametrize("call, paired", [("set_inheritable(fd, False)", 2), ("set_inheritable(fd, 0)", 2),
                                          ("set_inheritable(fd, True)", 0), ("dup2(fd, 90, False)", 2)])
def test_a_descriptor_that_no_program_inherits_is_counted_on(traced, call, paired):
    _, db = traced(RAW + f"""
r, w = Pipe(False)
for fd in (r.fileno(), w.fileno()):
    os.{call}
for n in range(2):
    w.send(n)
    assert r.recv() == n
""", "")
    check_pairs(db)
    assert pairs(db) == paired


def test_copies_of_a_descriptor_in_processes_that_count_are_the_same_pipe(traced):
    _, db = traced(RAW + """
from multiprocessing.connection import Connection
r, w = Pipe(False)
def child():
    c = Connection(os.dup(w.fileno()), readable=False)
    c.send(1)
p = multiprocessing.get_context("fork").Process(target=child)
p.start()
p.join()
print(Connection(os.dup(r.fileno()), writable=False).recv())
""", "")
    check_pairs(db)
    assert received(db) == [(1, 1, 1, 5)] and unnumbered(db) == 0


# How a program that does not count gets r and w; it knows their numbers as sys.argv[1] and sys.argv[2].
WAYS = {
    "pass_fds": "run(pass_fds=(r.fileno(), w.fileno()))",
    "close_fds=False": "for c in (r, w): os.set_inheritable(c.fileno(), True)\nrun(close_fds=False)",
    "as its standard streams": "run(0, 1, stdin=r.fileno(), stdout=w.fileno())",
    "posix_spawn": "for c in (r, w): os.set_inheritable(c.fileno(), True)\n"
                   "os.waitpid(os.posix_spawn(sys.executable, command(r.fileno(), w.fileno()), os.environ), 0)",
    "posix_spawn with dup2": "os.waitpid(os.posix_spawn(sys.executable, command(70, 71), os.environ, file_actions="
                             "[(os.POSIX_SPAWN_DUP2, r.fileno(), 70), (os.POSIX_SPAWN_DUP2, w.fileno(), 71)]), 0)",
    "exec": "for c in (r, w): os.set_inheritable(c.fileno(), True)\n"
            "pid = os.fork()\nif not pid: os.execv(sys.executable, command(r.fileno(), w.fileno()))\nos.waitpid(pid, 0)",
    "dup2 and exec": "pid = os.fork()\nif not pid: os.dup2(r.fileno(), 0); os.dup2(w.fileno(), 1); "
                     "os.execv(sys.executable, command(0, 1))\nos.waitpid(pid, 0)",
    "spawnv_passfds": "import multiprocessing.util as u\n"
                      "os.waitpid(u.spawnv_passfds(os.fsencode(sys.executable), command(r.fileno(), w.fileno()), "
                      "(r.fileno(), w.fileno())), 0)",
}
# ... and by a send of descriptors over a socket
SOCKET = ("a, b = socket.socketpair()\nsend(a, [r.fileno(), w.fileno()])\n"
                     "subprocess.run(command(b.fileno(), 0, 'r, w = socket.recv_fds(socket.socket(fileno=r), 9, 9)[1]'), "
                     "pass_fds=[b.fileno()])")
SENDS = {"socket.send_fds": "def send(s, fds): socket.send_fds(s, [b'x'], fds)",
         "sendmsg": "from array import array\ndef send(s, fds): "
                    "s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array('i', fds))])",
         "sendfds": "from multiprocessing.reduction import sendfds as send"}
# What it does with them: takes tokens and puts them back, so that all counts and bytes agree; reads; writes.
DOES = {"rotates": ("raw(w, take(r)); raw(w, take(r)); raw(w, take(r))", 3),
        "reads": ("take(r)", 2),
        "writes": ("raw(w, b'token')", 4)}


@pytest.mark.diagonal
@pytest.mark.parametrize("does", DOES)
@pytest.mark.parametrize("way", [*WAYS, *SENDS])
def test_a_program_that_gets_both_ends_never_makes_a_wrong_pair(traced, way, does):
    if way == "spawnv_passfds" and PYPY:
        pytest.skip("PyPy's takes other arguments")
    if way.startswith("posix_spawn") and not hasattr(os, "posix_spawn"):
        pytest.skip("this interpreter has no os.posix_spawn")
    code, left = DOES[does]
    how = WAYS.get(way) or SENDS[way] + "\n" + SOCKET
    _, db = traced(RAW + f"""
r, w = Pipe(False)
def command(r, w, first=""):
    program = CHILD + f"import socket; r, w = {{r}}, {{w}}; {{first}}\\n" + {code!r}
    return [sys.executable, "-c", program]
def run(r_number=r.fileno(), w_number=w.fileno(), **options):
    subprocess.run(command(r_number, w_number), **options)
for token in (b"first", b"other", b"third"):
    w.send_bytes(token)
{how}
for _ in range({left}):
    r.recv_bytes()
w.send_bytes(b"after")
assert r.recv_bytes() == b"after"
""", "")
    check_pairs(db)
    covered = way != "sendmsg"  # there only what the program does is noticed
    if covered or does != "rotates":
        assert pairs(db) == 0
    assert covered or does == "rotates" or unnumbered(db) > 0


def test_a_connection_sent_to_a_program_that_does_not_count(traced):
    """The receiver is no fork of ours: it gets the connection by multiprocessing's own way."""
    _, db = traced(RAW + """
from multiprocessing.connection import Listener
import multiprocessing.process, tempfile
r, w = Pipe(False)
address = tempfile.mktemp(dir="/tmp")
with Listener(address, authkey=b"key") as listener:
    program = f'''
import multiprocessing.process
multiprocessing.process.current_process().authkey = b"key"
from multiprocessing.connection import Client
with Client({address!r}, authkey=b"key") as c:
    w = c.recv()
    w.send_bytes(b"other")
    c.send(1)
'''
    multiprocessing.process.current_process().authkey = b"key"
    p = subprocess.Popen([sys.executable, "-c", program])
    with listener.accept() as c:
        c.send(w)
        assert c.recv() == 1
    p.wait()
w.send_bytes(b"first")
assert r.recv_bytes() == b"other" and r.recv_bytes() == b"first"
""", "")
    check_pairs(db)
    assert db.one("SELECT count(*) FROM message WHERE bytes = 5") == 0 and unnumbered(db) >= 3


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_that_is_not_forked_from_ours_gets_no_pairs(traced, tmp_path, method):
    (tmp_path / "target.py").write_text("""
def echo(r, w):
    for _ in range(3):
        w.send_bytes(r.recv_bytes())
""")
    _, db = traced(RAW + f"""
sys.path.insert(0, {str(tmp_path)!r})
from target import echo
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    (r1, w1), (r2, w2) = Pipe(False), Pipe()
    p = context.Process(target=echo, args=(r1, w2))
    p.start()
    for i in range(3):
        w1.send_bytes(b"x" * i)
        assert r2.recv_bytes() == b"x" * i
    p.join()
""", "")
    check_pairs(db)
    assert pairs(db) == 0


# ---- more pipes than there are places ----


def test_after_seventy_thousand_closed_pipes_messages_are_still_paired(traced):
    _, db = traced(RAW + """
first, last = Pipe(False)
last.send(0)
for i in range(66000):
    a, b = Pipe(i % 8 == 0)
    a.close()
    b.close()
r, w = Pipe(False)
for i in range(5):
    w.send(i)
    assert r.recv() == i
assert first.recv() == 0
""", "", )
    check_pairs(db)
    assert pairs(db) == 6 and unnumbered(db) == 0
    assert db.rows("SELECT * FROM stats WHERE name = 'messages_of_other_pipes'") == []


def test_messages_of_pipes_that_find_no_place_are_a_loss_that_info_tells(traced, tmp_path):
    """Two processes have so many sockets open that there is no place left."""
    import resource
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 17000:
        pytest.skip("this needs more descriptors: ulimit -Hn 17000")
    _, db = traced(RAW + """
import resource
from multiprocessing.connection import Connection
resource.setrlimit(resource.RLIMIT_NOFILE, (16900, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
def fill():
    kept = []
    for i in range(16800):
        kept.append(Connection(socket.socket(socket.AF_UNIX).detach()))
        try:
            kept[-1].recv_bytes()
        except OSError:
            pass
    return kept
go, done = multiprocessing.Event(), multiprocessing.Event()
def child():
    kept = fill()
    go.set()
    done.wait()
p = multiprocessing.get_context("fork").Process(target=child)
p.start()
go.wait()
kept = fill()
r, w = Pipe(False)
for i in range(3):
    w.send(i)
    assert r.recv() == i
done.set()
p.join()
""", "")
    assert db.losses() == [("messages_of_other_pipes", "loss", 6)]
    assert db.one("SELECT count(*) FROM channel WHERE kind = 'other pipes'") == 1
    assert db.one("SELECT count(*) FROM message") == 0
    path = db.rows("PRAGMA database_list")[0][2]
    info = subprocess.run([BUILD / "bin" / "snakefish-trace", "info", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "messages_of_other_pipes" in info


# ---- readers that die ----


@pytest.mark.parametrize("seed", first(1, range(3)))
def test_readers_killed_at_random_moments_never_make_a_wrong_pair(traced, seed):
    """Every message has a length of its own; so a wrong pair has different bytes."""
    _, db = traced(RAW + """
import random, time
chance = random.Random(int(sys.argv[1]))
context = multiprocessing.get_context("fork")
def write(w):
    for i in range(10 ** 9):
        w.send_bytes(b"x" * (i % 5000))
def read(r, begun):
    begun.value = 1
    try:
        while True:
            r.recv_bytes(5000)
    except (OSError, EOFError):  # what a killed reader has left is no message
        pass
for _ in range(6):
    r, w = Pipe(chance.random() < 0.5)
    writer = context.Process(target=write, args=(w,))
    writer.start()
    for _ in range(5):
        begun = context.RawValue("b", 0)
        reader = context.Process(target=read, args=(r, begun))
        reader.start()
        while not begun.value:  # on a busy machine that takes longer than a reader has
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        reader.kill()
        reader.join()
    writer.kill()
    writer.join()
""", seed)
    assert [loss for loss in db.losses() if loss[0] not in ("torn", "lost", "lost_no_room")] == []
    assert db.one("SELECT count(*) FROM message m JOIN event e ON e.object = m.channel AND e.a = m.seq AND e.phase = 2 "
                  "AND e.kind = 15 WHERE e.b <> m.bytes OR m.latency_ns < 0") == 0
    assert pairs(db) > 50


def test_messages_of_a_pipe_from_before_are_counted_as_without_a_number(run_program, tmp_path):
    path = tmp_path / "run.db"
    ended = run_program("""
import multiprocessing, sys
from snakefish import trace
reader, writer = multiprocessing.Pipe(duplex=False)
with trace.session(sys.argv[1]):
    trace.instrument("multiprocessing")
    for n in range(3):
        writer.send(n)
        reader.recv()
""", path)
    assert (ended.status, ended.stderr) == (0, "")
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT value FROM stats WHERE name = 'messages_without_number'").fetchall() == [(6,)]
        assert db.execute("SELECT count(*) FROM message").fetchone() == (0,)
