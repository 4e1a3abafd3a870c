"""snakefish-trace analyze on programs whose answer is known: it has to be right within 5 per cent. The programs nap for
most of a second where they are to be slow, and say how long each nap was: on a loaded machine it is longer than it should."""

import json
import os
import subprocess
import textwrap

import pytest

from tracing import BUILD, TRACE, meta, query, record, trace

PYTHON = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(not list((BUILD / "lib").glob("snakefish/_snakefish*.so")), reason="the extension is not built")


# nap(name, seconds) sleeps, and prints the name and how long that took.
START = """
import os, sys, time, snakefish
from snakefish import Channel, Thread, trace
def nap(name, seconds):
    begin = time.monotonic()
    time.sleep(seconds)
    os.write(1, f"{name} {time.monotonic() - begin}\\n".encode())
"""


@pytest.fixture
def analyzed(db):
    def run(program):
        code = START + "with trace.session(sys.argv[1]):\n" + textwrap.indent(textwrap.dedent(program), "    ")
        env = dict(os.environ, PYTHONPATH=str(BUILD / "lib"))
        env.pop("SNAKEFISH_TRACE", None)
        said = subprocess.run([PYTHON, "-c", code, str(db)], env=env, check=True, timeout=60, stdout=subprocess.PIPE, text=True)
        done = subprocess.run([TRACE, "analyze", str(db)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        naps = [line.split() for line in said.stdout.splitlines()]
        return dict(query(db, "SELECT name, value FROM efficiency")), {name: float(seconds) for name, seconds in naps}
    return run


def near(value):
    return pytest.approx(value, rel=0.05)


def test_what_other_threads_of_a_program_pickle_is_theirs(db):
    """A Pool's threads do its pickling; the ledger has the first thread's only."""
    trace("record", "-q", "-o", db, "--instrument", "all", "--", PYTHON, "-c", textwrap.dedent("""
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(1) as pool:
            pool.map(len, [list(range(1000))] * 50, 1)
        """), env=dict(os.environ, PYTHONPATH=str(BUILD / "lib")))
    done = subprocess.run([TRACE, "analyze", "--json", str(db)], capture_output=True, text=True, check=True)
    threads = {one["name"].partition(" ")[2]: one for one in json.loads(done.stdout)["threads"] if one["process"] == 1}
    for name in "(_handle_tasks)", "(_handle_results)":
        assert threads[name]["pickling_ns"] > 0 and threads[name]["cpu_ns"] is None
    shown = subprocess.run([TRACE, "analyze", str(db)], capture_output=True, text=True, check=True).stdout
    assert [line for line in shown.splitlines() if "(_handle_tasks)" in line and " -  " in line], shown


def test_a_known_imbalance(analyzed, db):
    found, naps = analyzed("""
        threads = [Thread(nap, args=nap_) for nap_ in (("short", 1.5), ("long", 4.5))]
        for t in threads: t.start()
        for t in threads: t.join()
        """)
    mean, longest = sum(naps.values()) / 2, naps["long"]
    assert found["lanes"] == 2
    assert found["load_balance"] == near(mean / longest)
    assert found["parallel_efficiency"] == near(mean / longest)
    duration, saved = query(db, "SELECT duration_ns / 1e9, saved_ns / 1e9 FROM what_if WHERE what = 'imbalance'")[0]
    assert duration == near(mean) and saved == near(longest - mean)
    on_path, imbalance = query(db, "SELECT ns / 1e9, imbalance_ns FROM path_activity WHERE activity = 'running'")[0]
    assert on_path == near(longest) and imbalance > 0


def test_a_known_serial_part(analyzed, db):
    found, naps = analyzed("""
        nap("serial", 0.8)
        snakefish.map(lambda name: nap(name, 0.8), ["one", "other"], 2, 1)
        """)
    parallel = max(naps["one"], naps["other"])
    assert found["lanes"] == 2 and found["useful_ns"] / 1e9 == near(sum(naps.values()))
    assert found["parallel_efficiency"] == near(0.75) and found["load_balance"] == near(0.75)
    by_process = query(db, """SELECT sum(end_ns - start_ns) / 1e9 FROM critical_path WHERE activity = 'running'
                              GROUP BY process = 1 ORDER BY process = 1""")
    assert by_process == [(near(parallel),), (near(naps["serial"]),)]  # half of the path is the child's, half the parent's


def test_chunks_of_different_sizes_are_balanced_and_counted(analyzed, db):
    """Quick arguments, of which the workers claim more and more at once, then four long ones that they share."""
    found, naps = analyzed("snakefish.map(lambda name: name and nap(name, 0.7), [None] * 5000 + list('abcd'), 2)")
    assert found["lanes"] == 2 and found["useful_ns"] / 1e9 == near(sum(naps.values()))
    assert found["load_balance"] == near(1)
    sizes = [size for size, in query(db, "SELECT b FROM span WHERE kind = 'chunk' ORDER BY a")]
    assert sum(sizes) == 5004 and len(set(sizes)) > 3 and sizes[-1] == 1
    assert query(db, "SELECT a, b FROM span WHERE kind = 'map'") == [(len(sizes), 2)]


def test_a_known_late_sender(analyzed, db):
    """The child sends its second word 0.8 s after its first; the parent waits for it, and then works for 0.4 s."""
    _, naps = analyzed("""
        channel = Channel(4096)
        def late():
            channel.send_pyobj(0)
            nap("late", 0.8)
            channel.send_pyobj(1)
        t = Thread(late)
        t.start()
        channel.receive_pyobj()
        channel.receive_pyobj()
        nap("work", 0.4)
        t.join()
        """)
    assert query(db, "SELECT late_sender_ns / 1e9 FROM message WHERE seq = 2") == [(near(naps["late"]),)]
    first = query(db, "SELECT late_sender_ns + latency_ns FROM message WHERE seq = 1")[0][0]  # until the child had begun
    booked = query(db, "SELECT ns FROM ledger WHERE process = 1 AND category = 'late sender'")[0][0]
    assert (booked - first) / 1e9 == near(naps["late"])
    assert query(db, """SELECT process, sum(end_ns - start_ns) / 1e9 FROM critical_path WHERE activity = 'running'
                        GROUP BY process""") == [(1, near(naps["work"])), (2, near(naps["late"]))]


def test_a_known_late_receiver_and_a_known_merge(analyzed, db):
    """The channel is full; 0.8 s after the sender said so, the parent reads from it. Merging takes 0.4 s."""
    _, naps = analyzed("""
        channel, word = Channel(4096), Channel(4096)
        def fill():
            channel.send_bytes(bytes(3000))
            word.send_pyobj("full")
            channel.send_bytes(bytes(3000), block=True)
        t = Thread(fill, lambda g: 1, lambda g, e: nap("merge", 0.4))
        t.start()
        word.receive_pyobj()
        nap("late", 0.8)
        channel.receive_bytes()
        channel.receive_bytes()
        t.join()
        """)
    assert query(db, "SELECT ns / 1e9 FROM ledger WHERE process = 2 AND category = 'late receiver'") == [(near(naps["late"]),)]
    assert query(db, "SELECT ns / 1e9 FROM ledger WHERE process = 1 AND category = 'merging'") == [(near(naps["merge"]),)]
    assert query(db, "SELECT saved_ns / 1e9 FROM what_if WHERE what = 'merge'") == [(near(naps["merge"]),)]


WAITS = """
import fcntl, multiprocessing, os, select, socket, threading, time
(r, w), (full_r, full_w), (s, t), (full_s, full_t) = os.pipe(), os.pipe(), socket.socketpair(), socket.socketpair()
lock, held = multiprocessing.Lock(), os.memfd_create("held")
def locked(take):  # through an open file of its own, because flock locks belong to open files
    fd = os.open(f"/proc/self/fd/{held}", os.O_RDWR)
    return lambda: take(fd, fcntl.LOCK_EX)
def child_of_its_own():
    if os.fork() == 0:
        time.sleep(0.6)
        os._exit(0)
    os.wait()
def poll():
    p = select.poll()
    p.register(r, select.POLLIN)
    p.poll()
def join():
    thread = threading.Thread(target=time.sleep, args=(0.6,))
    thread.start()
    thread.join()
waits = {
    "pipe": lambda: os.read(r, 1), "socket": lambda: s.recv(1), "poll": poll, "select": lambda: select.select([r], [], []),
    "full pipe": lambda: os.write(full_w, bytes(1 << 20)), "full socket": lambda: full_s.sendall(bytes(4 << 20)),
    "lock": lock.acquire, "join": join, "flock": locked(fcntl.flock), "lockf": locked(fcntl.lockf),
    "child": child_of_its_own, "sleep": lambda: time.sleep(0.6)}
def drain(read, bytes_):
    while bytes_:
        bytes_ -= len(read(1 << 16))
lock.acquire()
fcntl.flock(held, fcntl.LOCK_EX)
fcntl.lockf(held, fcntl.LOCK_EX)
for name, wait in waits.items():
    if os.fork() == 0:
        begin = time.monotonic_ns()
        wait()
        waited_ns = time.monotonic_ns() - begin
        os.write(1, f"{os.getpid()} {waited_ns} {time.process_time_ns()} {name}\\n".encode())
        if name == "lock":
            lock.release()
        os._exit(0)
time.sleep(0.6)
drain(lambda n: os.read(full_r, n), 1 << 20)
drain(full_t.recv, 4 << 20)
t.send(b"x")
os.write(w, bytes(9))
lock.release()
fcntl.flock(held, fcntl.LOCK_UN)
fcntl.lockf(held, fcntl.LOCK_UN)
for _ in waits:
    os.wait()
"""

CATEGORY = {"pipe": "late sender", "socket": "late sender", "poll": "late sender", "select": "late sender",
            "full pipe": "late receiver", "full socket": "late receiver", "lock": "lock", "join": "lock", "flock": "lock",
            "lockf": "lock", "child": "late child", "sleep": "sleeping"}


def test_a_known_wait_that_only_the_kernel_saw(db):
    """Each child waits for its parent in another system call, and prints how long it waited, and how much CPU time it took.
    The wait is up to when it runs again; the time from its wake-up until it had a CPU is `no cpu` in the ledger. On a loaded
    machine both of these are much."""
    done = record(db, PYTHON, "-c", WAITS, options=["--kernel"])
    assert done.returncode == 0, done
    if meta(db, "kernel_view") != "complete":
        pytest.skip(meta(db, "kernel_view"))
    said = [line.split(" ", 3) for line in done.stdout.splitlines()]
    assert {name for *_, name in said} == set(CATEGORY)
    for pid, waited_ns, cpu_ns, name in said:
        found = dict(query(db, f"""SELECT category, ns FROM ledger JOIN process p ON p.id = process WHERE p.pid = {pid} AND
                                   category IN ('running', 'late sender', 'late receiver', 'late child', 'lock', 'no cpu',
                                                'sleeping')"""))
        no_cpu_ns, booked_ns = found.pop("no cpu"), found.pop(CATEGORY[name])
        assert int(waited_ns) * 0.95 - no_cpu_ns <= booked_ns <= int(waited_ns) * 1.05 + int(cpu_ns), (name, no_cpu_ns)
        assert sum(found.values()) < int(waited_ns) * 0.05 + int(cpu_ns), (name, cpu_ns, found)
