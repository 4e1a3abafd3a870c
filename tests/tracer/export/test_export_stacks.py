"""snakefish-trace export: samples of Python's stacks, in each of the formats."""

import json
import sys

import pytest

from chrome_reader import Reader
from handmade import MS, Trace
from tracing import trace


def export(path, form):
    out = path.with_name(f"out.{form}")
    done = trace("export", "--format", form, path, "-o", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    return out.read_text()


def sampled(path):
    """A parent with a second thread, and a Thread; spans inside each other."""
    t = Trace(path)
    t.process(0, 100)
    t.process(10, 90, parent=1, task=1)
    t.rows("text", (1, "outer"), (2, "inner"))
    t.rows("thread", (1, 0, 0, 0, 0, 0, 101, "MainThread"), (1, 1, 1, 0, 0, 0, 102, "helper"))
    t.span(1, "span", 5, 40, 1)
    t.span(1, "span", 10, 40, 2)
    t.span(2, "run", 12, 88, 1)
    t.sample(1, 20, "main:1", "f:3")
    t.sample(1, 25, "wait:2", lane=1, ms=1)
    t.sample(1, 30, "main:1", "f:3", ms=7)
    t.sample(2, 30, "run:1", "f:4")
    t.sample(2, 35, "run:1", "odd;name:9")
    return t.close()


def test_collapsed_has_a_line_for_each_stack_with_the_kind_of_task_as_its_root(db):
    assert export(sampled(db), "collapsed").splitlines() == [
        "parent;main (m.py:1);f (m.py:3) 2", "parent;wait (m.py:2) 1",
        "thread;run (m.py:1);f (m.py:4) 1", "thread;run (m.py:1);odd:name (m.py:9) 1"]


def test_collapsed_refuses_a_trace_without_samples_and_another_word_is_no_format(db):
    t = Trace(db)
    t.process(0, 10)
    out = db.with_name("out")
    done = trace("export", "--format", "collapsed", t.close(), "-o", out)
    assert done.returncode == 1 and "has no samples of stacks: record --sample 199" in done.stderr and not out.exists()
    done = trace("export", "--format", "svg", db, "-o", out)
    assert done.returncode == 2 and "--format is chrome, speedscope or collapsed, not svg" in done.stderr


class Speedscope:
    """Reads speedscope's format as speedscope does, and refuses what it refuses."""

    def __init__(self, text):
        document = json.loads(text)
        assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
        self.frames = [frame["name"] + (f":{frame['line']}" if "line" in frame else "") for frame in document["shared"]["frames"]]
        self.profiles = {p["name"]: getattr(self, p["type"])(p) for p in document["profiles"]}
        assert len(self.profiles) == len(document["profiles"])

    def sampled(self, profile):
        assert len(profile["samples"]) == len(profile["weights"]) and profile["unit"] == "nanoseconds"
        assert profile["endValue"] - profile["startValue"] == sum(profile["weights"])
        return [([self.frames[i] for i in stack], weight) for stack, weight in zip(profile["samples"], profile["weights"])]

    def evented(self, profile):
        """(name, depth, begin, end) of each; ends close what was opened last."""
        found, stack, last = [], [], profile["startValue"]
        for event in profile["events"]:
            assert last <= event["at"] <= profile["endValue"]
            last = event["at"]
            if event["type"] == "O":
                stack.append((event["frame"], len(found)))
                found.append([self.frames[event["frame"]], len(stack), last])
            else:
                frame, place = stack.pop()
                assert frame == event["frame"]
                found[place].append(last)
        assert not stack
        return [tuple(span) for span in found]


def test_speedscope_has_for_each_thread_a_profile_of_its_samples_in_cpu_time_and_one_of_its_spans(db):
    found = Speedscope(export(sampled(db), "speedscope")).profiles
    assert found["p1 (samples)"] == [(["main:1", "f:3"], 5 * MS), (["main:1", "f:3"], 7 * MS)]
    assert found["p1: helper (samples)"] == [(["wait:2"], MS)]
    assert found["p2 (samples)"] == [(["run:1", "f:4"], 5 * MS), (["run:1", "odd;name:9"], 5 * MS)]
    assert found["p1 (spans)"] == [("p1", 1, 0, 100 * MS), ("outer", 2, 5 * MS, 40 * MS), ("inner", 3, 10 * MS, 40 * MS - 1)]
    assert found["p2 (spans)"] == [("p2", 1, 10 * MS, 90 * MS), ("run", 2, 12 * MS, 88 * MS)]
    assert len(found) == 5


def test_chrome_has_the_stacks_as_frames_and_samples_and_each_sample_as_a_mark(db):
    reader = Reader(export(sampled(db), "chrome"))
    reader.frames()
    assert reader.samples == [
        ((101, 0), 20 * MS, ["main (m.py:1)", "f (m.py:3)"], 5 * MS),
        ((101, 0), 30 * MS, ["main (m.py:1)", "f (m.py:3)"], 7 * MS),
        ((101, 1), 25 * MS, ["wait (m.py:2)"], MS), ((102, 0), 30 * MS, ["run (m.py:1)", "f (m.py:4)"], 5 * MS),
        ((102, 0), 35 * MS, ["run (m.py:1)", "odd;name (m.py:9)"], 5 * MS)]
    marks = [event for event in reader.events if event.get("cat") == "sample"]
    assert [event["name"] for event in marks] == ["f (m.py:3)", "f (m.py:3)", "wait (m.py:2)", "f (m.py:4)", "odd;name (m.py:9)"]
    assert {event["cat"] for event in reader.events if event["ph"] == "i"} == {"sample"}


@pytest.mark.parametrize("form", ["chrome", "speedscope", "collapsed"])
def test_stacks_that_no_collector_writes_are_exported_too(db, form):
    t = Trace(db)
    t.process(0, 100)
    t.sample(1, 10, "f:1", "g:2", ms=-5)
    t.rows("stack", (10, 11, 1), (11, 10, 2), (12, 12, 1), (13, 1, 99))
    for stack in 10, 11, 12, 13, 14, None:
        t.instant(1, "sample", 20, stack, sys.maxsize)
    text = export(t.close(), form)
    if form == "chrome":
        assert len(Reader(text).samples) == 4
    elif form == "collapsed":
        assert text.splitlines()[0] == "parent;f (m.py:1);g (m.py:2) 1"
    else:
        json.loads(text)
