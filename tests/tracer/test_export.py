"""snakefish-trace info, export and events; help and usage."""

import collections
import json
import pathlib
import re

import pytest

from tracing import PROGRAM, ROOT, query, record, trace


def exported(db, *program, options=()):
    record(db, *program, options=options)
    out = db.with_name("out.json")
    done = trace("export", db, "-o", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return json.loads(out.read_text())["traceEvents"]


def ns(us):
    return round(us * 1000)


def slices_by_lane(events):
    lanes = collections.defaultdict(list)
    for e in events:
        if e["ph"] == "X":
            lanes[e["pid"], e["tid"]].append((ns(e["ts"]), ns(e["ts"]) + ns(e["dur"]), e["name"]))
    return lanes


def check(events):
    """Slices nest in each lane; both ends of each arrow lie in a slice, the first one not later."""
    lanes = slices_by_lane(events)
    for lane, slices in lanes.items():
        open_ = []
        for start, end, name in sorted(slices, key=lambda s: (s[0], -s[1])):
            while open_ and open_[-1][1] <= start:
                open_.pop()
            assert end >= start
            assert not open_ or end <= open_[-1][1], (lane, name, open_[-1])
            open_.append((start, end))
    flows = collections.defaultdict(dict)
    for e in events:
        if e["ph"] in "sf":
            assert e["ph"] not in flows[e["id"]]
            flows[e["id"]][e["ph"]] = e
            at = ns(e["ts"])
            assert any(start <= at <= end for start, end, _ in lanes[e["pid"], e["tid"]]), e
    for flow in flows.values():
        assert flow["s"]["ts"] <= flow["f"]["ts"] and flow["f"]["bp"] == "e"
        assert flow["s"]["name"] == flow["f"]["name"]
    return collections.Counter(f["s"]["name"] for f in flows.values())


def test_every_message_fork_and_join_has_its_arrow(db):
    events = exported(db, PROGRAM, "run", "50")
    assert check(events) == {"message": 50, "fork": 1, "join": 1}


def test_names_are_escaped_and_arguments_there(db):
    events = exported(db, PROGRAM, "run", "2")
    names = {e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert names == {"program", "worker"}
    assert any(e["args"].get("task") == 'sender "quoted" ä of messages' for e in events if e["ph"] == "X")
    sends = [e["args"] for e in events if e["ph"] == "X" and e["name"] == "send"]
    assert [(s["seq"], s["bytes"]) for s in sends] == [(1, 64), (2, 64)]


def test_times_are_microseconds_with_the_nanoseconds_behind_the_point(db):
    record(db, PROGRAM, "run", "2")
    out = db.with_name("out.json")
    trace("export", db, "-o", out)
    assert re.search(r'"ts":\d+\.\d{3},"dur":\d+\.\d{3}', out.read_text())
    start = query(db, "SELECT min(start_ns) FROM span WHERE kind = 'fork'")[0][0]
    assert f'"ts":{start // 1000}.{start % 1000:03d}' in out.read_text()


def test_marks_are_instants_and_open_spans_reach_to_the_end(db):
    events = exported(db, PROGRAM, "die", "9")
    check(events)
    open_ = [e for e in events if e["ph"] == "X" and e["args"].get("closed") is False]
    assert [e["name"] for e in open_] == ["a mark", "map"]
    events = exported(db, PROGRAM, "marks", "3")
    assert [e["name"] for e in events if e["ph"] == "i"] == ["a mark"] * 3


def test_a_lossy_trace_still_nests(db):
    check(exported(db, PROGRAM, "run", "20000", options=["--log-records", "256"]))
    assert query(db, "SELECT value FROM stats WHERE name = 'books'") == [("closed",)]


def test_an_unwritable_target_is_a_sentence(db):
    record(db, PROGRAM, "exit", "0")
    for target in db.parent / "no" / "out.json", db.parent, "/dev/full":
        done = trace("export", db, "-o", target)
        assert done.returncode == 1 and "cannot write" in done.stderr, target


def test_info_of_a_whole_trace(db):
    record(db, PROGRAM, "run", "5")
    done = trace("info", db)
    assert done.returncode == 0 and done.stderr == ""
    lines = [line.split() for line in done.stdout.splitlines()]
    assert "no losses" in done.stdout
    assert ["send", "10", "5"] in lines
    assert ["1", "65536", "1", "5", "5", "320"] in lines
    assert any(line[:5] == ["2", str(query(db, "SELECT pid FROM process WHERE id = 2")[0][0]), "1", "worker", "sender"]
               for line in lines)


def test_info_tells_losses_first(db):
    record(db, PROGRAM, "marks", "200000", options=["--log-records", "256"])
    out = trace("info", db).stdout
    assert out.strip().startswith("losses") and "lost_no_room" in out


def test_the_table_of_events_is_that_of_events_def():
    lines = trace("events").stdout.splitlines()
    defined = re.findall(r"^X\((\d+), (\w+), (\w+), (\w+),", (ROOT / "ext/abi/events.def").read_text(), re.M)
    assert [tuple(c.strip() for c in line.split("|")[1:5]) for line in lines[2:]] == [
        (i, name.lower(), phase.lower(), kind.lower()) for i, name, phase, kind in defined]
    assert len({line.count("|") for line in lines}) == 1


def test_the_schemas_literal_ids_are_those_of_the_events():
    text = pathlib.Path(ROOT / "ext/abi/events.def").read_text()
    assert "X(14, SEND," in text and "X(15, RECEIVE," in text and "X(5, FORK," in text and "X(6, START," in text
    assert "X(11, JOIN," in text


@pytest.mark.parametrize("command", ["record", "serve", "collect", "info", "analyze", "export", "events"])
def test_help(command):
    done = trace(command, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: snakefish-trace {command}") and not done.stderr


def test_usage():
    assert trace("--help").returncode == 0
    assert re.fullmatch(r"snakefish-trace \d+\.\d+\.\d+\n", trace("--version").stdout)
    for args in ((), ("what",), ("record",), ("record", "-o"), ("record", "--what", "x"), ("collect",), ("info",),
                 ("info", "a", "b"), ("analyze",), ("analyze", "a", "b"), ("export", "a"), ("events", "x"), ("record", "--log-records", "7", "true")):
        done = trace(*args)
        assert done.returncode == 2 and done.stderr and not done.stdout, args
