"""snakefish-trace record."""

import ctypes
import errno
import os
import resource
import signal
import struct
import subprocess
import sys
import time

import pytest

from tracing import (BUILD, PROGRAM, TRACE, WRITERS, counts_balance, event_kinds, is_gone, meta, not_lost, query, record,
                     session_of, trace, wait_for)

KINDS = event_kinds()


def test_a_whole_run_is_in_the_database(db):
    done = record(db, PROGRAM, "run", "100")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    not_lost(db)
    assert meta(db, "state") == "complete"
    assert meta(db, "command") == f"{PROGRAM} run 100"
    assert query(db, "SELECT id, parent, name, exit_status, task FROM process ORDER BY id") == [
        (1, None, "program", 0, None), (2, 1, "worker", 0, 1)]
    assert query(db, "SELECT * FROM task") == [(1, 2, "thread", 'sender "quoted" ä of messages', 1)]
    assert query(db, "SELECT capacity_bytes, creator FROM channel") == [(65536, 1)]
    messages = query(db, "SELECT channel, seq, sender, receiver, bytes, latency_ns FROM message ORDER BY seq")
    assert [m[:5] for m in messages] == [(1, i + 1, 2, 1, 64) for i in range(100)]
    assert all(m[5] > 0 for m in messages)
    for process, lasted, booked in query(db, """SELECT id, end_ns - start_ns, (SELECT sum(ns) FROM ledger
            WHERE process = p.id) FROM process p"""):
        assert lasted == booked > 0, process
    assert query(db, "SELECT count(*) FROM clock_snapshot")[0][0] >= 2
    assert query(db, "SELECT min(from_tsc) FROM clock_segment") == [(0,)]


def test_with_few_descriptors_logs_wait_and_nothing_is_lost(db):
    """60 processes at once, of which two logs can be open."""
    done = trace("record", "-q", "-o", db, "--", WRITERS, 60, 300, 300,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
    assert (done.returncode, done.stderr) == (0, "")
    not_lost(db)
    assert query(db, "SELECT count(*), count(parent) FROM process") == [(61, 60)]
    assert query(db, f"SELECT count(*) FROM event WHERE kind = {KINDS['mark']}") == [(18000,)]


def test_spans_and_the_process_around_them_are_in_order(db):
    record(db, PROGRAM, "run", "10")
    assert query(db, """SELECT * FROM span s JOIN process p ON p.id = s.process WHERE s.duration_ns < 0
                        OR s.start_ns < p.start_ns OR s.end_ns > p.end_ns""") == []
    assert query(db, "SELECT count(*) FROM span WHERE closed = 0") == [(0,)]


@pytest.mark.parametrize("program, status", [(["/bin/true"], 0), (["/bin/sh", "-c", "exit 3"], 3),
                                             (["sh", "-c", "kill -15 $$"], 143), ([PROGRAM, "exit", "7"], 7),
                                             ([PROGRAM, "die", "9"], 137), ([PROGRAM, "die", "12"], 140)])
def test_its_exit_status_is_the_programs(db, program, status):
    assert record(db, *program).returncode == status
    not_lost(db)


def test_standard_output_is_the_programs_alone(db):
    done = record(db, "sh", "-c", "echo out; echo err >&2; cat", options=["--kernel"])
    assert done.stdout == "out\n"
    assert done.stderr.endswith("err\n")  # before it may stand why there is no kernel's view


def test_a_killed_program_shows_what_it_was_doing(db):
    record(db, PROGRAM, "die", "9")
    assert query(db, "SELECT exit_status FROM process") == [(-9,)]
    assert query(db, "SELECT kind, closed FROM span ORDER BY start_ns") == [("span", 0), ("map", 0)]
    assert query(db, "SELECT text FROM span s JOIN text t ON t.id = s.object WHERE kind = 'span'") == [("a mark",)]


def test_a_killed_child_shows_what_it_was_doing(db):
    record(db, PROGRAM, "kill-child")
    assert query(db, "SELECT exit_status FROM process WHERE id = 2") == [(-9,)]
    assert query(db, "SELECT kind FROM span WHERE process = 2 AND closed = 0 ORDER BY start_ns") == [
        ("run",), ("receive",)]
    not_lost(db)


def test_a_flood_loses_and_counts(db):
    record(db, PROGRAM, "marks", "500000", options=["--log-records", "1024"])
    lost = query(db, "SELECT value FROM stats WHERE name = 'lost' AND severity = 'loss'")
    assert lost and lost[0][0] > 0
    counts_balance(db)
    assert query(db, "SELECT value FROM stats WHERE name = 'emitted'")[0][0] >= 500001
    lost_in_records = query(db, f"SELECT total(a) FROM event WHERE kind = {KINDS['lost']}")[0][0]
    assert lost_in_records <= lost[0][0]


def test_a_steady_writer_loses_nothing_in_a_small_log(db):
    record(db, PROGRAM, "marks-slow", "1500", options=["--log-records", "256"])
    not_lost(db)
    assert query(db, "SELECT count(*), count(DISTINCT seq), max(seq) FROM event") == [(1501, 1501, 1500)]


def test_a_program_that_is_not_there_leaves_nothing(db):
    for name in "no-such-program", "/no/such/program", "./no-such":
        done = record(db, name)
        assert done.returncode == 127 and name in done.stderr
        assert not db.exists()


def test_a_program_that_cannot_run_leaves_nothing(db, tmp_path):
    script = tmp_path / "script"
    script.write_text("x")
    assert record(db, script).returncode == 126
    assert not db.exists()


def test_an_older_trace_stays_when_the_program_is_not_there(db):
    record(db, PROGRAM, "exit", "0")
    assert record(db, "no-such-program").returncode == 127
    assert query(db, "SELECT count(*) FROM process") == [(1,)]


def start(db, *program):
    return subprocess.Popen([TRACE, "record", "-o", db, "--", *program], stdout=subprocess.PIPE, text=True)


def test_sigterm_is_passed_on_and_the_trace_finished(db):
    process = start(db, PROGRAM, "sleep", "60")
    process.stdout.readline()
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM
    assert meta(db, "state") == "complete"
    assert query(db, "SELECT exit_status FROM process") == [(-signal.SIGTERM,)]
    process.stdout.close()


def test_the_program_decides_what_sigint_does(db):
    process = start(db, "sh", "-c", "trap 'echo got it; exit 5' INT; echo up; while :; do sleep 0.05; done")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)  # to record alone: ignored
    time.sleep(0.2)
    assert process.poll() is None
    child = int(open(f"/proc/{process.pid}/task/{process.pid}/children").read().split()[0])
    os.kill(child, signal.SIGINT)
    assert process.wait(10) == 5
    assert process.stdout.read() == "got it\n"
    process.stdout.close()


def test_sigint_reaches_a_program_by_its_default(db):
    process = start(db, "sh", "-c", "echo up; kill -INT $$; sleep 10")
    assert process.wait(10) == 128 + signal.SIGINT
    process.stdout.close()


def test_no_file_takes_the_number_of_a_closed_standard_stream(db):
    command = "readlink /proc/$PPID/fd/0 /proc/$PPID/fd/2; test -e /proc/self/fd/0 || test -e /proc/self/fd/2 || echo closed"
    done = subprocess.run(["sh", "-c", 'exec "$@" 0<&- 2>&-', "sh", TRACE, "record", "-o", db, "--", "sh", "-c", command],
                          stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.splitlines() == ["/dev/null", "/dev/null", "closed"]


def test_a_child_that_outlives_the_program_is_waited_for_a_little(db):
    began = time.monotonic()
    assert record(db, PROGRAM, "orphan", "30").returncode == 0
    assert 0.9 < time.monotonic() - began < 5
    assert query(db, "SELECT value, severity FROM stats WHERE name = 'processes_running'") == [(1, "loss")]
    assert query(db, "SELECT count(*) > 100 FROM event WHERE process = 2") == [(1,)]
    counts_balance(db)
    os.kill(query(db, "SELECT pid FROM process WHERE id = 2")[0][0], signal.SIGTERM)


def test_a_child_that_dies_soon_after_the_program_is_complete(db):
    record(db, PROGRAM, "orphan", "0.3")
    not_lost(db)


@pytest.mark.parametrize("again", [True, False])
def test_a_killed_collector_is_recovered(db, tmp_path, again):
    process = start(db, PROGRAM, "marks-slow", "1000")
    session = session_of(process.pid)
    wait_for(lambda: list(session.glob("log.*")))
    time.sleep(0.3)
    refused = trace("collect", session, "-o", db)
    assert refused.returncode == 1 and "still being collected" in refused.stderr
    process.kill()
    process.wait()
    process.stdout.close()
    taken = query(db, "SELECT count(*) FROM event")[0][0]
    assert meta(db, "state") == "running"
    assert "collector died" in trace("info", db).stdout
    time.sleep(0.1)
    target = db if again else tmp_path / "other.db"
    done = trace("collect", session, "-o", target)
    assert done.returncode == 0 and ("began with a copy" in done.stderr) != again
    assert not session.exists()
    assert meta(target, "state") == "recovered"
    counts_balance(target)
    count, distinct, last = query(target, "SELECT count(*), count(DISTINCT seq), max(seq) FROM event")[0]
    assert count == distinct
    assert count == last + 1 > taken
    assert query(target, "SELECT value FROM stats WHERE name = 'lost'") == [(0,)]


def test_a_message_without_standard_error_damages_no_session(db):
    process = start(db, PROGRAM, "sleep", "60")
    process.stdout.readline()
    session = session_of(process.pid)
    program = int(open(f"/proc/{process.pid}/task/{process.pid}/children").read().split()[0])
    process.kill()
    process.wait()
    process.stdout.close()
    os.kill(program, signal.SIGKILL)
    refused = subprocess.run(["sh", "-c", 'exec "$@" 0<&- 2>&-', "sh", TRACE, "collect", session, "-o", "/nowhere/run.db"])
    assert refused.returncode == 1
    assert trace("collect", session, "-o", db).returncode == 0
    counts_balance(db)


def test_a_collector_killed_at_any_moment_stores_nothing_twice(db):
    for delay in range(0, 60, 6):
        process = start(db, PROGRAM, "marks", "300000")
        session = session_of(process.pid)
        time.sleep(delay / 1000)
        process.kill()
        process.wait()
        process.stdout.close()
        for pid in {int(log.name.split(".")[1]) for log in session.glob("log.*")}:
            wait_for(lambda: is_gone(pid))
        if not session.exists():
            continue
        assert trace("collect", session, "-o", db).returncode == 0
        counts_balance(db)
        count, distinct = query(db, "SELECT count(*), count(DISTINCT seq) FROM event")[0]
        assert count == distinct


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_reported_and_the_session_kept(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False).returncode:
        pytest.skip("no mount here")
    try:
        done = record(disk / "run.db", "sh", "-c", f"{PROGRAM} marks 40000; exit 7")
        assert done.returncode == 7  # the program's
        assert "cannot write" in done.stderr and "snakefish-trace collect /dev/shm/snakefish-" in done.stderr
        session = done.stderr.split("collect ")[1].split()[0]
        other = tmp_path / "other.db"
        assert trace("collect", session, "-o", other).returncode == 0
        assert not os.path.exists(session)
        counts_balance(other)
        # all of them: what is in the first database, too
        assert query(other, f"SELECT count(*), count(DISTINCT a) FROM event WHERE kind = {KINDS['mark']}") == [(40000, 40000)]
        assert query(disk / "run.db", "SELECT count(*) FROM event")[0][0] < 40000
        assert meta(other, "state") == "recovered"
    finally:
        subprocess.run(["umount", disk], check=True)


def recover(session, db):
    done = trace("collect", session, "-o", db)
    assert done.returncode == 0, done
    assert not os.path.exists(session)
    return done.stderr


def over_the_limit(db):
    """Records 20,000 marks, faster than they can be stored, with room for some of them. The session that is left."""
    limited = subprocess.run([TRACE, "record", "-q", "-o", db, "--", "sh", "-c",
                              f"ulimit -f unlimited; {PROGRAM} marks 20000; exit 7"],
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (230 << 10, resource.RLIM_INFINITY)),
                             capture_output=True, text=True, timeout=60)
    assert limited.returncode == 7 and "cannot write" in limited.stderr
    return limited.stderr.split("collect ")[1].split()[0]


def marks(db):
    return query(db, f"SELECT count(*), count(DISTINCT a) FROM event WHERE kind = {KINDS['mark']}")


def test_a_limit_on_the_size_of_files_ends_the_trace_but_not_the_program(db, tmp_path):
    session = over_the_limit(db)
    other = tmp_path / "other.db"
    assert f"a copy of {db}" in recover(session, other)
    assert marks(other) == [(20000, 20000)]
    counts_balance(other)


def test_the_program_keeps_its_own_signal_for_that_limit(db, tmp_path):
    done = record(db, "sh", "-c", f"ulimit -f 1; exec head -c 1000000 /dev/zero > {tmp_path}/big")
    assert done.returncode == 128 + signal.SIGXFSZ


def test_where_the_first_database_is_gone_the_rest_is_recovered_and_the_loss_told(db, tmp_path):
    session = over_the_limit(db)
    [(taken,)] = query(db, "SELECT count(*) FROM event")  # 0 where all CPUs were busy and storing had to wait
    db.unlink()
    other = tmp_path / "other.db"
    assert "is not copied" in recover(session, other)
    counts_balance(other)
    elsewhere = query(other, "SELECT value FROM stats WHERE name = 'lost_elsewhere' AND severity = 'loss'")
    assert elsewhere == ([(taken,)] if taken else [])
    assert query(other, "SELECT count(*) FROM event")[0][0] + taken >= 20000


def test_another_trace_at_the_place_of_the_first_is_left_alone(db, tmp_path):
    session = over_the_limit(db)
    record(db, PROGRAM, "exit", "0")
    before = db.read_bytes()
    other = tmp_path / "other.db"
    recover(session, other)
    assert db.read_bytes() == before
    assert query(other, "SELECT count(*) FROM process") == [(1,)]


FORGED_REAP = """
import os, struct, sys, time, snakefish
def work(): time.sleep(0.5); os._exit(7)
honest = snakefish.Thread(work)
honest.start()
time.sleep(0.1)
me, capacity, start = os.getpid() + 1000, 256, snakefish.get_timestamp()
record = struct.pack("<QHHIQQ", start + 1, 12, 0, 0, honest.pid, 42)
page = struct.pack("<QIIIIIIQQ16x", 0x31474F4C46414E53, 1, capacity, me, 1, me, 0, start, 0)
page += struct.pack("<QQQ40xQ56x", 1, 1, 0, 0) + b"forged".ljust(48, b"\\0")
fd = os.open(f"{os.environ['SNAKEFISH_TRACE_SESSION']}/log.{me}.{start}", os.O_RDWR | os.O_CREAT, 0o600)
os.write(fd, (page.ljust(4096, b"\\0") + record).ljust(4096 + 32 * capacity, b"\\0"))
os.close(fd)
print(honest.pid, flush=True)
honest.join()
"""


def test_only_the_parent_is_believed_about_the_end_of_its_child(db):
    done = subprocess.run([TRACE, "record", "-q", "--log-records", "256", "-o", db, "--", sys.executable, "-c", FORGED_REAP],
                          env={**os.environ, "PYTHONPATH": str(BUILD / "lib")}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    assert query(db, f"SELECT exit_status, end_ns - start_ns > 400000000 FROM process WHERE pid = {int(done.stdout)}") \
        == [(7, 1)]


PLAIN_FORKS = """
import os, sys, time, snakefish
for seconds in map(float, sys.argv[1:]):
    pid = os.fork()
    if not pid:
        time.sleep(seconds)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def lives_of_forks(db, *seconds):
    """In ms: the lives of children made by os.fork, which say nothing at their end."""
    done = subprocess.run([TRACE, "record", "-q", "-o", db, "--", sys.executable, "-c", PLAIN_FORKS, *map(str, seconds)],
                          env={**os.environ, "PYTHONPATH": str(BUILD / "lib")}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    lives = query(db, "SELECT (end_ns - start_ns) / 1e6 FROM process WHERE parent IS NOT NULL ORDER BY id")
    return [life for life, in lives]


def test_short_lives_of_plain_forks_are_not_rounded_up_to_a_nap_of_the_collector(db):
    lives = lives_of_forks(db, *[0.001] * 50)
    assert len(lives) == 50 and sum(lives) / 50 < 20  # a nap is 100 ms, half of it on average
    [(unknown,)] = query(db, "SELECT total(value) FROM stats WHERE name = 'unknown_ends' AND severity = 'info'")
    assert unknown <= 50


def test_the_end_of_a_plain_fork_is_seen_at_once(db):
    lives = lives_of_forks(db, 0.3, 0.3, 0.3)
    assert len(lives) == 3 and all(life >= 299 for life in lives)
    assert min(lives) < 340


def refuse_pidfds():
    """A filter of seccomp: pidfd_open fails with ENOSYS, as on old kernels and in some containers."""
    steps = (32, 0, 0, 0), (21, 0, 1, 434), (6, 0, 0, 0x50000 | errno.ENOSYS), (6, 0, 0, 0x7FFF0000)
    code = b"".join(struct.pack("HBBI", *step) for step in steps)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]
    prctl = ctypes.CDLL(None).prctl
    prctl(38, 1, 0, 0, 0)
    assert prctl(22, 2, ctypes.byref(Program(4, code)), 0, 0) == 0


MEASURED_FORKS = """
import os, time, snakefish
for _ in range(6):
    if not os.fork():
        began = time.monotonic()
        time.sleep(0.15)
        print(os.getpid(), time.monotonic() - began, flush=True)
        os._exit(0)
    os.wait()
"""


def test_where_no_end_can_be_watched_a_life_ends_when_it_was_last_seen(db):
    """The collector looks every 100 ms. What was after its last look at a process is not known, and so is no part of its
    life."""
    done = subprocess.run([TRACE, "record", "-q", "-o", db, "--", sys.executable, "-c", MEASURED_FORKS], preexec_fn=refuse_pidfds,
                          env={**os.environ, "PYTHONPATH": str(BUILD / "lib")}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    lived = {int(pid): float(seconds) for pid, seconds in map(str.split, done.stdout.splitlines())}
    lives = dict(query(db, "SELECT pid, (end_ns - start_ns) / 1e9 FROM process WHERE parent IS NOT NULL"))
    assert lived.keys() == lives.keys() and len(lives) == 6
    for pid, life in lives.items():
        assert 0 <= life < lived[pid] + 0.02, (lives, lived)


def test_only_libraries_that_can_be_recorded_are_taken(db):
    done = trace("record", "-o", db, "--instrument", "joblib,dask", "--", "/bin/true")
    assert done.returncode == 2 and "joblib, not joblib,dask" in done.stderr
    for library in ("multiprocessing", "all"):
        done = trace("record", "-q", "-o", db, "--instrument", library, "--", "sh", "-c", "echo $SNAKEFISH_TRACE_INSTRUMENT")
        assert (done.returncode, done.stdout) == (0, library + "\n")


def test_pythonpath_is_the_programs_where_nothing_is_to_be_loaded(db):
    for path in ("/a:/b", ""):
        command = ["sh", "-c", "echo $PYTHONPATH $SNAKEFISH_TRACE_LOAD"]
        done = trace("record", "-q", "-o", db, "--no-load", "--", *command, env={**os.environ, "PYTHONPATH": path})
        assert done.stdout == f"{path} no\n".lstrip()
