"""snakefish-trace info, export and events; help and usage."""

import os
import re
import sqlite3
import sys
import textwrap

import pytest

from chrome_reader import Reader, ns
from handmade import Trace
from tracing import BUILD, PROGRAM, ROOT, meta, query, record, trace


ENVIRONMENT = dict(os.environ, PYTHONPATH=str(BUILD / "lib"))


def export(db):
    out = db.with_name("out.json")
    done = trace("export", db, "-o", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    reader = Reader(out.read_text())
    reader.frames()
    return reader


def exported(db, *program, options=()):
    record(db, *program, options=options)
    return export(db)


def exported_python(db, source, *options):
    done = trace("record", "-o", db, *options, "--", sys.executable, "-c", textwrap.dedent(source), env=ENVIRONMENT)
    assert done.returncode == 0, done
    return export(db)


def received(db):
    return query(db, "SELECT count(*) FROM message WHERE receiver IS NOT NULL")[0][0]


def test_every_message_fork_and_join_has_its_arrow(db):
    assert exported(db, PROGRAM, "run", "50").count() == {"message": 50, "fork": 1, "join": 1}


def test_every_span_nests_and_every_arrow_is_bound_of_all_that_there_is(db):
    reader = exported_python(db, """
        import threading
        from snakefish import Channel, Generator, Thread, map, trace
        channel = Channel(1 << 16)
        def f(n):
            with trace.span("f"):
                for i in range(20):
                    channel.send_pyobj(i)
                    trace.mark("sent")
        def receive():
            for _ in range(40):
                with trace.span("outer"), trace.span("inner"):
                    channel.receive_pyobj()
        lane = threading.Thread(target=lambda: trace.mark("of another lane"))
        lane.start()
        lane.join()
        threads = [Thread(f, lambda g: 1, lambda g, extracted: None, args=(n,)) for n in range(2)] + [Thread(receive)]
        for t in threads:
            t.start()
        def items():
            yield from range(5)
        with Generator(items) as g:
            g.start()
            list(g)
        map(abs, range(6), 2, 1)
        map(abs, range(4), lambda g: 1, lambda g, extracted: None, 2, 1)
        for t in threads:
            t.join()
        """)
    tasks = query(db, "SELECT count(*) FROM task WHERE kind <> 'map'")[0][0]
    joined = query(db, "SELECT count(DISTINCT object) FROM span WHERE kind = 'join'")[0][0]
    assert reader.count() == {"message": 40, "fork": tasks, "join": joined} and joined >= 4
    spans = query(db, "SELECT count(*) FROM span")[0][0]
    assert sum(e["ph"] == "X" and e["cat"] != "process" for e in reader.events) == spans


def test_what_multiprocessing_writes_when_instrumented_is_as_strict(db):
    reader = exported_python(db, """
        import multiprocessing
        from snakefish import trace
        trace.instrument("multiprocessing")
        context = multiprocessing.get_context("fork")
        def work(q):
            for i in range(30):
                q.put((i, "x" * i))
        q = context.SimpleQueue()
        p = context.Process(target=work, args=(q,))
        p.start()
        for _ in range(30):
            q.get()
        p.join()
        with context.Pool(2) as pool:
            pool.map(abs, range(50))
        """)
    arrows = reader.count()
    assert arrows["message"] == received(db) >= 30 and arrows["fork"] == 3 and arrows["join"] >= 1


def test_spans_that_do_not_nest_are_async_events_and_the_others_nest(db):
    reader = exported_python(db, """
        import asyncio, threading, time, snakefish
        from snakefish import trace
        async def request(name, s):
            with trace.span(name):
                await asyncio.sleep(s)
        async def main():
            with trace.span("main"):
                await asyncio.gather(request("a", 0.02), request("b", 0.04), request("b", 0.03))
        asyncio.run(main())
        ends_in_merge, moved, never = (trace.span(name) for name in ("ends in merge", "moved", "never"))
        with trace.span("around"):
            ends_in_merge.__enter__()
            with snakefish.Thread(lambda: 1, lambda g: 1, lambda g, e: ends_in_merge.__exit__(None, None, None)) as t:
                t.start()
        moved.__enter__()
        t = threading.Thread(target=moved.__exit__, args=(None, None, None))
        t.start()
        t.join()
        never.__enter__()
        """)
    async_ = sorted(b["name"] for b, _ in reader.pairs)
    assert async_ == ["a", "b", "b", "ends in merge", "moved"]
    stored = {(text, start): (pid, end - start) for text, start, end, pid in query(
        db, "SELECT text, s.start_ns, s.end_ns, pid FROM span s JOIN text t ON t.id = object JOIN process p ON p.id = process "
            "WHERE kind = 'span'")}
    for b, e in reader.pairs:
        assert stored.pop((b["name"], ns(b["ts"]))) == (b["pid"], ns(e["ts"]) - ns(b["ts"])) and b["tid"] == 0
        assert e["tid"] == (b["name"] == "moved")
    assert {name for name, _ in stored} == {"main", "around", "never"}
    complete = {(e["name"], ns(e["ts"])): (e["pid"], ns(e["dur"]))
                for e in reader.events if e["ph"] == "X" and e["cat"] == "span"}
    assert complete.keys() == stored.keys()
    for span, (pid, length) in complete.items():  # where it touches another one, it ends 1 ns earlier
        assert stored[span][0] == pid and 0 <= stored[span][1] - length <= 3


def test_what_each_shared_variable_has_cost_stands_in_the_spans_of_its_task(db):
    reader = exported_python(db, """
        import snakefish
        hits, table = 0, {}
        def f():
            global hits
            hits += 1
            table["key"] = bytes(1000)
        with snakefish.Thread(f, *snakefish.merge.three_way(["hits", "table"])) as t:
            t.start()
        """)
    spans = {(e["pid"], e["name"]): (ns(e["ts"]), ns(e["ts"]) + ns(e["dur"])) for e in reader.events if e["ph"] == "X"}
    costs = [e for e in reader.events if e["ph"] == "i" and e["cat"] in ("extracted", "merged")]
    assert [(e["cat"], e["name"]) for e in sorted(costs, key=lambda e: (e["cat"], e["name"]))] == [
        ("extracted", "extracted"), ("extracted", "hits"), ("extracted", "table"),
        ("merged", "hits"), ("merged", "merged"), ("merged", "table")]
    for event in costs:
        start, end = spans[event["pid"], {"extracted": "extract", "merged": "merge"}[event["cat"]]]
        assert start <= ns(event["ts"]) <= end and event["args"]["ns"] > 0
        assert set(event["args"]) == {"ns", "bytes" if event["cat"] == "extracted" else "conflicts"}
    assert 1000 < next(e["args"]["bytes"] for e in costs if e["name"] == "table" and e["cat"] == "extracted") < 1100


def test_each_thread_has_a_row_of_its_own_with_its_name(db):
    reader = exported_python(db, """
        import threading
        from snakefish import trace
        def work():
            with trace.span(threading.current_thread().name):
                pass
        for i in range(30):  # one after the other: they have the same lane, or two
            t = threading.Thread(target=work, name=f"worker {i}")
            t.start()
            t.join()
        threading.main_thread().name = "the first"
        work()
        """)
    assert query(db, "SELECT max(lane) < 10 FROM event") == [(1,)]
    names = reader.thread_names()
    spans = [e for e in reader.events if e.get("cat") == "span"]
    assert [names[e["pid"], e["tid"]] for e in spans] == [e["name"] for e in spans]
    assert sorted(names.values()) == sorted(["the first", *(f"worker {i}" for i in range(30))])


def test_with_the_kernels_view_it_is_as_strict(db):
    reader = exported(db, "sh", "-c", f"{PROGRAM} run 20; true", options=["--kernel"])
    assert reader.count() == {"message": 20, "fork": 1, "join": 1}


def test_with_the_kernels_view_each_thread_has_its_times_on_a_cpu(db):
    reader = exported_python(db, """
        import os, threading, time
        if os.fork() == 0:
            bytearray(2_000_000)
            time.sleep(0.01)
            os._exit(0)
        lane = threading.Thread(target=time.sleep, args=(0.01,))
        lane.start()
        lane.join()
        os.wait()
        """, "--kernel")
    if meta(db, "kernel_view") != "complete":
        pytest.skip(meta(db, "kernel_view"))
    strips = reader.strips()
    assert len(strips) == 3 and not set(strips) & {(e["pid"], e["tid"]) for e in reader.events if e.get("cat") == "process"}

    starts = {(pid, ns(e["ts"])) for (pid, _), strip in strips.items() for e in strip}

    def shown(category, name):
        """What touches the next one ends 1 ns earlier."""
        slices = [(pid, ns(e["ts"]), ns(e["ts"]) + ns(e["dur"]), e[name] if name == "name" else e["args"][name])
                  for (pid, _), strip in strips.items() for e in strip if e["cat"] == category]
        return sorted((pid, start, end + ((pid, end + 1) in starts), text) for pid, start, end, text in slices)

    def stored(table, start, end, name, where="1"):
        return sorted(query(db, f"""SELECT p.pid, k.{start}, k.{end}, {name} FROM {table} k
                                    JOIN process p ON p.id = k.process WHERE {where}"""))
    assert shown("cpu", "name") == stored("sched_slice", "start_ns", "end_ns", "'on CPU ' || cpu")
    assert shown("cpu", "ended") == stored("sched_slice", "start_ns", "end_ns", "state")
    runnable = stored("sched_slice", "wake_ns", "start_ns", "'runnable'", "wake_ns < k.start_ns")
    assert runnable and shown("no cpu", "name") == runnable
    blocked = shown("blocked", "name")
    assert blocked == stored("kernel_wait", "start_ns", "end_ns", "'blocked: ' || what", "k.start_ns < k.end_ns")
    assert sum(name == "blocked: sleep" for *_, name in blocked) == 2
    [(main, child)] = query(db, "SELECT p.pid, c.pid FROM process p JOIN process c ON c.parent = p.id")
    assert {e["args"].get("woken by process") for e in strips[child, 4194304 + child]} >= {1}  # its fork
    names = {(e["pid"], e["args"]["name"]) for e in reader.events if e["name"] == "thread_name" and e["tid"] > 4194304}
    assert len(names) == 3 and {(main, "CPU"), (child, "CPU")} < names


def test_with_the_kernels_view_page_faults_are_a_counter_that_grows(db):
    reader = exported_python(db, """
        import os
        for _ in range(2):
            if os.fork() == 0:
                bytearray(2_000_000)
                os._exit(0)
            os.wait()
        """, "--kernel")
    if meta(db, "kernel_view") != "complete":
        pytest.skip(meta(db, "kernel_view"))
    counters = reader.counters()
    assert len(counters) == 3
    for (pid, name), values in counters.items():
        assert name == "page faults" and set(values[0].values()) == {0}
        for kind in "copy-on-write", "first-write", "first-read":
            series = [value[kind] for value in values]
            assert series == sorted(series)
            both = kind, kind.replace("first", "file")
            assert [(series[-1],)] == query(db, f"""SELECT total(count) FROM fault JOIN process p ON p.id = process
                                                    WHERE pid = {pid} AND kind IN {both}""")


def test_slices_that_touch_overlap_or_have_no_length_open_and_close_in_order(db):
    made = Trace(db)
    made.process(1000, 2000)
    made.span(1, "run", 1000, 1509)      # begins with its process
    made.span(1, "send", 1100, 1300)     # touches the next one, of the same name
    made.span(1, "send", 1301, 1508)     # ends with what is around it
    made.span(1, "receive", 1509, 1509.5)  # no length, touches on both sides
    made.span(1, "receive", 1509.6, 2000)  # touches its process's end
    made.rows("sched_slice", (1, 101, 0, 100, 140, "preempted", None, None), (1, 101, 0, 160, 180, "blocked", None, 140),
              (1, 101, 1, 190, 200, "running", None, 190))
    made.rows("kernel_wait", (1, 101, "pipe", 180, 190))
    made.close()
    connection = sqlite3.connect(db)
    with connection:  # 10 ms become a nanosecond, so that times are equal whose order is known
        connection.execute("UPDATE event SET tsc = CAST(tsc AS INTEGER) / 10000000")
        connection.execute("UPDATE process SET start_ns = start_ns / 10000000, end_ns = end_ns / 10000000")
    connection.close()
    slices = [e for e in export(db).events if e["ph"] == "X"]
    assert sorted((e["name"], ns(e["ts"]), ns(e["ts"]) + ns(e["dur"])) for e in slices) == [
        ("blocked: pipe", 180, 189), ("on CPU 0", 100, 139), ("on CPU 0", 160, 179), ("on CPU 1", 190, 200),
        ("p1", 100, 200), ("receive", 148, 149), ("receive", 150, 199), ("run", 100, 147), ("runnable", 140, 159),
        ("send", 110, 129), ("send", 130, 146)]


def test_a_child_that_ends_after_its_parent_is_cut_to_it(db):
    made = Trace(db)
    made.process(0, 10)
    made.span(1, "run", 1, 5)
    made.span(1, "send", 2, 4)
    made.close()
    rows = dict(query(db, "SELECT kind, rowid FROM event WHERE phase = 2"))
    connection = sqlite3.connect(db)
    send = rows[dict(query(db, "SELECT name, id FROM event_kind"))["send"]]
    with connection:  # written before its parent's end, but with a later time
        connection.execute(f"UPDATE event SET tsc = 7000000 WHERE rowid = {send}")
    connection.close()
    times = {e["name"]: (ns(e["ts"]), ns(e["ts"]) + ns(e["dur"])) for e in export(db).events if e["ph"] == "X"}
    assert times == {"p1": (0, 10_000_000), "run": (1_000_000, 5_000_000), "send": (2_000_000, 4_999_999)}


def test_waits_for_channels_are_shown_with_their_names(db):
    reader = exported_python(db, """
        import snakefish, time
        named, other = snakefish.Channel(4096, name='requests "now"'), snakefish.Channel(4096)
        with snakefish.Thread(lambda: (named.receive_pyobj(), other.receive_pyobj())) as t:
            t.start()
            for channel in named, other:
                time.sleep(0.2)  # it waits meanwhile
                channel.send_pyobj(1)
        """)
    waits = [e["args"] for e in reader.events if e.get("cat") == "wait" and e["args"].get("channel")]
    number = query(db, "SELECT id FROM channel WHERE name IS NULL")[0][0]
    assert {args["channel"] for args in waits} == {'requests "now"', f"channel {number}"}
    assert not any("number of the task or channel" in args for args in waits)
    sends = {e["args"]["channel"] for e in reader.events if e.get("cat") in ("send", "receive")}
    assert sends == {args["channel"] for args in waits}


def test_names_are_escaped_and_arguments_there(db):
    events = exported(db, PROGRAM, "run", "2").events
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
    events = exported(db, PROGRAM, "die", "9").events
    open_ = [e for e in events if e["ph"] == "X" and e["args"].get("closed") is False]
    assert [e["name"] for e in open_] == ["a mark", "map"]
    events = exported(db, PROGRAM, "marks", "3").events
    assert [e["name"] for e in events if e["ph"] == "i"] == ["a mark"] * 3


def test_a_lossy_trace_still_nests(db):
    exported(db, PROGRAM, "run", "20000", options=["--log-records", "256"]).count()
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
    assert ["1", "65536", "1", "5", "5", "320", "-"] in lines
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


def test_no_sql_types_an_events_id():
    sources = sorted((ROOT / "tracer").glob("*/*.sql"))
    assert sources
    for source in sources:
        assert not re.search(r"\bkind\s*(=|<>|IN\b)\s*\(?\d", source.read_text()), source
    events = (ROOT / "ext/abi/events.def").read_text()
    ids = {name: number for number, name in re.findall(r"^X\((\d+), (\w+),", events, re.M)}
    made = (BUILD / "gen/store/schema.sql").read_text()
    assert f"s.kind = {ids['SEND']}" in made and f"m.kind = {ids['RECEIVE']}" in made


def test_usage():
    assert trace("--help").returncode == 0
    assert re.fullmatch(r"snakefish-trace \d+\.\d+\.\d+\n", trace("--version").stdout)
    for args in ((), ("what",), ("record",), ("record", "-o"), ("record", "--what", "x"), ("collect",), ("info",),
                 ("info", "a", "b"), ("analyze",), ("analyze", "a", "b"), ("export", "a"), ("events", "x"),
                 ("record", "--log-records", "7", "true")):
        done = trace(*args)
        assert done.returncode == 2 and done.stderr and not done.stdout, args
