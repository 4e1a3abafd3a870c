"""The driver with hostile logs and traces finds what it is for: each test breaks one thing."""
import os
import shutil
import sqlite3
import sys

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "stress"), TESTS]

import hostile  # noqa: E402
import hostility  # noqa: E402

sys.path.remove(os.path.join(TESTS, "stress"))
del sys.modules["run"]  # test_run.py imports another module of that name


@pytest.fixture
def case(tmp_path):
    return hostile.Case(str(tmp_path), hostile.PLAIN, 20)


@pytest.mark.parametrize("script, words", [
    ("kill -SEGV $$", "status -11"), ("exit 2", "status 2"), ("exit 1", "and said ''"),
    ("echo a >&2; echo b >&2; exit 1", "a\\nb"),
    ("printf '\\033[31m'", "x1b"), ("printf '\\233'", "x9b"), ("printf '\\342\\200\\256'", "u202e"),
    ("echo integer overflow >&2; exit 1", "integer overflow"), ("echo x.c:1: runtime error: y >&2", "runtime error")])
def test_what_a_command_does_wrong_is_told(case, script, words):
    case.run("it", "sh", "-c", script)
    assert len(case.wrong) == 1 and case.wrong[0].startswith("it: ") and words in case.wrong[0]


def test_what_it_does_right_is_not(case):
    assert case.run("it", "sh", "-c", "echo fish") == b"fish\n"
    assert case.run("it", "sh", "-c", "echo why >&2; exit 1") is None
    assert not case.wrong


def test_a_command_that_does_not_end_is_told(case):
    case.limit = 1
    case.run("it", "sh", "-c", "while :; do :; done")
    assert case.wrong == ["it: did not end in 1 s of CPU time"]


@pytest.mark.parametrize("text", [b"{\"a\": NaN}", b"{\"a\": 1e999, \"b\": Infinity}", b"[1,]", b"[\"\xff\"]"])
def test_what_is_no_json_is_told(case, text):
    case.check_json("it", text)
    assert len(case.wrong) == 1


def healthy_trace(case):
    """The trace of a session without a hostile log, and its logs."""
    hz, folder, path = hostile.timestamp_frequency(), f"/dev/shm/snakefish-{os.getpid()}-1", os.path.join(case.folder, "run.db")
    ticks = int(hz * 0.2)
    start = hostile.get_timestamp() - 2 * ticks
    hostility.write_session(folder, 256, start)
    logs = hostility.healthy_logs(start, ticks, 256)
    for log in logs:
        log.write(folder)
    try:
        assert case.run("collect", case.tracer, "collect", folder, "-o", path) is not None, case.wrong
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    case.read_trace(path, True, False)
    hostile.check_healthy(case, path, logs, hz)
    assert not case.wrong
    return path, logs, hz


@pytest.mark.parametrize("change, words", [
    ("DELETE FROM event WHERE seq = 5", "events of"), ("UPDATE event SET tsc = tsc + 1 WHERE seq = 7", "events of"),
    ("UPDATE process SET exit_status = 0", "fate"), ("UPDATE process SET parent = NULL", "fate"),
    ("UPDATE process SET end_ns = end_ns * 2", "lived"), ("UPDATE log SET lost = 1", "counts of"),
    ("UPDATE stats SET value = 1 WHERE name = 'lost'", "stats of"), ("DELETE FROM log", "counts of")])
def test_a_healthy_process_that_was_harmed_is_told(case, change, words):
    path, logs, hz = healthy_trace(case)
    with sqlite3.connect(path) as db:
        db.execute(change)
    hostile.check_healthy(case, path, logs, hz)
    assert case.wrong and words in case.wrong[0]


@pytest.mark.parametrize("number", range(len(hostility.STORIES)))
def test_every_story_fills_its_log(number):
    chance = hostility.draw(number)
    log = hostility.Log(hostility.PID_MAX, 1000, 256)
    hostility.STORIES[number](hostility.Scene(chance, 1000, 1 << 20), log)
    assert log.full()
