"""What hostile.py is made of: sessions with hostile logs beside healthy ones, and traces that somebody has changed. Each
follows from a random.Random."""
import contextlib
import os
import random
import re
import shutil
import sqlite3
import struct

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SESSION_MAGIC, LOG_MAGIC, SPILL_MAGIC = 0x314E535346414E53, 0x31474F4C46414E53, 0x314C4C4950534653
INSTANT, BEGIN, END = 0, 1, 2
MESSAGE, ROOM, CHILD_END, REQUEST, ITEM = 1, 2, 3, 4, 5
PID_MAX = 2 ** 31 - 1000  # pids from here on are of no process
HEALTHY, HEALTHY_CHILD = PID_MAX + 1, PID_MAX + 2
EXTREMES = (0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 53 + 1, 2 ** 62, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1)


def read_kinds():
    """Name -> (id, whether it is a span)."""
    with open(os.path.join(TOP, "ext", "abi", "events.def")) as file:
        return {name.lower(): (int(number), phase == "SPAN")
                for number, name, phase in re.findall(r"^X\((\d+), (\w+), (\w+),", file.read(), re.M)}


KINDS = read_kinds()


def write_file(path, data):
    """For this user only: others are refused."""
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)


class Log:
    """A log's file, record by record."""

    def __init__(self, pid, start, capacity, parent=1, family=None, task=0, age=0, name="hostile"):
        self.pid, self.start, self.capacity, self.parent, self.task, self.age = pid, start, capacity, parent, task, age
        self.family, self.name, self.records = pid if family is None else family, name, []
        self.counts = {}  # what the header says instead of the truth

    def add(self, tsc, kind, phase, object_=0, a=0, b=0, lane=0):
        number = KINDS[kind][0] if isinstance(kind, str) else kind
        self.records.append((tsc % 2 ** 64, number, phase | lane << 2, object_ % 2 ** 32, a % 2 ** 64, b % 2 ** 64))

    def span(self, tsc, end, kind, object_=0, a=0, b=0):
        self.add(tsc, kind, BEGIN, object_)
        self.add(end, kind, END, object_, a, b)

    def full(self):
        return len(self.records) >= self.capacity

    @property
    def file(self):
        return f"log.{self.pid}.{self.start}"

    def write(self, folder, spoil=None):
        """`spoil` may change the bytes before they are written."""
        del self.records[self.capacity:]
        head = len(self.records)
        count = {"head": head, "begun": head, "lost": 0, "tail": 0, **self.counts}
        page = struct.pack("<QIIIIIIQQ16x", LOG_MAGIC, 1, self.capacity, self.pid, self.parent, self.family, self.task,
                           self.start, self.age)
        page += struct.pack("<QQQ40xQ56x", *(count[key] % 2 ** 64 for key in ("head", "begun", "lost", "tail")))
        page += os.fsencode(self.name)[:47].ljust(48, b"\0")
        data = bytearray(page.ljust(4096, b"\0"))
        data += b"".join(struct.pack("<QHHIQQ", *record) for record in self.records)
        data += bytes(4096 + 32 * self.capacity - len(data))
        if spoil:
            spoil(data)
        write_file(os.path.join(folder, self.file), data)


# ---- the healthy program ----


def healthy_logs(start, ticks, capacity):
    """A parent that forks a Thread, sends it messages, and sees it exit with status 3. `ticks` long."""
    def at(share):
        return start + int(ticks * share)
    parent = Log(HEALTHY, at(0.01), capacity, name="healthy")
    child = Log(HEALTHY_CHILD, at(0.1), capacity, HEALTHY, HEALTHY, 1, name="healthy child")
    text = int.from_bytes(b"working\0", "little")
    parent.add(at(0.02), "text", INSTANT, 1, text)
    parent.add(at(0.03), "task", INSTANT, 1, 1, 1)
    parent.add(at(0.04), "channel", INSTANT, 1, 65536)
    parent.span(at(0.05), at(0.11), "fork", 1, HEALTHY_CHILD)
    child.add(at(0.12), "start", INSTANT, 1, HEALTHY)
    child.add(at(0.13), "run", BEGIN, 1)
    for n in range(1, 41):
        parent.span(at(0.2 + n * 0.01), at(0.202 + n * 0.01), "send", 1, n, 100 + n)
        parent.add(at(0.203 + n * 0.01), "mark", INSTANT, 1)
        child.add(at(0.199 + n * 0.01), "receive", BEGIN, 1)
        child.add(at(0.1995 + n * 0.01), "wait", BEGIN, 0, MESSAGE, 1)
        child.add(at(0.2055 + n * 0.01), "wait", END, 0, MESSAGE, 1)
        child.add(at(0.206 + n * 0.01), "receive", END, 1, n, 100 + n)
    child.add(at(0.8), "run", END, 1, 3)
    child.add(at(0.81), "exit", INSTANT, 1, 3)
    parent.add(at(0.7), "join", BEGIN, 1)
    parent.add(at(0.71), "wait", BEGIN, 0, CHILD_END, 1)
    parent.add(at(0.82), "wait", END, 0, CHILD_END, 1)
    parent.add(at(0.83), "reap", INSTANT, 1, HEALTHY_CHILD, 3)
    parent.add(at(0.84), "join", END, 1, 3)
    return [parent, child]


# ---- hostile logs: each fills one with records that tell one kind of lie ----

STORIES = []


def story(function):
    STORIES.append(function)
    return function


class Scene:
    """What a story is told with: chance, and times within the session."""

    def __init__(self, chance, start, ticks):
        self.chance, self.start, self.ticks = chance, start, ticks

    def times(self, log):
        """Increasing times, as many as there is room for in the log."""
        step = max(1, self.ticks // (log.capacity + 1))
        return (self.start + step * (n + 1) for n in range(log.capacity - len(log.records)))

    def number(self):
        return self.chance.choice((*EXTREMES, self.chance.getrandbits(64), self.chance.randrange(100)))


@story
def noise(scene, log):
    chance = scene.chance
    for tsc in scene.times(log):
        number, span = chance.choice(list(KINDS.values()))
        log.add(tsc if chance.random() < 0.9 else scene.number(), number if chance.random() < 0.99 else chance.getrandbits(16),
                chance.choice((BEGIN, END)) if span else INSTANT, chance.choice((0, 1, 2, 3, scene.number())),
                scene.number(), scene.number(), chance.choice((0, 0, 0, 1, 2 ** 14 - 1)))


@story
def one_message_sent_and_received_all_the_time(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "send" if n % 2 else "receive", END, 1, 1, 2 ** 63 - 1)


@story
def spans_without_end(scene, log):
    kind = scene.chance.choice(("span", "join", "run", "map", "merge"))
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, kind, BEGIN, n)


@story
def ends_that_have_no_begin(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "span", BEGIN if n < log.capacity // 2 else END, n if n < log.capacity // 2 else 2 ** 31 + n)


@story
def ends_in_the_order_of_their_begins(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "span", BEGIN if n < log.capacity // 2 else END, n % (log.capacity // 2))


@story
def deaths_of_others(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "reap", INSTANT, 1, scene.chance.choice((HEALTHY, HEALTHY_CHILD, PID_MAX + n % 50, 1)), scene.number())


@story
def texts_that_go_on(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "text", INSTANT, n if scene.chance.random() < 0.5 else 1, 0x1B9B1B9B1B9B1B9B, 0xAE80E241AE80E241)


@story
def tasks_and_channels_without_number(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "task" if n % 2 else "channel", INSTANT, n // 2, scene.number(), n % 7)


@story
def everybody_forks_everybody(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, scene.chance.choice(("fork", "join", "start", "merge", "result")), scene.chance.choice((BEGIN, END)), n % 5,
                PID_MAX + n % 20)
    log.records = [(t, k, INSTANT if not dict(KINDS.values())[k] else f, *more) for t, k, f, *more in log.records]


@story
def waits_for_everybody(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "wait", BEGIN + n % 2, 0, scene.chance.randrange(8), scene.chance.choice((0, 1, 2, 3)))


@story
def all_lanes(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "mark", INSTANT, 1, 0, 0, n % 2 ** 14)


@story
def losses(scene, log):
    for n, tsc in enumerate(scene.times(log)):
        log.add(tsc, "lost" if n % 3 else "mark", INSTANT, 0, scene.number(), scene.number())


@story
def times_in_any_order(scene, log):
    for _ in scene.times(log):
        log.add(scene.start + scene.chance.randrange(scene.ticks), scene.chance.choice(("pickled", "copied", "mark")), INSTANT, 0,
                scene.number(), scene.number())


@story
def all_at_one_time(scene, log):
    for n, _ in enumerate(scene.times(log)):
        log.add(scene.start, "span", BEGIN + n % 2, 1)


def spoil(chance):
    """A change of a log's bytes: of its header, or anywhere."""
    def change(data):
        for _ in range(chance.choice((1, 1, 3, 20))):
            at = chance.randrange(240 if chance.random() < 0.7 else len(data))
            data[at] = chance.getrandbits(8)
        if chance.random() < 0.1:
            del data[chance.randrange(len(data)):]
    return change


def hostile_log(scene, number, capacity):
    chance = scene.chance
    log = Log(PID_MAX + 3 + chance.randrange(number + 5), scene.start + chance.randrange(scene.ticks), capacity,
              chance.choice((1, HEALTHY, HEALTHY_CHILD, PID_MAX + 3 + chance.randrange(20))), None, chance.randrange(4),
              chance.choice((0, 10 ** 9, 10 ** 18)),
              chance.choice(("hostile", "\x1b[31mred", "\udcff\udc9b31m", "\u202evil", "%s%n")))
    if chance.random() < 0.05:
        log.start = chance.choice(EXTREMES)
    if chance.random() < 0.3:
        log.counts = {chance.choice(("head", "begun", "lost", "tail")): scene.number()}
    chance.choice(STORIES)(scene, log)
    return log


def write_spill(chance, folder, log):
    """Some of the log's records as those that a collector had set aside, with a header that may be any."""
    end = chance.choice((0, 1, len(log.records) // 2, *EXTREMES))
    header = struct.pack("<QQQQ", SPILL_MAGIC, chance.choice((0, end)), chance.choice((0, end)), end)
    records = log.records[:chance.randrange(len(log.records) + 1)]
    write_file(os.path.join(folder, "spill" + log.file[3:]),
               header + b"".join(struct.pack("<QHHIQQ", *record) for record in records))


def write_session(folder, capacity, start, spoiler=lambda page: None):
    """Makes the directory, as a collector that has died has left it, and its page."""
    os.mkdir(folder, 0o700)
    page = bytearray(struct.pack("<QIIIIIIQ24x", SESSION_MAGIC, 1, capacity, 1, 0, PID_MAX, 0, start).ljust(4096, b"\0"))
    spoiler(page)
    write_file(os.path.join(folder, "session"), page)


def make_session(chance, folder, now_tsc, hz):
    """Writes a session's directory: (the healthy logs, whether its page is sound)."""
    def flip(page):
        page[chance.randrange(40)] ^= 1 << chance.randrange(8)
    capacity, ticks = chance.choice((256, 256, 1024, 1024, 4096, 16384)), int(hz * 0.2)
    start = now_tsc - 2 * ticks
    sound = chance.random() < 0.95
    write_session(folder, capacity, start, *([] if sound else [flip]))
    healthy = healthy_logs(start, ticks, capacity)
    for log in healthy:
        log.write(folder)
    scene = Scene(chance, start, ticks)
    most = max(1, (1 << 15) // capacity)
    for number in range(chance.choice((1, 2, 4, most))):
        log = hostile_log(scene, number, capacity)
        log.write(folder, spoil(chance) if chance.random() < 0.2 else None)
        if chance.random() < 0.1:
            write_spill(chance, folder, log)
    for log in chance.choices(healthy, k=chance.randrange(2)):  # with a name that only looks like it
        shutil.copy(os.path.join(folder, log.file), os.path.join(folder, f"log.{log.pid}"))
    return healthy, sound


def litter(chance, folder, now_tsc, hz):
    """Puts logs, and what is none, into the session of a program that runs."""
    scene = Scene(chance, now_tsc, int(hz * 0.05))
    with open(os.path.join(folder, "session"), "rb") as file:
        capacity, = struct.unpack_from("<I", file.read(16), 12)
    for number in range(chance.choice((1, 5, 40))):
        log = hostile_log(scene, number, capacity)
        log.parent = chance.choice((log.parent, os.getppid(), os.getpid()))
        log.task = chance.randrange(6)
        log.write(folder, spoil(chance) if chance.random() < 0.3 else None)
        path = os.path.join(folder, log.file)
        with contextlib.suppress(FileNotFoundError):  # the collector may have removed it
            if chance.random() < 0.2:
                os.truncate(path, chance.randrange(40000))
        if chance.random() < 0.1:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            chance.choice((os.mkfifo, lambda name: os.symlink("/dev/zero", name), lambda name: os.symlink(name, name),
                           lambda name: os.link(os.path.join(folder, "session"), name)))(path)
        if chance.random() < 0.1:
            write_spill(chance, folder, log)


# ---- hostile traces ----

VALUES = (*(n if n < 2 ** 63 else n - 2 ** 64 for n in EXTREMES), -1, -2 ** 63, None, 0.5, 1e308, float("inf"), "x",
          "\x1b[31mred", "\u202egp.exe", "\x9b31m", "a\0b", b"\xff\x9b\x00", "%s%n%d", "x" * 100000, "\"\\\n")
SCHEMAS = (
    "DROP VIEW message; CREATE VIEW message AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    "SELECT x AS channel, x AS seq, x AS sender, x AS receiver, x AS bytes, x AS send_ns, x AS receive_ns, x AS latency_ns, "
    "x AS queueing_ns, x AS late_sender_ns FROM n",
    "DROP VIEW event_time; CREATE VIEW event_time AS SELECT 1 AS id, 1 AS process, 1 AS seq, 1 AS kind, 1 AS object, 1 AS a, "
    "1 AS b, 1 AS phase, 1 AS lane, 1 AS begin, 1 AS ns",
    "ALTER TABLE event RENAME COLUMN tsc TO cst", "DROP TABLE stats", "PRAGMA user_version = 3", "PRAGMA user_version = 999",
    "PRAGMA application_id = 7", "CREATE TRIGGER t AFTER DELETE ON ledger BEGIN DELETE FROM event; END",
    "DROP TABLE event", "CREATE INDEX i ON event(tsc, seq)", "PRAGMA journal_mode = WAL", "VACUUM",
    "PRAGMA encoding = 'UTF-16'", "CREATE VIEW critical AS SELECT load_extension('x')")


def change_values(chance, path):
    """Values in a trace with our schema: what anybody can write who has SQLite."""
    with_many = chance.random() < 0.2
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")
    tables = [name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
    for _ in range(chance.choice((1, 3, 30))):
        table = chance.choice(tables)
        column = chance.choice([row[1] for row in db.execute(f"PRAGMA table_info({table})")])
        value = chance.choice(VALUES)
        some = chance.choice(("1", "random() % 3 = 0", f"{column} = (SELECT max({column}) FROM {table})"))
        try:
            db.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {some}", (value,))
        except (sqlite3.Error, UnicodeEncodeError):
            pass
    if with_many:
        table = chance.choice(("event", "open_span", "process", "sched_slice", "critical_path", "clock_segment", "text", "task"))
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        count = "SELECT n FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) SELECT n FROM c)"
        values = [chance.choice(("n + 1000", "1", "n % 3", "NULL", name)) for name in names]
        values[0] = "n + 1000" if table != "event" else values[0]
        try:
            db.execute(f"INSERT OR IGNORE INTO {table} SELECT {', '.join(values)} FROM ({count}) "
                       f"LEFT JOIN (SELECT * FROM {table} LIMIT 1)")
        except sqlite3.Error:
            pass
    db.commit()
    db.close()


def change_schema(chance, path):
    db = sqlite3.connect(path)
    for statement in chance.choice(SCHEMAS).split("; CREATE VIEW"):
        db.execute(statement if statement.startswith(("DROP", "PRAGMA", "ALTER", "CREATE", "VACUUM"))
                   else "CREATE VIEW" + statement)
    db.commit()
    db.close()


def change_bytes(chance, path):
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        for _ in range(chance.choice((1, 10, 100))):
            data[chance.randrange(len(data)) if chance.random() < 0.5 else chance.randrange(4096)] = chance.getrandbits(8)
        if chance.random() < 0.2:
            pages = len(data) // 4096
            one, other = chance.randrange(pages) * 4096, chance.randrange(pages) * 4096
            data[one:one + 4096] = data[other:other + 4096]
        file.seek(0)
        file.write(data[:chance.choice((len(data), len(data), chance.randrange(len(data))))])
        file.truncate()


def change_neighbours(chance, path):
    """What lies beside a database belongs to it."""
    with open(path + chance.choice(("-journal", "-wal")), "wb") as file:
        file.write(bytes.fromhex("d9d505f920a163d7") + chance.randbytes(chance.choice((0, 600, 9000))))
    if chance.random() < 0.5:
        change_bytes(chance, path)


def make_trace(chance, path):
    """Changes a good trace. Returns what was changed, in a word."""
    change = chance.choice((change_values, change_values, change_values, change_schema, change_bytes, change_bytes,
                            change_neighbours))
    change(chance, path)
    return change.__name__


def draw(seed):
    return random.Random(f"hostile {seed}")
