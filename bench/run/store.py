"""The bench database: makes it, and writes each sample as soon as it is done (bench/run/schema.sql says what is in it)."""
import fcntl
import os
import sqlite3
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from bench.run import machine

DEFAULT_DB = "build/bench.db"
SCHEMA = Path(__file__).with_name("schema.sql")
APPLICATION_ID = 0x534E4B42  # as in schema.sql
VERSION = 5
OLDEST_READABLE = 2
# the other tables follow from these
MEASURED = ("session", "machine", "workload", "runtime", "cell", "sample", "memory", "instruction_count", "warning")
HEADER_BYTES = 100  # of an SQLite file; user_version is at byte 60, application_id at 68, big-endian


class StoreError(Exception):
    """A path that cannot be used, or a full disk. The text is for the user."""


def header(path):
    """(application_id, user_version) of an SQLite file, without opening it as a database.

    None where there is no file yet or an empty one, (0, 0) for any other file. Raises StoreError."""
    try:
        with open(path, "rb") as file:
            found = file.read(HEADER_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if not found:
        return None
    if not found.startswith(b"SQLite format 3\0"):
        return 0, 0
    return int.from_bytes(found[68:72], "big"), int.from_bytes(found[60:64], "big")


def version_of(path):
    """The schema version of the bench database at path, None without a file; StoreError where it is another's file."""
    found = header(path)
    if found and found[0] != APPLICATION_ID:
        raise StoreError(f"{path} is not a bench database: choose another path, or move that file away")
    return found and found[1]


def exists(path):
    """Whether there is a bench database at path that a run can write to; StoreError where there is something else."""
    version = version_of(path)
    if version not in (None, VERSION):
        raise StoreError(f"{path} is a bench database of version {version}, and this bench writes version {VERSION}: "
                         "choose another path, or move that file away")
    return version is not None


def open_for_reading(path):
    """A connection to the database; one of an older version is converted in memory, and its file stays as it is."""
    version = version_of(path)
    if version is None:
        raise StoreError(f"{path}: there is no bench database; `python3 -m bench run` makes one")
    if not OLDEST_READABLE <= version <= VERSION:
        raise StoreError(f"{path} is a bench database of version {version}, and this bench reads versions "
                         f"{OLDEST_READABLE} to {VERSION}: use the bench that wrote it")
    try:
        # Not mode=ro, because a runner that was killed during a write leaves a journal that must be rolled back.
        uri = Path(path).absolute().as_uri() + "?mode=rw"
        database = sqlite3.connect(uri, uri=True) if version == VERSION else _converted(uri)
        database.row_factory = sqlite3.Row
        database.execute("SELECT max(id) FROM session")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    return database


def _converted(uri):
    """A database in memory with the schema of this version and what an older one has measured."""
    database = sqlite3.connect(":memory:", uri=True)
    database.executescript(SCHEMA.read_text())
    database.execute("ATTACH ? AS old", (uri,))
    for table in MEASURED:
        columns = ", ".join(name for (name,) in database.execute("SELECT name FROM pragma_table_info(?, 'old')", (table,)))
        if not columns:  # it had no such table
            continue
        database.execute(f"INSERT INTO main.{table}({columns}) SELECT {columns} FROM old.{table}")
    database.commit()
    database.execute("DETACH old")
    return database


def now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Store:
    """One session being written. A context manager; every method commits."""

    def __init__(self, path, fresh=False):
        """An existing bench database gets another session, unless fresh: then it is replaced."""
        self.path = os.fspath(path)
        self.session = None
        there = exists(path)
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            self._lock()
            if there and fresh:
                os.unlink(path)
                self.lock.close()
                self._lock()
                # SQLite would roll back the journal of a killed run into the new file.
                Path(f"{path}-journal").unlink(missing_ok=True)
            self.database = sqlite3.connect(path, isolation_level=None)
            self.database.execute("PRAGMA foreign_keys = ON")
            if not self.database.execute("SELECT 1 FROM sqlite_master").fetchone():
                # In one transaction, so that a runner killed here leaves an empty file, not half a schema.
                self.database.executescript("BEGIN;\n" + SCHEMA.read_text() + "COMMIT;")
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.database.close()
        self.lock.close()

    def _lock(self):
        """Allows one writer at a time. The kernel unlocks the file however the writer ends."""
        self.lock = open(self.path, "ab")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{self.path}: another `bench run` is writing to it: wait for its end, or choose another "
                             "path") from error

    @contextmanager
    def transaction(self):
        """What is added within it is stored as a whole, or not at all."""
        self._execute("BEGIN", ())
        try:
            yield
            self._execute("COMMIT", ())
        finally:
            if self.database.in_transaction:
                self._execute("ROLLBACK", ())

    def start_session(self, *, command, seed, blocks, samples, limit_s=60.0, memory=0, trace=None, margin=0.03):
        self.session = self._insert("session", started=now(), status="running", command=command, seed=seed, blocks=blocks,
                                    samples=samples, limit_s=limit_s, memory=memory, trace=trace, margin=margin)

    def continue_session(self, even_complete=False):
        """Continues the last session of samples; StoreError where that one is complete."""
        row = self.rows("SELECT * FROM session WHERE id = (SELECT max(id) FROM session WHERE samples > 0)")
        if not row:
            raise StoreError(f"{self.path}: there is no session to resume")
        if row[0]["status"] == "complete" and not even_complete:
            raise StoreError(f"{self.path}: its last session is complete, there is nothing to resume; it gets more blocks with "
                             "--blocks +N")
        self.session = row[0]["id"]
        return row[0]

    def change_blocks(self, cells, blocks, samples):
        """Stores that the session has more blocks than were planned, or fewer. What was warned of is found anew at its end."""
        with self.transaction():
            self._execute("UPDATE session SET blocks = ?, samples = ? WHERE id = ?", (blocks, samples, self.session))
            for c in cells:
                self._execute("UPDATE cell SET blocks = ? WHERE session = ? AND workload = ? AND size = ? AND runtime = ? "
                              "AND workers = ?", (c.blocks, self.session, c.workload, c.size, c.runtime, c.workers))
            self._execute("DELETE FROM warning WHERE session = ?", (self.session,))

    def mark_running(self):
        """Stores that the session runs again."""
        self._execute("UPDATE session SET finished = NULL, status = 'running' WHERE id = ?", (self.session,))

    def finish_session(self, status):
        self._execute("UPDATE session SET finished = ?, status = ? WHERE id = ?", (now(), status, self.session))

    def set_right_output(self, workload, size, source, sha256):
        self._execute("UPDATE workload SET output_source = ?, output_sha256 = ? "
                      "WHERE session = ? AND name = ? AND size = ?", (source, sha256, self.session, workload, size))

    def rows(self, query, *values):
        cursor = self._execute(query, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor]

    def of_session(self, table):
        return self.rows(f"SELECT * FROM {table} WHERE session = ?", self.session)

    def add_machine(self, facts):
        for key, value in facts.items():
            self._insert("machine", session=self.session, key=key, value=machine.shown(value))

    def add(self, table, **columns):
        """Adds a row of this session to one of the tables."""
        self._insert(table, session=self.session, **columns)

    def _insert(self, table, **columns):
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        return self._execute(f"INSERT INTO {table}({names}) VALUES({marks})", tuple(columns.values())).lastrowid

    def _execute(self, statement, values):
        try:
            return self.database.execute(statement, values)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error):
        reason = getattr(error, "strerror", None) or str(error)
        return StoreError(f"{self.path}: {reason}")
