"""Where tracing is refused: wrong calls, paths, collectors, session directories, a full disk."""
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
from conftest import shared_memory
from databases import BUSY, TRACER, Database

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")


def test_wrong_states_are_refused(check_program, tmp_path):
    out = check_program("""
        import sys, snakefish
        from snakefish import trace
        def tell(call, *arguments):
            try:
                call(*arguments)
            except RuntimeError as error:
                print(error)
        trace.start(sys.argv[1])
        tell(trace.start, sys.argv[1])
        def child():
            tell(trace.stop)
            tell(trace.start, "other.db")
            sys.stdout.flush()
        with snakefish.Thread(child) as t:
            t.start()
        trace.stop()
        tell(trace.stop)
        """, tmp_path / "run.db").splitlines()
    assert len(out) == 4 and "on already" in out[0] and "not started" in out[1] and "on already" in out[2]
    assert "not started" in out[3]


@pytest.mark.parametrize("path", ["directory", "text", "other database", "absent/run.db", "/proc/run.db", "/dev/full", ""])
def test_a_path_that_is_no_place_for_a_trace_is_refused_and_left_alone(check_program, run_program, tmp_path, path):
    where = tmp_path / path
    if path == "directory":
        where.mkdir()
    elif path == "text":
        where.write_text("precious")
    elif path == "other database":
        with sqlite3.connect(where) as db:
            db.execute("CREATE TABLE precious(a)")
        db.close()
    before = where.read_bytes() if where.is_file() else None
    out = check_program("""
        import sys, snakefish
        try:
            snakefish.trace.start(sys.argv[1])
        except RuntimeError as error:
            print(error)
        print(snakefish.trace.enabled())
        with snakefish.Thread(lambda: 5) as t:
            t.start()
        print(t.get_result())
        """, where if path else "")
    lines = out.splitlines()
    assert len(lines) == 3 and len(lines[0]) > 10 and lines[1:] == ["False", "5"]
    if before is not None:
        assert where.read_bytes() == before
    ended = run_program("import snakefish; print('goes on', snakefish.trace.enabled())",
                        env={"SNAKEFISH_TRACE": where})
    assert ended.status == 0 and ended.stdout == "goes on False\n" and "no trace" in ended.stderr


def test_a_collector_that_cannot_be_started_never_stops_an_import(run_program, tmp_path):
    fake = tmp_path / "snakefish-trace"
    for text in ("#!/bin/sh\nexit 3\n", "#!/no/such/interpreter\n", "no program\n", "#!/bin/sh\necho session /dev/shm\n"):
        fake.write_text(text)
        fake.chmod(0o755)
        ended = run_program("""
            import snakefish.trace, sys
            snakefish.trace._find_collector = lambda: sys.argv[1]
            import os
            os.environ["SNAKEFISH_TRACE"] = sys.argv[2]
            snakefish.trace._start_from_environment()
            print("goes on", snakefish.trace.enabled())
            """, fake, tmp_path / "run.db")
        assert ended.status == 0 and ended.stdout == "goes on False\n" and "no trace" in ended.stderr, ended


def make_session(directory):
    """What a session directory of nobody's looks like."""
    directory.mkdir(mode=0o700)
    (directory / "session").write_bytes(b"\0" * 4096)


@pytest.mark.parametrize("wrong", ["open to others", "symlink", "session is a symlink", "empty", "zeros", "short", "file",
                                   "of another user"])
def test_a_session_directory_that_is_not_this_users_alone_is_refused(run_program, tmp_path, wrong):
    directory = tmp_path / "session"
    if wrong == "file":
        directory.write_text("")
    elif wrong == "empty":
        directory.mkdir(mode=0o700)
    else:
        make_session(directory)
    if wrong == "open to others":
        directory.chmod(0o755)
    elif wrong == "symlink":
        directory.rename(tmp_path / "real")
        directory.symlink_to(tmp_path / "real")
    elif wrong == "session is a symlink":
        (directory / "session").rename(tmp_path / "elsewhere")
        (directory / "session").symlink_to(tmp_path / "elsewhere")
    elif wrong == "short":
        (directory / "session").write_bytes(b"\0" * 10)
    elif wrong == "of another user":
        if os.getuid():
            pytest.skip("needs root to make a directory somebody else's")
        os.chown(directory, 61234, 61234)
    ended = run_program("import snakefish; print('goes on', snakefish.trace.enabled())",
                        env={"SNAKEFISH_TRACE_SESSION": directory})
    assert ended.status == 0 and ended.stdout == "goes on False\n"
    assert "no trace" in ended.stderr or wrong == "file"
    left = {"log"} & {p.name.split(".")[0] for p in tmp_path.rglob("*")}
    assert not left, "no log is written there"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_is_reported_and_the_program_ends_well(run_program, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        ended = run_program(BUSY + """
try:
    trace.start(sys.argv[1])
    for _ in range(6):
        work()
    trace.stop()
except RuntimeError as error:
    print("reported:", error)
""", disk / "run.db")
        assert ended.status == 0 and "reported:" in ended.stdout, ended
        for directory in shared_memory():
            directory = Path("/dev/shm") / directory
            if str(directory) in ended.stdout + ended.stderr:  # the message says that it is kept for `collect`
                done = subprocess.run([str(TRACER), "collect", str(directory), "-o", str(tmp_path / "recovered.db")],
                                      capture_output=True, text=True)
                assert done.returncode == 0, done
                with Database(tmp_path / "recovered.db") as db:
                    assert db.one("SELECT count(*) FROM event") > 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)
