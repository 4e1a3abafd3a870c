"""trace.instrument: the messages of pipes and queues in the trace database."""
import pytest
from databases import Database
from instrumented import (  # noqa: F401
    INTERRUPT_AT, QUIET, channels, check, needs_collector, received, traced, unnumbered,
)
from matrix import first

pytestmark = needs_collector


ECHO = """
import multiprocessing
def echo(connection, times):
    for _ in range(times):
        connection.send_bytes(connection.recv_bytes())
ours, theirs = multiprocessing.Pipe()
process = multiprocessing.Process(target=echo, args=(theirs, 50), name="echo")
process.start()
for i in range(50):
    ours.send_bytes(b"x" * (i * 1000))
    assert ours.recv_bytes() == b"x" * (i * 1000)
process.join()
"""


def test_every_message_of_a_pipe_has_its_sender_receiver_and_bytes(traced):
    _, db = traced(ECHO)
    check(db)
    total = sum(i * 1000 for i in range(50))
    assert received(db) == [(1, 50, 50, total), (2, 50, 50, total)]
    main, child = (db.one("SELECT id FROM process WHERE name = ?", name) for name in ("program.py", "echo"))
    for channel, ends in zip(channels(db), ((main, child), (child, main))):
        assert db.rows("SELECT DISTINCT sender, receiver FROM message WHERE channel = ?", channel) == [ends]
        assert db.rows("SELECT seq, bytes FROM message WHERE channel = ? ORDER BY seq", channel
                       ) == [(i + 1, i * 1000) for i in range(50)]
    assert db.one("SELECT count(*) FROM channel WHERE capacity_bytes > 0") == 2 and unnumbered(db) == 0


def test_sends_and_receives_have_spans_and_waits_inside(traced):
    _, db = traced(ECHO)
    assert [db.spans(kind) for kind in ("send", "write", "receive")] == [100, 100, 100]
    assert 0 < db.spans("wait") <= 101
    assert db.one("SELECT count(*) FROM span WHERE closed = 0") == 0
    assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'wait' AND e.phase = 2 "
                  "AND e.b IS NULL") == 0


@pytest.mark.parametrize("duplex", [False, True])
def test_a_wait_ends_when_the_first_bytes_have_come(traced, duplex):
    """They come after 0.2 s, and the rest of the message 0.3 s later."""
    _, db = traced(f"""
import multiprocessing, os, struct, time
reader, writer = multiprocessing.Pipe({duplex})
def write():
    time.sleep(0.2)
    os.write(writer.fileno(), struct.pack("!i", 10000))
    time.sleep(0.3)
    os.write(writer.fileno(), bytes(10000))
p = multiprocessing.get_context("fork").Process(target=write)
p.start()
reader.recv_bytes()
p.join()
""")
    check(db)
    times = "SELECT duration_ns / 1e9 FROM span WHERE kind = ? AND process = 1 ORDER BY start_ns LIMIT 1"
    waited, received_for = db.one(times, "wait"), db.one(times, "receive")
    assert 0.1 < waited < received_for - 0.2
    assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'copied'") == 1


def test_a_slow_reader_and_a_slow_writer_are_found_by_the_ledger(traced):
    """The others sleep first, so the program's own process waits for each of them."""
    _, db = traced("""
import multiprocessing, time
def slow_reader(reader):
    time.sleep(0.3)
    for _ in range(100):
        reader.recv_bytes()
def slow_writer(writer):
    time.sleep(0.3)
    writer.send_bytes(b"x")
reader, writer = multiprocessing.Pipe(False)
p = multiprocessing.Process(target=slow_reader, args=(reader,))
p.start()
for _ in range(100):
    writer.send_bytes(b"x" * 4000)
p.join()
p = multiprocessing.Process(target=slow_writer, args=(writer,))
p.start()
reader.recv_bytes()
p.join()
""")
    check(db)
    main = db.one("SELECT id FROM process WHERE parent IS NULL")
    waited = dict(db.rows("SELECT category, ns FROM ledger WHERE process = ? AND category LIKE 'late%'", main))
    assert min(waited["late receiver"], waited["late sender"], waited["late child"]) > 0


def test_what_is_pickled_is_counted_in_the_bytes_that_are_sent(traced):
    out, db = traced("""
import multiprocessing
from multiprocessing.reduction import ForkingPickler
objects = [1, "two", [3] * 1000, {"four": b"5" * 20000}]
ours, theirs = multiprocessing.Pipe(False)
for o in objects:
    theirs.send(o)
    assert ours.recv() == o
into = bytearray(10)
theirs.send_bytes(b"0123456789", 2, 5)
print(ours.recv_bytes_into(into), *[len(ForkingPickler.dumps(o)) for o in objects])
""")
    check(db)
    sizes = list(map(int, out.split()))
    assert [size for size, in db.rows("SELECT bytes FROM message ORDER BY seq")] == sizes[1:] + sizes[:1]
    recorded = db.rows("SELECT k.name, e.a, count(*) FROM event e JOIN event_kind k ON k.id = e.kind "
                   "WHERE k.name IN ('pickled', 'copied') AND e.b < e.tsc GROUP BY 1, 2 ORDER BY 1, 2")
    # the program itself has pickled each once more
    assert recorded == [("copied", sizes[4], 1), *sorted(("pickled", size, 3) for size in sizes[1:])]


def test_many_writers_of_one_pipe_that_do_not_lock_are_paired(traced):
    """Each message contains its sender's pid: the trace has the same sender."""
    out, db = traced("""
import multiprocessing, os
ours, theirs = multiprocessing.Pipe(False)
def send():
    for _ in range(300):
        theirs.send(os.getpid())
processes = [multiprocessing.Process(target=send) for _ in range(4)]
for p in processes:
    p.start()
print(*[ours.recv() for _ in range(1200)])
for p in processes:
    p.join()
""")
    check(db)
    pids = [pid for pid, in db.rows("SELECT p.pid FROM message m JOIN process p ON p.id = m.sender ORDER BY m.seq")]
    assert pids == list(map(int, out.split())) and unnumbered(db) == 0


@pytest.mark.parametrize("made", ["Queue()", "SimpleQueue()", "JoinableQueue()", "Queue(3)"])
def test_messages_of_queues_with_many_users_are_paired(traced, made):
    """Each consumer reports what it received: the trace has the same sender and receiver for every message."""
    out, db = traced(f"""
import multiprocessing, os
queue, reports = multiprocessing.{made}, multiprocessing.SimpleQueue()
def produce():
    for i in range(100):
        queue.put(os.getpid())
def consume():
    got = [queue.get() for _ in range(150)]
    reports.put((os.getpid(), got))
processes = [multiprocessing.Process(target=f) for f in (consume, consume, produce, produce, produce)]
for p in processes:
    p.start()
pairs = []
for _ in range(2):
    receiver, senders = reports.get()
    pairs += [(sender, receiver) for sender in senders]
for p in processes:
    p.join()
print(sorted(pairs))
""")
    check(db)
    pairs = db.rows("SELECT s.pid, r.pid FROM message m JOIN process s ON s.id = m.sender JOIN process r ON r.id = m.receiver "
                    "WHERE m.channel = ?", channels(db)[0])
    assert sorted(pairs) == eval(out) and len(pairs) == 300 and unnumbered(db) == 0
    assert received(db)[1][:3] == (2, 2, 2)


def test_a_get_that_times_out_is_a_receive_without_a_message(traced):
    out, db = traced("""
import multiprocessing, queue
q = multiprocessing.Queue()
for arguments in ((False,), (True, 0.01)):
    try:
        q.get(*arguments)
    except queue.Empty:
        print("empty")
q.put(1)
print(q.get())
ours, theirs = multiprocessing.Pipe(False)
print(ours.poll(0.01))
theirs.close()
try:
    ours.recv()
except EOFError:
    print("end")
""")
    assert out.split() == ["empty", "empty", "1", "False", "end"]
    check(db)
    assert received(db)[0][:3] == (1, 1, 1) and len(received(db)) == 1
    assert db.rows("SELECT a FROM span WHERE kind = 'receive' ORDER BY start_ns") == [(0,), (0,), (1,), (0,)]


def test_a_connection_that_was_sent_through_another_keeps_its_channel(traced):
    _, db = traced("""
import multiprocessing
ours, theirs = multiprocessing.Pipe()
reader, writer = multiprocessing.Pipe(False)
def child():
    connection = theirs.recv()
    for i in range(10):
        connection.send(i)
p = multiprocessing.Process(target=child)
p.start()
ours.send(writer)
print(*[reader.recv() for _ in range(10)])
p.join()
""")
    check(db)
    assert (3, 10, 10) in [row[:3] for row in received(db)]


def test_messages_of_pipes_from_before_are_recorded_without_numbers(check_program, tmp_path):
    check_program("""
        import multiprocessing, sys
        from snakefish import trace
        ours, theirs = multiprocessing.Pipe(False)
        theirs.send("in flight")
        with trace.session(sys.argv[1]):
            trace.instrument("multiprocessing")
            theirs.send("sent")
            assert [ours.recv(), ours.recv()] == ["in flight", "sent"]
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        check(db)
        assert db.one("SELECT count(*) FROM message") == 0
        assert [db.spans(kind) for kind in ("send", "receive")] == [1, 2] and unnumbered(db) == 3
        assert db.one("SELECT sum(b) FROM span WHERE kind = 'receive'") > 0


def test_a_reader_killed_in_its_wait_does_no_harm(traced):
    _, db = traced("""
import multiprocessing, time
ours, theirs = multiprocessing.Pipe(False)
started = multiprocessing.SimpleQueue()
def read():
    started.put(1)
    ours.recv()
p = multiprocessing.Process(target=read)
p.start()
started.get()
time.sleep(0.1)
p.kill()
p.join()
theirs.send("for the next one")
print(ours.recv())
""")
    check(db)
    assert received(db)[0][:3] == (1, 1, 1)
    assert db.rows("SELECT p.exit_status FROM span s JOIN process p ON p.id = s.process WHERE s.kind = 'wait' AND NOT closed"
                   ) == [(-9,)]


@pytest.mark.parametrize("seed", first(1, range(3)))
def test_writers_killed_at_random_moments_never_make_a_wrong_pair(traced, seed):
    """Each message contains its sender's pid. Where the trace has a sender it is the same, and it has one for most."""
    out, db = traced("""
import multiprocessing, os, random, sys, time
chance = random.Random(int(sys.argv[1]))
for _ in range(8):
    ours, theirs = multiprocessing.Pipe(False)
    def send():
        for i in range(10 ** 9):
            theirs.send(os.getpid())
    writers = [multiprocessing.Process(target=send) for _ in range(3)]
    for p in writers:
        p.start()
    got = []
    for p in writers:
        end = time.monotonic() + chance.uniform(0, 0.01)
        while time.monotonic() < end:
            got.append(ours.recv())
        p.kill()
    while ours.poll(0.05):
        got.append(ours.recv())
    for p in writers:
        p.join()
    print(*got)
""", seed)
    assert [loss for loss in db.losses() if loss[0] != "torn"] == []
    main = db.one("SELECT id FROM process WHERE parent IS NULL")
    assert len(channels(db)) == 8
    paired = 0
    for channel, line in zip(channels(db), out.splitlines()):
        seqs = [seq for seq, in db.rows("SELECT a FROM event WHERE kind = 15 AND phase = 2 AND process = ? AND object = ? "
                                        "ORDER BY event.seq", main, channel)]
        senders = dict(db.rows("SELECT m.seq, p.pid FROM message m JOIN process p ON p.id = m.sender WHERE channel = ?", channel))
        pids = list(map(int, line.split()))
        assert len(seqs) == len(pids)
        assert all(senders[seq] == pid for seq, pid in zip(seqs, pids) if seq)
        paired += sum(map(bool, seqs))
    assert paired > 100
    assert db.one("SELECT count(*) FROM message WHERE receive_ns < send_ns") == 0


@pytest.mark.parametrize("kind", ["classmethod(lambda cls, obj, protocol=None: dumps(obj, protocol))",
                                  "staticmethod(dumps)", "dumps"])
def test_picklers_that_others_replaced_are_called_as_they_were(traced, kind):
    out, db = traced(f"""
import io, multiprocessing
from multiprocessing.reduction import ForkingPickler
from snakefish import trace
trace.uninstrument("multiprocessing")
def dumps(obj, protocol=None):
    print("dumps")
    file = io.BytesIO()
    ForkingPickler(file, protocol).dump(obj)
    return file.getbuffer()
ForkingPickler.dumps = {kind}
ForkingPickler.loads = staticmethod(ForkingPickler.loads)
trace.instrument("multiprocessing")
reader, writer = multiprocessing.Pipe(False)
writer.send([1])
print(reader.recv())
""")
    check(db)
    assert out == "dumps\n[1]\n" and received(db)[0][:3] == (1, 1, 1)


# ---- signal handlers ----


def test_a_signal_handler_that_sends_during_a_receive_nests(traced):
    out, db = traced("""
import multiprocessing, signal
ours, theirs = multiprocessing.Pipe(False)
signal.signal(signal.SIGALRM, lambda *_: theirs.send("from the handler"))
signal.setitimer(signal.ITIMER_REAL, 0.05)
print(ours.recv())
""")
    check(db)
    assert out == "from the handler\n" and received(db)[0][:3] == (1, 1, 1)


def test_an_exception_at_any_moment_of_a_send_leaves_the_pipe_to_others(check_program):
    assert check_program(QUIET + INTERRUPT_AT + """
import multiprocessing, sys, threading
from snakefish import trace
trace.instrument("multiprocessing")
for moment in range(1, 1000):
    reader, writer = multiprocessing.Pipe(False)
    try:
        sys.setprofile(at(moment))
        writer.send(1)
        sys.setprofile(None)
        break
    except Interrupt:
        sys.setprofile(None)
    other = threading.Thread(target=writer.send, args=(2,), daemon=True)
    other.start()
    other.join(10)
    if other.is_alive():
        print("hangs after moment", moment)
        break
print(moment > 10)
""") == "True\n"


INTERRUPTED = """
import multiprocessing, sys
{made}
class Interrupt(Exception):
    pass
def is_reading(frame):
    while frame is not None:
        if frame.f_code.co_name == "_recv_bytes" and frame.f_code.co_filename.endswith("connection.py"):
            return True
        frame = frame.f_back
    return False
def at(moment):
    def profile(frame, *_):
        nonlocal moment
        global reading
        if frame.f_code.co_filename.endswith("synchronize.py"):
            return  # an exception there would leave the queue's lock taken, also without trace.instrument
        if frame.f_code.co_filename.startswith("<frozen"):
            return  # the interpreter's own, which it may call at any time: PyPy for its locks of modules
        moment -= 1
        if moment == 0:
            reading = is_reading(frame)
            raise Interrupt
    return profile
for moment in range(1, 1000):
    reader, send, receive, is_ready = make()
    send(1)
    reading = False
    try:
        sys.setprofile(at(moment))
        receive()
        sys.setprofile(None)
        break
    except Interrupt:
        sys.setprofile(None)
    if not reading:  # else an unknown part of the message is left in the pipe
        while is_ready():
            receive()
        send(2)
        receive()
    print(reading)
"""
PIPE = """
def make():
    reader, writer = multiprocessing.Pipe(False)
    return reader, writer.send, reader.recv, reader.poll
"""
QUEUE = """
def make():
    queue = multiprocessing.SimpleQueue()
    return queue._reader, queue.put, queue.get, lambda: not queue.empty()
"""


@pytest.mark.parametrize("made", [PIPE, QUEUE], ids=["pipe", "queue"])
def test_an_exception_at_any_moment_of_a_receive_costs_that_message_only(traced, made):
    """If it comes before or after the message is read, later messages are still numbered; no span stays open."""
    out, db = traced(INTERRUPTED.format(made=made))
    check(db)
    assert db.one("SELECT count(*) FROM span WHERE NOT closed") == 0
    reading = [line == "True" for line in out.splitlines()]
    assert reading.count(False) > 4
    for channel, broken in zip(channels(db), reading):
        last = db.rows("SELECT a FROM event WHERE kind = 15 AND phase = 2 AND object = ? ORDER BY seq DESC LIMIT 1", channel)
        assert broken or last[0][0] > 0, f"moment {channel}"
