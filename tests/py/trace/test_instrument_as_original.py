"""Instrumented connections, queues and pools behave as the originals: the same results, the same exceptions with the same
errno and text, in the same places. Each scenario runs without trace.instrument, and with it and traced."""
import re
import subprocess
import sys

import pytest
from conftest import environment
from databases import Database
from instrumented import needs_collector

pytestmark = needs_collector

HELPERS = """
import ctypes, errno, fcntl, io, multiprocessing, os, signal, socket, struct, sys, threading, time, warnings
from multiprocessing.connection import Connection, wait, Client, Listener
warnings.simplefilter("ignore", DeprecationWarning)
if sys.argv[1] == "instrumented":
    import snakefish
    snakefish.trace.start(sys.argv[2])
    snakefish.trace.instrument("multiprocessing")
context = multiprocessing.get_context("fork")
Pipe = context.Pipe
def outcome(f, *args, **kwargs):
    try:
        return repr(f(*args, **kwargs))
    except BaseException as e:
        return f"{type(e).__name__} {getattr(e, 'errno', None)} {e}"
def say(*what):
    print(*what, flush=True)
class Alarm(Exception):
    pass
def alarm(*_):
    raise Alarm("alarm")
def in_thread(f, *args, **kwargs):
    result = []
    t = threading.Thread(target=lambda: result.append(outcome(f, *args, **kwargs)), daemon=True)
    t.start()
    time.sleep(0.15)
    return lambda: t.join(10) or (result or ["hangs"])[0]
def set_timeout(connection, option, seconds=0.1):
    s = socket.socket(fileno=connection.fileno())
    s.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 0, int(seconds * 1e6)))
    s.detach()
"""

SCENARIOS = {
    "close_by_another_thread": """
for duplex in (False, True):
    r, w = Pipe(duplex)
    receiving = in_thread(r.recv)
    r.close()
    w.close()
    say(receiving())
    r, w = Pipe(duplex)
    receiving = in_thread(r.recv_bytes)
    r.close()
    w.send_bytes(b"late")
    say(receiving())
    r, w = Pipe(duplex)
    sending = in_thread(w.send_bytes, bytes(10 ** 6))
    w.close()
    r.close()
    say(sending().split()[0])
""",
    "descriptor_closed_by_another_thread": """
r, w = Pipe(False)
receiving = in_thread(r.recv)
os.close(r.fileno())
w.send(1)
say(receiving())
say(outcome(r.recv), outcome(r.poll))
r._handle = None
""",
    "receive_timeout_of_the_socket": """
for how in ("recv", "recv_bytes"):
    a, b = Pipe()
    set_timeout(a, socket.SO_RCVTIMEO)
    say(outcome(getattr(a, how)))
    b.send([1])
    say(outcome(a.recv))
    os.write(b.fileno(), struct.pack("!i", 10) + b"half")
    say(outcome(getattr(a, how)))
into = bytearray(5)
say(outcome(a.recv_bytes_into, into))
""",
    "send_timeout_of_the_socket": """
a, b = Pipe()
set_timeout(a, socket.SO_SNDTIMEO)
say(outcome(a.send_bytes, bytes(10 ** 7)))
""",
    "descriptors_that_do_not_block": """
for duplex in (False, True):
    r, w = Pipe(duplex)
    os.set_blocking(r.fileno(), False)
    os.set_blocking(w.fileno(), False)
    say(outcome(r.recv), outcome(r.recv_bytes), outcome(r.poll))
    w.send(1)
    say(outcome(r.recv), outcome(r.recv))
    say(outcome(w.send_bytes, bytes(10 ** 7)))
    os.set_blocking(r.fileno(), True)
    w.close()
    say(outcome(r.recv_bytes))
r, w = Pipe(False)
os.set_blocking(w.fileno(), False)
count = 0
while outcome(w.send_bytes, bytes(1000)) == "None":
    count += 1
say(count, outcome(w.send_bytes, bytes(1000)), outcome(w.send_bytes, b"x"))
say(*[len(r.recv_bytes()) for _ in range(count)], outcome(w.send_bytes, b"x"))
""",
    "the_other_end_is_closed": """
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
for duplex in (False, True):
    r, w = Pipe(duplex)
    w.send(1)
    w.close()
    say(outcome(r.recv), outcome(r.poll), outcome(r.recv), outcome(r.recv_bytes))
    r, w = Pipe(duplex)
    r.close()
    say(outcome(w.send, 1), outcome(w.send_bytes, bytes(10 ** 6)))
    r, w = Pipe(duplex)
    sending = in_thread(w.send_bytes, bytes(10 ** 7))
    r.close()
    say(sending())
a, b = Pipe()
b.send("unread by a")
a.send("unread by b")
b.close()
say(outcome(a.recv), outcome(a.recv))
a, b = Pipe()
a.send("unread by b")
b.close()
say(outcome(a.recv))
""",
    "an_end_inside_a_message": """
for sent in (b"\\0\\0", struct.pack("!i", 10), struct.pack("!i", 10) + b"half", struct.pack("!i", -1), struct.pack("!i", -5)):
    r, w = Pipe(False)
    os.write(w.fileno(), sent)
    w.close()
    say(outcome(r.recv_bytes))
""",
    "what_a_connection_refuses": """
r, w = Pipe(False)
a, b = Pipe()
say(outcome(w.recv), outcome(r.send, 1), outcome(w.poll), outcome(r.send_bytes, b""))
say(outcome(r.recv_bytes, -1), outcome(r.recv_bytes, "x"), outcome(w.send_bytes, b"abc", -1), outcome(w.send_bytes, b"abc", 1, 9))
say(outcome(w.send_bytes, "text"), outcome(w.send_bytes, 3), outcome(w.send, lambda: 0))
say(outcome(r.recv_bytes_into, "text"), outcome(r.recv_bytes_into, bytearray(3), 9))
w.send_bytes(b"abc")
say(outcome(r.recv_bytes_into, b"read-only"))
say(outcome(r.recv, 1), outcome(r.recv, x=1), outcome(w.send), outcome(w.send, 1, 2), outcome(w.send_bytes))
w.send_bytes(b"0123456789")
say(outcome(r.recv_bytes_into, bytearray(3)))
w.send_bytes(b"0123456789")
say(outcome(r.recv_bytes, maxlength=5), r.closed, outcome(r.recv_bytes))
b.send_bytes(b"0123456789")
say(outcome(a.recv_bytes, 5), a.closed, a.readable, outcome(a.recv_bytes), outcome(a.send, 1), outcome(b.recv))
b.close()
say(outcome(b.recv), outcome(b.send, 1), outcome(b.poll), outcome(b.fileno), outcome(b.recv_bytes_into, bytearray(3)))
""",
    "what_is_received": """
import array
for duplex in (False, True):
    r, w = Pipe(duplex)
    for n in (0, 1, 3, 4, 5, 16384, 16385, 60000):
        w.send_bytes(bytes(range(256)) * (n // 256) + bytes(n % 256))
        got = r.recv_bytes()
        say(len(got), sum(got), type(got).__name__)
    w.send_bytes(memoryview(array.array("i", [1, 2, 3])), 4, 4)
    w.send_bytes(bytearray(b"abc"))
    into = array.array("i", [0, 0, 7])
    say(r.recv_bytes_into(into, 4), into, r.recv_bytes(3))
    sending = in_thread(w.send, bytes(10 ** 7))
    say(len(r.recv()), sending())
""",
    "signal_handlers": """
r, w = Pipe(False)
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(outcome(r.recv))
w.send(1)
say(outcome(r.recv))
signal.signal(signal.SIGALRM, lambda *_: w.send("by the handler"))
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(outcome(r.recv))
signal.signal(signal.SIGALRM, lambda *_: (w.send("first"), w.send("second"), say("handler", r.recv())))
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(outcome(r.recv))
signal.signal(signal.SIGALRM, lambda *_: (w.close(), r.close()))
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(outcome(r.recv))
r, w = Pipe(False)
signal.signal(signal.SIGALRM, lambda *_: (os.write(w.fileno(), b"\\0\\0"), alarm()))
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(outcome(r.recv))
os.write(w.fileno(), b"\\0\\0\\0\\1x")
say(outcome(r.recv_bytes))
r, w = Pipe(False)
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(outcome(w.send_bytes, bytes(10 ** 6)))
""",
    "subclasses": """
class Reversed(Connection):
    def _send_bytes(self, buf):
        super()._send_bytes(bytes(buf)[::-1])
    def _recv_bytes(self, maxsize=None):
        return io.BytesIO(super()._recv_bytes(maxsize).getvalue()[::-1])
class Xor(Connection):
    def _send(self, buf, write=os.write):
        super()._send(bytes(x ^ 5 for x in bytes(buf)), write)
    def _recv(self, size, read=os.read):
        return io.BytesIO(bytes(x ^ 5 for x in super()._recv(size, read).getvalue()))
class Raises(Connection):
    def _recv(self, size):
        raise ZeroDivisionError("mine")
class Headerless(Connection):
    def _send_bytes(self, buf):
        self._send(buf)
    def _recv_bytes(self, maxsize=None):
        return self._recv(3)
for kind in (Reversed, Xor, Raises, Headerless):
    r, w = Pipe(False)
    r, w = kind(os.dup(r.fileno()), writable=False), kind(os.dup(w.fileno()), readable=False)
    for i in range(3):
        w.send_bytes(b"abc")
        say(kind.__name__, outcome(r.recv_bytes))
    w.send_bytes(b"")
    say(outcome(r.poll, 0), outcome(w._send, b"abc"), outcome(r._recv, 0))
""",
    "poll_and_wait": """
r, w = Pipe(False)
a, b = Pipe()
say(outcome(r.poll), outcome(r.poll, 0.05), outcome(r.poll, -1), outcome(r.poll, "x"))
say(outcome(wait, [r, a], 0.05), outcome(wait, [], 0.05), outcome(wait, 3), outcome(wait, [r], "x"), outcome(wait, [3.5], 0.05))
w.send(1)
b.send(2)
say([x is r for x in wait([r])], len(wait((c for c in (r, a)), 1)), outcome(r.poll, None), outcome(wait, [r, a, r], 1)[:10])
say(r.recv(), a.recv())
r.close()
say(outcome(wait, [r], 1), outcome(wait, [a, r], 1), outcome(r.poll, 1))
a.close()
""",
    "a_stopped_writer": """
r, w = Pipe(False)
pid = os.fork()
if not pid:
    r.close()
    for i in range(10 ** 9):
        w.send_bytes(b"x" * 100)
for i in range(20):
    r.recv_bytes()
time.sleep(0.3)  # then it waits for room
os.kill(pid, signal.SIGSTOP)
time.sleep(0.1)
while r.poll(0.1):
    r.recv_bytes()
say(in_thread(w.send_bytes, b"mine")())
say(outcome(r.recv_bytes)[-6:])
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
""",
    "queues": """
import queue
def bad(): raise TypeError("mine")
class Unpicklable:
    def __reduce__(self): raise ZeroDivisionError("pickled")
class Poison:
    def __reduce__(self): return bad, ()
for kind in (context.Queue, context.JoinableQueue):
    q = kind(2)
    say(outcome(q.get, False), outcome(q.get, True, 0.05), outcome(q.get, True, -1), outcome(q.get_nowait), q.empty())
    say(outcome(q.get, True, "x"), outcome(q.put), outcome(q.get, 1, 2, 3), outcome(q.put, 1, nothing=1))
    q.put(1)
    q.put([2])
    say(outcome(q.put, 3, False), outcome(q.put, 3, True, 0.05), outcome(q.put_nowait, 3), q.full())
    say(outcome(q.get), outcome(q.get, timeout=5), q.qsize())
    q.put(Poison())
    say(outcome(q.get))
    if kind is context.JoinableQueue:
        say([outcome(q.task_done) for _ in range(4)], outcome(q.join))
    q.close()
    q.join_thread()
    say(outcome(q.put, 1), outcome(q.get), outcome(q.get, False))
s = context.SimpleQueue()
s.put("a")
say(outcome(s.get), s.empty(), outcome(s.put, Unpicklable()), outcome(s.get, 1), s.empty())
s.put(Poison())
say(outcome(s.get))
if hasattr(s, "close"):
    getting = in_thread(s.get)
    s._writer.close()
    say(getting())
    s.close()
    say(outcome(s.put, 1), outcome(s.get), outcome(s.empty))
q = context.Queue()
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.1)
say(outcome(q.get))
""",
    "pools_and_executors": """
from concurrent.futures import ProcessPoolExecutor
def square(x): return x * x
def fails(x): raise ValueError(x)
def dies(x): os._exit(3)
with context.Pool(2) as pool:
    say(outcome(pool.map, square, range(5)), outcome(pool.map, fails, [1]), outcome(pool.starmap, pow, [(2, 3)]))
    say(outcome(lambda: list(pool.imap(square, range(4)))), outcome(lambda: sorted(pool.imap_unordered(square, range(4)))))
    say(outcome(pool.apply_async(time.sleep, (5,)).get, 0.05), outcome(pool.map, len, 5), outcome(pool.map, square, []))
    say(outcome(pool.imap(time.sleep, [5]).next, 0.05))
say(outcome(pool.map, square, [1]))
with ProcessPoolExecutor(2, mp_context=context) as executor:
    say(outcome(lambda: list(executor.map(square, range(5)))), outcome(executor.submit(fails, 1).result))
    say(outcome(executor.submit(dies, 1).result), outcome(executor.submit, square, 1))
say(outcome(executor.submit, square, 1))
""",
    "listeners_and_clients": """
with Listener(authkey=b"key") as listener:
    def serve():
        with listener.accept() as c:
            c.send(c.recv() + 1)
    serving = in_thread(serve)
    with Client(listener.address, authkey=b"key") as c:
        c.send(1)
        say(outcome(c.recv), outcome(c.recv))
    say(serving())
    def refuse():
        return listener.accept()
    refusing = in_thread(refuse)
    say(outcome(Client, listener.address, authkey=b"other"), refusing())
with context.Manager() as manager:
    d = manager.dict(a=1)
    d["b"] = 2
    say(dict(d), outcome(d.__getitem__, "c"))
""",
}


def run(source, *arguments):
    done = subprocess.run([sys.executable, "-c", HELPERS + source, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=environment(), timeout=50, stdin=subprocess.DEVNULL)
    return done.returncode, re.sub(" at 0x[0-9a-f]+", "", done.stdout)


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_the_original(name, tmp_path):
    plain = run(SCENARIOS[name], "plain")
    instrumented = run(SCENARIOS[name], "instrumented", tmp_path / "run.db")
    assert instrumented[1].splitlines() == plain[1].splitlines() and instrumented[0] == plain[0]
    assert plain[0] == 0 and "hangs" not in plain[1], plain[1]
    with Database(tmp_path / "run.db") as db:
        assert db.state() == "complete" and db.losses() == []
        assert db.one("SELECT count(*) FROM message WHERE receive_ns < send_ns") == 0
