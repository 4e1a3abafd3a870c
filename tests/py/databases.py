"""Trace databases for the tests: a program that counts its messages, and queries to its trace."""
import sqlite3

from conftest import BUILD

TRACER = BUILD / "bin" / "snakefish-trace"

# Several processes send and receive. It prints how many messages were sent and how many received.
BUSY = """
import os, sys, time, snakefish
from snakefish import Channel, Generator, Thread, trace
there, back = Channel(1 << 15), Channel(1 << 15)
def send(n):
    for i in range(n):
        there.send_pyobj((i, "x" * (i % 50)), True)
    return n
def receive(n):
    for _ in range(n):
        there.receive_pyobj()
    back.send_pyobj(n)
    return n
def work():
    senders = [Thread(send, args=(300,)) for _ in range(3)]
    takers = [Thread(receive, args=(450,)) for _ in range(2)]
    for t in senders + takers:
        t.start()
    for t in senders + takers:
        t.join()
    sends = sum(t.get_result() for t in senders) + len(takers)
    receives = sum(t.get_result() for t in takers)
    for _ in takers:
        back.receive_pyobj()
        receives += 1
    try:
        back.receive_pyobj(False)
    except IndexError:
        pass
    print(sends, receives, flush=True)
"""


class Database:
    def __init__(self, path):
        self.connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def rows(self, query, *values):
        return self.connection.execute(query, values).fetchall()

    def one(self, query, *values):
        return self.rows(query, *values)[0][0]

    def state(self):
        return self.one("SELECT value FROM meta WHERE key = 'state'")

    def losses(self):
        return self.rows("SELECT name, severity, value FROM stats WHERE severity <> 'info'")

    def spans(self, kind):
        return self.one("SELECT count(*) FROM span WHERE kind = ?", kind)


def check_counts(path, out):
    sends, receives = map(int, out.split()[:2])
    with Database(path) as db:
        assert db.state() == "complete" and db.losses() == []
        assert db.one("SELECT count(*) FROM message") == sends
        assert db.one("SELECT count(*) FROM message WHERE receiver IS NOT NULL") == receives
        assert db.one("SELECT count(*) FROM message WHERE receive_ns < send_ns") == 0
        assert db.one("SELECT count(*) FROM (SELECT channel, seq FROM message GROUP BY 1, 2 HAVING count(*) > 1)") == 0
