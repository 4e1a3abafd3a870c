"""Which files snakefish-trace replaces, refuses and leaves alone."""

import fcntl
import os
import sqlite3
import subprocess

import pytest

from tracing import PROGRAM, TRACE, query, record, trace


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
    for name, content in ("text", b"hello\n"), ("short", b"SQLite format 3\0"), ("zeros", bytes(8192)):
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


def test_an_empty_file_is_taken_and_keeps_its_mode(tmp_path):
    path = tmp_path / "made by mktemp"
    path.touch(0o600)
    inode = path.stat().st_ino
    assert record(path, PROGRAM, "exit", "0").returncode == 0
    assert query(path, "SELECT count(*) FROM process") == [(1,)]
    assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (inode, 0o600)


def test_an_empty_file_is_no_trace_to_read(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    for command in ("info",), ("analyze",), ("export", "-o", tmp_path / "x.json"):
        done = trace(*command, path)
        assert done.returncode == 1 and "is empty" in done.stderr
    assert path.stat().st_size == 0


@pytest.mark.parametrize("name", ["file:mine.db", "file:mine.db?mode=memory", ":memory:", "-x", "a'b c.db", "%d.db"])
def test_every_name_is_the_name_of_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    mine = sqlite3.connect(tmp_path / "mine.db")
    mine.execute("CREATE TABLE t(x)")
    mine.close()
    before = (tmp_path / "mine.db").read_bytes()
    assert record(name, PROGRAM, "exit", "0").returncode == 0
    assert query(str(tmp_path / name), "SELECT count(*) FROM process") == [(1,)]
    assert trace("info", "--", name).returncode == 0
    assert sorted(os.listdir(tmp_path)) == sorted(["mine.db", name])
    assert (tmp_path / "mine.db").read_bytes() == before


def test_a_file_that_another_recorder_is_just_making_is_busy_and_not_foreign(db):
    db.write_bytes(b"the begin of a page")
    with open(db) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = record(db, PROGRAM, "exit", "0")
    assert done.returncode == 1 and "being written by another" in done.stderr, done
    assert "nor any SQLite database" in record(db, PROGRAM, "exit", "0").stderr
    assert db.read_bytes() == b"the begin of a page"


@pytest.mark.parametrize("older", [None, "empty", "trace"])
def test_of_many_recorders_of_one_file_one_wins_and_the_others_say_so(db, older):
    if older == "empty":
        db.touch()
    elif older == "trace":
        record(db, PROGRAM, "exit", "0")
    command = [TRACE, "record", "-q", "-o", db, "--", "sh", "-c", f"sleep 1; {PROGRAM} exit 0"]
    recorders = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    said = [(process.communicate(timeout=60)[1], process.returncode) for process in recorders]
    assert sorted(status for _, status in said) == [0] + [1] * 7
    assert all("being written by another" in message for message, status in said if status), said
    assert query(db, "SELECT count(*) FROM process") == [(1,)]
    assert query(db, "SELECT value FROM meta WHERE key = 'state'") == [("complete",)]
    assert os.listdir(db.parent) == ["run.db"]


def altered(db, sql):
    """A trace whose schema somebody has edited."""
    record(db, PROGRAM, "run", "5")
    connection = sqlite3.connect(db)
    connection.executescript("PRAGMA writable_schema = ON; " + sql)
    connection.close()


@pytest.mark.parametrize("command", [["info"], ["analyze"], ["export", "-o", "/dev/null"]])
@pytest.mark.parametrize("sql", [
    "UPDATE sqlite_schema SET sql = sql || '; ATTACH ''/tmp/x'' AS m' WHERE name = 'efficiency'",
    "UPDATE sqlite_schema SET sql = 'CREATE VIEW span AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
    "SELECT i FROM n' WHERE name = 'span'",
    "DELETE FROM sqlite_schema WHERE name = 'message'"])
def test_a_trace_with_another_schema_is_refused(db, command, sql):
    altered(db, sql)
    done = trace(*command, db, timeout=20)
    assert done.returncode == 1 and "is another one" in done.stderr and done.stdout == ""


def test_triggers_of_a_trace_do_not_run(db):
    altered(db, "CREATE TABLE ran(x); CREATE TRIGGER t AFTER INSERT ON efficiency BEGIN INSERT INTO ran VALUES(1); END")
    assert trace("analyze", db).returncode == 0
    assert query(db, "SELECT count(*) FROM ran") == [(0,)]


def test_a_table_of_the_users_own_in_a_trace_does_no_harm(db):
    altered(db, "CREATE TABLE notes(x); CREATE INDEX event_a ON event(a)")
    assert trace("analyze", db).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("script", [
    "mount --bind . . && mount -o remount,ro,bind . && cd $PWD",
    "mkdir full && cp run.db full/ && mount -t tmpfs -o size=$(($(stat -c %s run.db) / 1024 + 8))k none full && "
    "cp run.db full/ && cd full && cat /dev/zero > rest 2> /dev/null; true"])
def test_a_trace_that_cannot_be_written_is_analysed(db, script):
    record(db, PROGRAM, "run", "200")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(["unshare", "--mount", "sh", "-c", f"{script} && {TRACE} analyze run.db"], cwd=db.parent,
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and "duration" in done.stdout


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
