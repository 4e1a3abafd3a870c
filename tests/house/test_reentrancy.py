"""The re-entrancy fuzzer finds what it is for: each test breaks one thing in the program that a case runs."""
import os
import signal
import sys
import threading
import time
import types
from pathlib import Path

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "stress"), TESTS]

import reentrancy  # noqa: E402
import snakefish  # noqa: E402
from reentry import case as cases  # noqa: E402
from reentry import subjects  # noqa: E402
from reentry.values import Value  # noqa: E402

sys.path.remove(os.path.join(TESTS, "stress"))
del sys.modules["run"]  # test_run.py imports another module of that name

OPTIONS = types.SimpleNamespace(limit=5, show=False)


def case(kind, *methods, **options):
    """A case with one object, the methods that the main program calls, and a harmless call at a place."""
    chance = cases.random.Random(1)
    found = {**cases.options(chance, kind, ""), **options}
    return {"subjects": {"library": {"kind": "library", "size": 0, "seconds": 0}, kind: found}, "before": [],
            "main": [[kind, method] for method in methods], "delay": 0.001,
            "plans": [{"place": "f", "side": "child", "visit": 1, "calls": [["library", "trace_enabled"]]}]}


THREAD = case("thread", "start", "join", "get_result", merge=True)
GENERATOR = case("generator", "start", "next", items=3)
CHANNEL = case("channel", "send", "receive_now", bytes=1 << 16, size=100, loaded=1, helper=None)


def wrongs(case):
    return "\n".join(reentrancy.run_case(case, OPTIONS, False)[0])


@pytest.fixture(autouse=True)
def fresh():
    reentrancy.faults.libc.prctl(reentrancy.faults.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    reentrancy.warm_up()
    yield
    reentrancy.faults.libc.prctl(reentrancy.faults.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.parametrize("sound", [THREAD, GENERATOR, CHANNEL], ids=lambda case: case["main"][0][0])
def test_a_sound_case_passes(sound):
    assert wrongs(sound) == ""


def wait_for_itself(task):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def lose_an_item(task):
    task.object.next()


def drop_a_message(channel):
    channel.object.receive_pyobj(False)


def take_twice(task):
    task.take(lambda: Value(0, task.options["size"]))


def raise_system_error(task):
    raise SystemError("no call says that it raises this")


def keep_a_value(task):
    kept.append(Value(1, 0))


def keep_a_channel(task):
    kept.append(snakefish.Channel(1 << 20))


def leave_a_child(task):
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)


kept = []


@pytest.mark.parametrize("broken, method, breaks, said", [
    (THREAD, "join", wait_for_itself, "did not end in 5 s"),
    (THREAD, "join", lambda task: os.kill(os.getpid(), signal.SIGSEGV), "ended with status -11"),
    (THREAD, "join", raise_system_error, "SystemError: no call says"),
    (THREAD, "get_result", lambda task: task.object.kill() or task.check_value(None, 1), "is no right value"),
    (THREAD, "get_result", lambda task: os.dup(1), "left behind: descriptors"),
    (THREAD, "get_result", leave_a_child, "left behind: children"),
    (THREAD, "get_result", keep_a_value, "left behind: 1 values"),
    (THREAD, "get_result", keep_a_channel, "left behind: mappings"),
    (THREAD, "merge", lambda task: None, "was not merged"),
    (GENERATOR, "next", lose_an_item, "came out:"),
    (GENERATOR, "next", take_twice, "came out twice"),
    (CHANNEL, "receive_now", drop_a_message, "lost:"),
], ids=lambda value: getattr(value, "__name__", None) if callable(value) else None)
def test_what_goes_wrong_is_told(broken, method, breaks, said, monkeypatch):
    kind = subjects.KINDS[broken["main"][0][0]]
    name = method if hasattr(kind, method) else "do_" + method
    monkeypatch.setattr(kind, name, lambda subject, *arguments: breaks(subject))
    assert said in wrongs(broken)


def test_the_end_of_a_case_waits_for_a_source_that_runs_on_after_its_imap_was_closed(monkeypatch):
    closing = case("imap", "next", size=0, items=2, chunksize=1, unordered=False)
    closing["subjects"]["other imap"] = dict(closing["subjects"]["imap"])
    closing["plans"] = [{"place": "source", "side": "parent", "visit": 1,
                         "calls": [["imap", "close"], ["library", "print"], ["other imap", "repr"]]}]
    ended = []

    def finish(imap):
        ended.append(imap)
        imap.object.close()
        time.sleep(0.5)

    monkeypatch.setattr(subjects.KINDS["library"], "do_print", lambda library: time.sleep(0.3))
    monkeypatch.setattr(subjects.KINDS["imap"], "finish", finish)
    monkeypatch.setattr(subjects.KINDS["imap"], "do_repr", lambda imap: imap.check(not ended, "the case ended first"))
    assert wrongs(closing) == ""


def test_a_case_follows_from_its_seed_and_number_and_all_pairs_come():
    assert cases.draw(3, 17) == cases.draw(3, 17) != cases.draw(4, 17)
    first = [cases.draw(5, number)["plans"][0] for number in range(len(cases.PAIRS))]
    assert len({(plan["place"], plan["calls"][0][1]) for plan in first}) == len({(p, m) for p, _, m in cases.PAIRS})


def test_every_public_method_and_function_is_called():
    kinds = snakefish.Thread, snakefish.Generator, snakefish.Channel, type(snakefish.imap(int, []))
    public = {f"object.{name}" for kind in kinds for name in vars(kind) if not name.startswith("_")}
    public |= {"snakefish." + name for name in ("map", "starmap", "imap", "imap_unordered", "wait")}
    public |= {"snakefish.trace." + name for name in ("start", "stop", "mark", "span", "enabled")}
    folder = Path(subjects.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert [name for name in sorted(public) if name not in source] == []


def test_a_failing_case_gets_smaller(monkeypatch):
    monkeypatch.setattr(subjects.KINDS["thread"], "do_is_alive", raise_system_error)
    large = case("thread", "start", "pid", "is_alive", "join", "get_result")
    large["plans"].append(dict(large["plans"][0], place="merge", calls=[["thread", "name"], ["thread", "pid"]]))
    small = reentrancy.make_smaller(large, OPTIONS, False)
    assert small["main"] == [["thread", "is_alive"]] and len(small["plans"]) == 1
    assert "thread.is_alive()" in cases.text(small)
