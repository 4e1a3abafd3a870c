"""A traced program may close every descriptor, as daemons do: it is traced on, and what it opens then is its own."""
import sqlite3
import time

PROGRAM = """
import os, socket, sys
import snakefish

path, directory = sys.argv[1:]
snakefish.trace.start(path)
os.closerange(3, 1024)
mine = [os.open(directory, os.O_RDONLY) for _ in range(8)]
pairs = [socket.socketpair() for _ in range(8)]
for _ in range(3):
    if os.fork() == 0:
        for _ in range(20_000):
            snakefish.trace.mark("child")
        os._exit(0)
    os.wait()
for _ in range(20_000):
    snakefish.trace.mark("parent")
try:
    snakefish.trace.stop()
except RuntimeError as error:
    print(error)
assert os.listdir(directory) == []
for a, b in pairs:
    a.sendall(b"x")
    assert b.recv(2) == b"x"
for fd in mine:
    os.fstat(fd)
"""


def marks(path):
    query = "SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'mark'"
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return db.execute(query).fetchone()[0]
        finally:
            db.close()
    except sqlite3.Error as error:  # the collector is writing
        return str(error)


def test_a_program_that_has_closed_all_descriptors_is_traced_on_and_keeps_its_own(check_program, tmp_path):
    path, directory = tmp_path / "run.db", tmp_path / "mine"
    directory.mkdir()
    out = check_program(PROGRAM, str(path), str(directory))
    assert "has closed the pipe from the collector" in out and str(path) in out

    deadline = time.monotonic() + 30
    while marks(path) != 80_000:  # the collector finishes by itself
        assert time.monotonic() < deadline, marks(path)
        time.sleep(0.05)
