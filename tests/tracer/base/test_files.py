"""Which files snakefish-trace replaces, refuses and leaves alone."""

import os
import sqlite3

import pytest

from tracing import PROGRAM, query, record, trace


def refused(path, *words):
    done = record(path, PROGRAM, "exit", "0")
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_older_trace_is_replaced(db):
    record(db, PROGRAM, "run", "5")
    assert record(db, PROGRAM, "exit", "0").returncode == 0
    assert query(db, "SELECT count(*) FROM process") == [(1,)]
    assert os.listdir(db.parent) == ["run.db"]


def test_any_other_file_is_refused_and_untouched(tmp_path):
    for name, content in ("text", b"hello\n"), ("empty", b""), ("short", b"SQLite format 3\0"), ("zeros", bytes(8192)):
        path = tmp_path / name
        path.write_bytes(content)
        refused(path, name)
        assert path.read_bytes() == content


def test_another_sqlite_database_is_refused_and_untouched(tmp_path):
    path = tmp_path / "mine.db"
    mine = sqlite3.connect(path)
    mine.execute("CREATE TABLE t(x)")
    mine.commit()
    mine.close()
    before = path.read_bytes()
    refused(path, "not a trace")
    assert path.read_bytes() == before
    assert trace("info", path).returncode == 1


def test_places_where_no_file_can_be(tmp_path):
    refused(tmp_path, "is a directory")
    refused(tmp_path / "no" / "run.db", "No such file")
    refused("/dev/null", "not a regular file")
    refused("", "empty")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    refused(tmp_path / "link", "symbolic link")


def test_a_journal_left_by_a_dead_collector_does_no_harm(db):
    record(db, PROGRAM, "exit", "0")
    journal = db.with_name("run.db-journal")
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(1000))
    assert record(db, PROGRAM, "exit", "0").returncode == 0
    assert not journal.exists() or journal.stat().st_size == 0
    assert query(db, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("command", [["info"], ["export", "-o", "/dev/null"]])
def test_readers_refuse_what_is_no_trace(tmp_path, command):
    newer = tmp_path / "newer.db"
    connection = sqlite3.connect(newer)
    connection.execute(f"PRAGMA application_id = {0x534e4b46}")
    connection.execute("PRAGMA user_version = 99")
    connection.execute("CREATE TABLE t(x)")
    connection.commit()
    connection.close()
    text = tmp_path / "text"
    text.write_text("hello")
    for path, word in ((newer, "version 99"), (text, "not a trace"), (tmp_path / "none", "no trace at"),
                       (tmp_path, "directory")):
        done = trace(*command, path)
        assert done.returncode == 1 and word in done.stderr and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1


def test_a_database_is_not_replaced_by_an_export(db):
    record(db, PROGRAM, "exit", "0")
    done = trace("export", db, "-o", db)
    assert done.returncode == 1 and "not replaced" in done.stderr
    assert query(db, "SELECT count(*) FROM process") == [(1,)]


def test_collect_refuses_what_is_no_session(db, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("/dev/shm")
    for path, word in (("/no/such", "No such file"), (link, "symbolic link"), (tmp_path, "group or others")):
        if path == tmp_path:
            tmp_path.chmod(0o755)
        done = trace("collect", path, "-o", db)
        assert done.returncode == 1 and word in done.stderr
        assert not db.exists()
    tmp_path.chmod(0o700)
    assert "no session file" in trace("collect", tmp_path, "-o", db).stderr
