"""The database: what is refused, what is replaced, and what happens when the disk is full."""
import os
import sqlite3
import subprocess

import pytest

from bench.run.store import Store, StoreError, open_for_reading

QUICK = ("--quick", "--filter", "injected", "--runtimes", "sequential")
SESSION = {"command": "test", "seed": 1, "blocks": 1, "samples": 1}


def test_foreign_files_are_refused_and_left_as_they_are(bench):
    bench.db.write_text("somebody's notes\n" * 20)
    _, err = bench.run("--quick", code=2)
    assert f"{bench.db} is not a bench database" in err
    assert bench.db.read_text().startswith("somebody's notes")
    bench.run("--quick", "--fresh", code=2)
    assert bench.db.read_text().startswith("somebody's notes")
    assert "is not a bench database" in bench("show", bench.db, code=2)[1]


def test_foreign_database_is_refused(bench, tmp_path):
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t(x)")
    before = other.read_bytes()
    assert "is not a bench database" in bench("run", "-o", other, "--quick", code=2)[1]
    assert "is not a trace database" in bench.run("--quick", "--trace", other, code=2)[1]
    assert other.read_bytes() == before


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "bench.db"
    Store(path).database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="version 99"):
        Store(path)


def test_damaged_database_is_told_and_no_traceback(bench, program):
    bench.add("workloads", "injected", program())
    bench.run(*QUICK)
    whole = bench.db.read_bytes()
    bench.db.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    _, err = bench("show", bench.db, code=2)
    assert "malformed" in err and "Traceback" not in err
    bench.db.write_bytes(whole[:5000])
    assert "Traceback" not in bench("show", bench.db, code=2)[1]
    bench.run(*QUICK, "--fresh")
    bench("show", bench.db)


def test_a_folder_and_an_impossible_path_are_refused(bench, program, tmp_path):
    bench.add("workloads", "injected", program())
    assert "Is a directory" in bench("run", "-o", tmp_path, *QUICK, code=2)[1]
    assert "Traceback" not in bench("run", "-o", "/proc/bench.db", *QUICK, code=2)[1]
    assert "there is no bench database" in bench("show", tmp_path / "none.db", code=2)[1]


def test_existing_database_gets_another_session_unless_fresh(bench, program):
    bench.add("workloads", "injected", program())
    for sessions in (1, 2):
        bench.run(*QUICK)
        assert len(bench.rows("SELECT * FROM session")) == sessions
    bench.run(*QUICK, "--fresh")
    assert len(bench.rows("SELECT * FROM session")) == 1
    assert "there is no session 5" in bench("show", bench.db, "--session", 5, code=2)[1]


def test_a_sample_is_there_for_others_as_soon_as_it_is_added(tmp_path):
    with Store(tmp_path / "bench.db") as store:
        store.start_session(**SESSION)
        store.add("workload", name="w", size=1, kind="program", unit="u", operation="run", doc="")
        store.add("runtime", name="r", status="present", doc="")
        store.add("cell", workload="w", size=1, runtime="r", workers=1, series="strong", work=1)
        store.add("sample", block=0, position=0, workload="w", size=1, runtime="r", workers=1, status="ok")
        other = open_for_reading(tmp_path / "bench.db")
        assert other.execute("SELECT count(*) FROM sample").fetchone()[0] == 1


def test_database_holds_no_name_of_host_or_folder(bench, program):
    bench.add("workloads", "injected", program())
    bench.run(*QUICK)
    said = " ".join(str(r) for r in bench.rows("SELECT * FROM machine") + bench.rows("SELECT * FROM session"))
    assert os.uname().nodename not in said.split()
    assert str(bench.db.parent) not in said and "/" not in said


def test_full_disk_ends_clearly_and_keeps_the_finished_samples(bench, program, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs root, to mount a disk that is small enough to be filled")
    try:
        bench.add("workloads", "injected", program())
        bench.db = disk / "bench.db"
        _, err = bench.run(*QUICK, "--blocks", 3)
        room = os.statvfs(disk)
        (disk / "filler").write_bytes(b"x" * (room.f_bavail * room.f_frsize - 32 * 1024))
        _, err = bench.run(*QUICK, "--blocks", 2000, code=3)
        assert "is full" in err and "kept" in err and "Traceback" not in err
        assert len(bench.rows("SELECT * FROM sample")) > 3
        assert bench.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        bench("show", bench.db)
        done = len(bench.rows("SELECT * FROM sample WHERE session = 2"))
        (disk / "filler").unlink()
        database = sqlite3.connect(bench.db, isolation_level=None)
        database.execute("UPDATE session SET blocks = ? WHERE id = 2", (done + 2,))  # it is not far to the end
        database.close()
        bench.run("--resume")
        assert bench.rows("SELECT status FROM session WHERE id = 2") == [{"status": "complete"}]
        assert len(bench.rows("SELECT * FROM sample WHERE session = 2")) == done + 2
    finally:
        subprocess.run(["umount", str(disk)], check=True)
