"""Traces made by hand, with a known answer: rows of events at chosen milliseconds, in a database of the real schema."""

import re
import sqlite3

from tracing import BUILD, ROOT, event_kinds

MS = 1_000_000
WAIT = {"message": 1, "room": 2, "child": 3, "request": 4, "item": 5, "thread": 6}
OBJECTS = {int(number): name.lower() for number, name in re.findall(
    r"^X\((\d+), \w+, \w+, (\w+),", (ROOT / "ext/abi/events.def").read_text(), re.M)}  # of each kind of events, by its id


def categories():
    text = re.sub(r'"\s*\\\n\s*"', "", (ROOT / "tracer/store/category.h").read_text())
    return re.findall(r'X\((?!NAME|name)\w+, "([^"]*)", *\\?\s*"([^"]*)"\)', text)


class Trace:
    """Events are written in the order of their times; ticks are ns. Processes are 1, 2, ...; so are tasks."""

    def __init__(self, path):
        self.path, self.kinds, self.events, self.spans = path, event_kinds(), [], 0
        self.db = sqlite3.connect(path)
        self.db.executescript((BUILD / "gen/store/schema.sql").read_text())
        self.db.executemany("INSERT INTO event_kind(id, name, object) VALUES(?, ?, ?)",
                            [(i, n, OBJECTS[i]) for n, i in self.kinds.items()])
        self.db.executemany("INSERT INTO category(name, doc) VALUES(?, ?)", categories())
        self.db.execute("INSERT INTO clock_segment VALUES(0, 0, 0, 1.0)")

    def process(self, start, end, parent=None, task=None):
        number = self.db.execute("SELECT count(*) + 1 FROM process").fetchone()[0]
        if task:
            self.db.execute("INSERT INTO task(id, process, kind, creator) VALUES(?, ?, 'thread', ?)", (task, number, parent))
        self.db.execute("INSERT INTO process VALUES(?, ?, ?, ?, 0, ?, ?, ?)",
                        (number, 100 + number, parent, f"p{number}", start * MS, end * MS, task))

    def span(self, process, kind, start, end, object=None, a=0, b=0, lane=0):
        """`a` and `b` of the end; of the begin, too, for a wait."""
        self.spans += 1
        both = (a, b) if kind == "wait" else (0, 0)
        self.events.append((start * MS, 1, process, kind, object, *both, lane, self.spans))
        if end is not None:
            self.events.append((end * MS, 2, process, kind, object, a, b, lane, self.spans))

    def wait(self, process, why, start, end, for_=0):
        self.span(process, "wait", start, end, None, WAIT[why], for_)

    def instant(self, process, kind, at, object=None, a=0, b=0, lane=0):
        self.events.append((at * MS, 0, process, kind, object, a, b, lane, None))

    def sample(self, process, at, *frames, ms=5, lane=0):
        """A sample of that stack, which stands for so many ms. frames: "function:line" from the outermost; file is m.py."""
        stack = None
        for name, line in (frame.split(":") for frame in frames):
            frame = self.number("frame", "function = ? AND file = ? AND line = ?", name, "m.py", int(line))
            stack = self.number("stack", "parent IS ? AND frame = ?", stack, frame)
        self.instant(process, "sample", at, stack, ms * MS, at * MS, lane=lane)

    def number(self, table, where, *values):
        """The id of the row with these values, which is made if there is none."""
        row = self.db.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()
        if row:
            return row[0]
        return self.db.execute(f"INSERT INTO {table} VALUES(NULL, {', '.join('?' * len(values))})", values).lastrowid

    def rows(self, table, *rows):
        for row in rows:
            self.db.execute(f"INSERT INTO {table} VALUES({', '.join('?' * len(row))})", row)

    def close(self):
        """An end goes before a begin of the same moment; ends of spans inside each other from the inside out."""
        begins = {}
        self.events.sort(key=lambda e: (e[0], e[1] == 1, -e[8] if e[1] == 2 else 0))
        for row, (ns, phase, process, kind, object_, a, b, lane, span) in enumerate(self.events, 1):
            if phase == 1:
                begins[span] = row
            self.db.execute("INSERT INTO event VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                            (process, row, ns, self.kinds[kind], object_, a, b, phase, lane,
                             begins.get(span) if phase == 2 else None))
        self.db.commit()
        self.db.close()
        return self.path
