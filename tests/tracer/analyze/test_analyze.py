"""snakefish-trace analyze on traces whose answers are worked out by hand. What its parts do alone is tested in C."""

import json
import random
import re
import sqlite3

import pytest

from handmade import MS, Trace
from tracing import PROGRAM, query, record, trace


def two_threads(path):
    """A parent forks two Threads and merges what they extract; the second requires a message of the first. In ms:

    parent  0 run 10 fork 12 fork 14 | join: wait ....... 45 46 merge 50 | wait ............... 81 82 merge 86 run 90
    first         12 13 run ... 30 send 32 run 33 extract 35 pickle 38 copy 40 .. 44
    second              14 15 run 25 26 wait ... 34 35 run ....................... 75 pickle 77 copy 78 .. 80
    """
    t = Trace(path)
    t.process(0, 90)
    t.process(12, 44, parent=1, task=1)
    t.process(14, 80, parent=1, task=2)
    t.span(1, "fork", 10, 12, 1)
    t.span(1, "fork", 12, 14, 2)
    t.span(1, "join", 14, 50, 1)
    t.wait(1, "child", 14, 45, 1)
    t.span(1, "merge", 46, 50, 1)
    t.span(1, "join", 50, 86, 2)
    t.wait(1, "child", 50, 81, 2)
    t.span(1, "merge", 82, 86, 2)
    t.instant(2, "start", 12, 1)
    t.span(2, "run", 13, 33, 1)
    t.span(2, "send", 30, 32, 1, 1, 64)
    t.span(2, "extract", 33, 35, 1)
    t.span(2, "result", 35, 40, 1)
    t.instant(2, "pickled", 38, a=10, b=35 * MS)
    t.instant(3, "start", 14, 2)
    t.span(3, "run", 15, 75, 2)
    t.span(3, "receive", 25, 35, 1, 1, 64)
    t.wait(3, "message", 26, 34, 1)
    t.span(3, "result", 75, 78, 2)
    t.instant(3, "pickled", 77, a=10, b=75 * MS)
    t.rows("channel", (1, 4096, 1, "channel", None))
    return t


def analyzed(trace_):
    path = trace_.close()
    done = trace("analyze", path)
    assert (done.returncode, done.stderr) == (0, ""), done
    return path


def ledger(db, process):
    return {category: ns / MS for category, ns in query(db, f"SELECT category, ns FROM ledger WHERE process = {process}") if ns}


def critical_path(db):
    """Its pieces: (process, activity, start, end), in ms."""
    return query(db, f"SELECT process, activity, start_ns / {MS}.0, end_ns / {MS}.0 FROM critical_path ORDER BY step")


def what_if(db):
    return {what: saved / MS for what, saved in query(db, "SELECT what, saved_ns FROM what_if WHERE measured")}


def test_the_ledger_counts_every_moment_once(db):
    analyzed(two_threads(db))
    assert ledger(db, 1) == {"running": 14, "forking": 4, "late child": 62, "merging": 8, "other": 2}
    assert ledger(db, 2) == {"running": 18, "copying": 4, "pickling": 3, "extracting": 2, "starting": 1, "ending": 4}
    assert ledger(db, 3) == {"running": 50, "copying": 3, "pickling": 2, "late sender": 8, "starting": 1, "ending": 2}
    assert query(db, "SELECT count(*) FROM ledger GROUP BY process") == [(18,)] * 3


def test_the_critical_path_goes_over_at_each_wait_to_the_process_that_ended_it(db):
    analyzed(two_threads(db))
    assert critical_path(db) == [
        (1, "running", 0, 10), (2, "forking", 10, 12), (2, "starting", 12, 13), (2, "running", 13, 30),
        (2, "copying", 30, 32), (3, "handover", 32, 34), (3, "copying", 34, 35), (3, "running", 35, 75),
        (3, "pickling", 75, 77), (3, "copying", 77, 78), (3, "ending", 78, 80), (1, "handover", 80, 81),
        (1, "other", 81, 82), (1, "merging", 82, 86), (1, "running", 86, 90)]
    running = query(db, "SELECT ns, share, mean_ns, imbalance_ns FROM path_activity WHERE activity = 'running'")[0]
    assert running == (71 * MS, pytest.approx(71 / 90), 82 * MS // 3, 71 * MS - 82 * MS // 3)


def test_a_childs_exit_event_ends_its_parents_wait_though_the_kernel_sees_it_end_later(db):
    t = Trace(db)
    t.process(0, 60)
    t.process(2, 53, parent=1, task=1)
    t.span(1, "fork", 0, 2, 1)
    t.span(1, "join", 2, 52, 1)
    t.wait(1, "child", 2, 51, 1)
    t.instant(2, "start", 2, 1)
    t.span(2, "run", 2, 50, 1)
    t.instant(2, "exit", 50, 1)
    analyzed(t)
    assert critical_path(db) == [
        (2, "forking", 0, 2), (2, "running", 2, 50), (1, "handover", 50, 51), (1, "other", 51, 52),
        (1, "running", 52, 60)]


def test_the_pop_tree_is_that_worked_out_by_hand(db):
    """Useful time: the second thread has a lane, 50; the parent and the first thread share the other, 14 + 18. When nothing
    but running takes time, the parent forks at 10, the first thread sends at 27, the second one runs on until 67, and the
    parent until 71."""
    analyzed(two_threads(db))
    found = dict(query(db, "SELECT name, value FROM efficiency"))
    assert found["lanes"] == 2
    assert (found["duration_ns"], found["useful_ns"], found["largest_ns"], found["ideal_ns"]) == (
        90 * MS, 82 * MS, 50 * MS, 71 * MS)
    assert found["load_balance"] == pytest.approx(41 / 50)
    assert found["serialisation"] == pytest.approx(50 / 71)
    assert found["transfer"] == pytest.approx(71 / 90)
    assert found["parallel_efficiency"] == pytest.approx(82 / 180)
    assert found["load_balance"] * found["serialisation"] * found["transfer"] == pytest.approx(found["parallel_efficiency"])


def test_what_if_replays_the_graph_without_it(db):
    """imbalance: each thread runs for 34. The first one sends at 47.1 instead of 32, the second goes on at 50.1, and from
    there it has 27.2 to run: so the run would last longer, not shorter. processes: the forks, 2, and the second thread's begin,
    1, its end, 2, and the wait for that, 1."""
    analyzed(two_threads(db))
    assert what_if(db) == {"fork": 2, "merge": 4, "transfer": 8, "processes": 6, "imbalance": pytest.approx(-2.311, abs=0.001)}


def test_who_sends_less_still_waits_for_the_end_of_its_child(db):
    """The wait for the second thread goes on for 1 after its end: that is a cost of processes, and of no transfer."""
    t = Trace(db)
    t.process(0, 60)
    t.process(2, 50, parent=1, task=1)
    t.span(1, "fork", 0, 2, 1)
    t.span(1, "join", 2, 51, 1)
    t.wait(1, "child", 2, 51, 1)
    t.instant(2, "start", 2, 1)
    t.span(2, "run", 2, 50, 1)
    t.instant(2, "exit", 50, 1)
    analyzed(t)
    assert (what_if(db)["transfer"], what_if(db)["processes"]) == (0, 3)


def test_page_faults_vanish_with_the_transfer_in_which_they_happened(db):
    """Half of the second thread's pickling, from 75 to 77, is page faults: without the transfer it has none of both."""
    t = two_threads(db)
    t.rows("fault", (3, 103, "first-write", "user", 75 * MS, 77 * MS, 100, MS, 1))
    analyzed(t)
    assert (ledger(db, 3)["pickling"], ledger(db, 3)["page faults"]) == (1, 1)
    assert what_if(db)["transfer"] == 8


def test_a_what_if_that_is_a_lower_bound_says_at_least(db):
    path = two_threads(db).close()
    bounds = {row["what"]: (row["bound"], row["doc"]) for row in json.loads(trace("analyze", "--json", path).stdout)["what_if"]}
    assert {what for what, (bound, _) in bounds.items() if bound == "at least"} == {"fork", "processes", "merge", "transfer"}
    assert all(bound in (None, "at least") and doc for bound, doc in bounds.values())
    shown = trace("analyze", path).stdout
    assert {what: (bound, doc) for what, bound, doc in query(path, "SELECT what, bound, doc FROM what_if")} == bounds
    for what in ("fork", "processes", "merge", "transfer", "imbalance"):
        line = next(line for line in shown.splitlines() if line.startswith(f"  {what} "))
        bound, doc = bounds[what]
        assert line.endswith(f"x   {bound}: {doc}" if bound else f"x   {doc}"), line


def test_time_without_a_cpu_and_page_faults_are_taken_from_what_the_process_did(db):
    t = two_threads(db)
    t.rows("sched_slice", (2, 102, 0, 25 * MS, 30 * MS, "blocked", None, 20 * MS),
           (2, 999, 0, 29 * MS, 30 * MS, "blocked", None, 28 * MS))  # another thread's
    t.rows("fault", (2, 102, "copy-on-write", "user", 13 * MS, 23 * MS, 100, MS, 1),
           (3, 103, "first-write", "user", 26 * MS, 36 * MS, 100, MS, 1))
    analyzed(t)
    assert ledger(db, 2) == {"running": 12, "copying": 4, "pickling": 3, "extracting": 2, "starting": 1, "ending": 4,
                             "no cpu": 5, "page faults": 1}
    # of the slot's 10 ms the second thread waited for 8: half of the cost comes from its copying, half from its running
    assert ledger(db, 3) == {"running": 49.5, "copying": 2.5, "pickling": 2, "late sender": 8, "starting": 1, "ending": 2,
                             "page faults": 1}
    assert what_if(db)["copy-on-write"] == 1
    assert what_if(db)["no cpu"] == 5
    assert "an estimate: counted" in trace("analyze", db).stdout


def test_a_wait_that_was_interrupted_is_still_one_wait(db):
    """The second thread waits for the message from 26 to 34. It is woken for nothing at 28, and for the message at 33."""
    t = two_threads(db)
    t.rows("sched_slice", (3, 103, 0, 29 * MS, 30 * MS, "blocked", None, 28 * MS),
           (3, 103, 0, 33.5 * MS, 40 * MS, "blocked", 2, 33 * MS))
    analyzed(t)
    assert ledger(db, 3) == {"running": 50, "copying": 3, "pickling": 2, "late sender": 6.5, "no cpu": 1.5, "starting": 1,
                             "ending": 2}
    assert critical_path(db)[4:9] == [
        (2, "copying", 30, 32), (3, "handover", 32, 33), (3, "no cpu", 33, 33.5), (3, "late sender", 33.5, 34),
        (3, "copying", 34, 35)]
    assert what_if(db)["no cpu"] == 0.5
    assert what_if(db)["transfer"] == 7.5  # the time without a CPU stays


def test_more_faults_than_there_is_time_for_take_all_of_it_and_no_more(db):
    t = Trace(db)
    t.process(0, 10)
    t.wait(1, "message", 4, 9)
    t.rows("fault", (1, 101, "first-write", "user", 0, 5 * MS, 9, 7 * MS, 1))
    analyzed(t)
    assert ledger(db, 1) == {"page faults": 4, "late sender": 5, "running": 1}


def test_waits_that_only_the_kernel_saw_have_their_categories(db):
    """The program has no events: it waits for its child, and the path goes through the child."""
    t = Trace(db)
    t.process(0, 100)
    t.process(10, 60, parent=1)
    t.rows("kernel_wait", (1, 101, "child", 20 * MS, 61 * MS), (1, 101, "pipe", 70 * MS, 75 * MS),
           (1, 101, "sleep", 75 * MS, 78 * MS), (1, 101, "futex", 80 * MS, 84 * MS), (1, 9, "poll", 90 * MS, 95 * MS),
           (1, 101, "poll", 84 * MS, 86 * MS), (1, 101, "full socket", 86 * MS, 87 * MS),
           (1, 101, "full pipe", 88 * MS, 90 * MS), (1, 101, "file lock", 90 * MS, 93 * MS),
           (1, 101, "other", 93 * MS, 95 * MS), (1, 101, "fault", 95 * MS, 96 * MS))
    analyzed(t)
    assert ledger(db, 1) == {"running": 39, "late child": 41, "late sender": 7, "late receiver": 3, "lock": 7, "sleeping": 3}
    assert critical_path(db)[:3] == [(1, "running", 0, 10), (2, "running", 10, 60), (1, "handover", 60, 61)]


def test_tracing_is_the_number_of_events_times_their_cost(db):
    t = two_threads(db)
    t.rows("meta", ("event_cost_ps", 2_000_000))
    path = analyzed(t)
    events = query(path, "SELECT count(*) FROM event WHERE process = 3")[0][0]
    assert ledger(path, 3)["tracing"] == pytest.approx(events * 0.002)
    assert sum(ledger(path, 3).values()) == pytest.approx(66)


def test_what_was_open_before_lost_records_is_not_known(db):
    t = Trace(db)
    t.process(0, 100)
    t.span(1, "merge", 10, None)
    t.instant(1, "lost", 30, a=5)
    t.instant(1, "mark", 50)
    analyzed(t)
    assert ledger(db, 1) == {"running": 60, "merging": 20, "other": 20}


def test_the_users_own_spans_and_other_threads_change_nothing(db):
    t = Trace(db)
    t.process(0, 100)
    t.span(1, "merge", 10, 50)
    t.span(1, "span", 20, 60, 1)
    t.span(1, "receive", 30, 90, 1, lane=1)
    analyzed(t)
    assert ledger(db, 1) == {"running": 60, "merging": 40}


def generator(path):
    """The parent asks and waits from 10 to 31. The item is pickled at 30; its span ends at 35, after it was sent."""
    t = Trace(path)
    t.process(0, 50)
    t.process(2, 45, parent=1, task=1)
    t.span(1, "fork", 1, 2, 1)
    t.span(1, "next", 9, 32, 1, 8)
    t.wait(1, "item", 10, 31, 1)
    t.span(2, "run", 3, 40, 1)
    t.wait(2, "request", 4, 9.5, 1)
    t.span(2, "item", 10, 35, 1, 8)
    t.instant(2, "pickled", 30, a=8, b=28 * MS)
    return t


def test_a_generators_item_is_handed_over_when_it_is_pickled(db):
    analyzed(generator(db))
    assert critical_path(db) == [
        (1, "running", 0, 1), (1, "forking", 1, 2), (1, "running", 2, 9), (2, "handover", 9, 9.5),
        (2, "running", 9.5, 28), (2, "pickling", 28, 30), (1, "handover", 30, 31), (1, "other", 31, 32),
        (1, "running", 32, 50)]


def test_a_wait_in_parts_vanishes_when_what_it_was_for_is_there_before(db):
    """If the first thread had had a CPU from 13 to 28, it would have sent at 17, before the second began to wait at 26. Of
    the 8 ms of that wait only the last 0.5 stay, after the second thread got its CPU back."""
    t = two_threads(db)
    t.rows("sched_slice", (2, 102, 0, 28 * MS, 40 * MS, "blocked", None, 13 * MS),
           (3, 103, 0, 29 * MS, 30 * MS, "blocked", None, 28 * MS),
           (3, 103, 0, 33.5 * MS, 40 * MS, "blocked", 2, 33 * MS))
    analyzed(t)
    assert what_if(db)["no cpu"] == 7.5


def test_a_map_worker_and_its_parent_end_each_others_waits(db):
    """The worker's first results are ready at 40. They find no room until the parent has copied something at 50."""
    t = Trace(db)
    t.process(0, 100)
    t.process(10, 92, parent=1, task=1)
    t.span(1, "map", 5, 95, 2)
    t.span(1, "fork", 8, 10, 1)
    t.wait(1, "message", 10, 90)
    t.instant(1, "copied", 50, a=5000, b=48 * MS)
    t.span(2, "run", 11, 90, 1)
    t.span(2, "chunk", 12, 80, 1)
    t.instant(2, "pickled", 40, a=9000, b=30 * MS)
    t.wait(2, "room", 41, 51)
    analyzed(t)
    assert critical_path(db) == [
        (1, "running", 0, 5), (1, "other", 5, 8), (2, "forking", 8, 10), (2, "starting", 10, 11), (2, "running", 11, 30),
        (2, "pickling", 30, 40), (1, "handover", 40, 48), (1, "copying", 48, 50), (2, "handover", 50, 51),
        (2, "running", 51, 80), (1, "handover", 80, 90), (1, "other", 90, 95), (1, "running", 95, 100)]


def test_what_is_submitted_ends_the_wait_of_its_worker(db):
    """The worker has no task: it is another program's. It waits from 20 to 60 for what was submitted at 50."""
    t = Trace(db)
    t.process(0, 100)
    t.process(10, 95, parent=1)
    t.instant(1, "submit", 5, a=7)
    t.span(2, "chunk", 10, 20, None, 7, 1)
    t.wait(1, "message", 6, 22)
    t.wait(2, "request", 20, 60)
    t.instant(1, "submit", 50, a=8)
    t.wait(1, "message", 51, 92)
    t.events.append((60 * MS, 1, 2, "chunk", None, 8, 1, 0, 1000))
    t.events.append((90 * MS, 2, 2, "chunk", None, 8, 1, 0, 1000))
    analyzed(t)
    assert critical_path(db)[-5:] == [(1, "running", 22, 50), (2, "handover", 50, 60), (2, "running", 60, 90),
                                      (1, "handover", 90, 92), (1, "running", 92, 100)]


def test_a_channel_is_shown_by_its_name_and_not_what_a_terminal_must_not_get(db):
    t = two_threads(db)
    t.db.execute("UPDATE channel SET name = 'requests' || char(27) || '[31m' || char(8238)")
    analyzed(t)
    for command in "analyze", "info":
        out = trace(command, db).stdout
        assert "requests" in out and not set("\x1b\u202e").intersection(out), command
    assert query(db, "SELECT name LIKE 'requests%' FROM channel_use") == [(1,)]


def test_messages_and_channels_have_their_times(db):
    """The receiver waits 5 ms before the first send begins; the second message lies 20 ms in the channel; nobody takes the
    third."""
    t = two_threads(db)
    t.span(2, "send", 32.5, 33, 1, 2, 100)
    t.span(3, "receive", 53, 54, 1, 2, 100)
    t.span(1, "send", 87, 88, 1, 3, 36)
    analyzed(t)
    assert query(db, "SELECT latency_ns, queueing_ns, late_sender_ns FROM message ORDER BY seq") == [
        (3 * MS, 0, 5 * MS), (21 * MS, 20 * MS, 0), (None, None, None)]
    assert query(db, "SELECT ns, messages, bytes FROM channel_depth ORDER BY ns") == [
        (32 * MS, 1, 64), (33 * MS, 2, 164), (35 * MS, 1, 100), (54 * MS, 0, 0), (88 * MS, 1, 36)]
    assert query(db, """SELECT messages, received, bytes, senders, receivers, last_ns - first_ns, depth_max, latency_mean_ns,
                        messages_per_s FROM channel_use""") == [(3, 2, 200, 2, 1, 56 * MS, 2, 12 * MS, 3 / 0.056)]


def notes(t):
    path = t.close()
    done = trace("analyze", "--json", path)
    assert (done.returncode, done.stderr) == (0, "")
    return [row["note"] for row in json.loads(done.stdout)["notes"]]


def add_log(t, process):
    t.db.execute("INSERT INTO log(process, first_seq, file, pid) VALUES(?, 0, ?, ?)", (process, f"log.{process}", 100 + process))


def shared(path):
    """Two tasks change `table`, one changes `hits` too, and both compare `fixed`. In ms, of two_threads:

    first   extract 33 .. 35: table 100 bytes 1, hits 8 bytes 0.25, fixed 0.25; the rest 0.5
    second  extract 75 .. 75: table 2,000,000 bytes 4, fixed 0.5; the rest 0.5
    parent  merge 46 .. 50: table 2, hits 0.5, the rest 1; 82 .. 86: table 3 with 2 conflicts, the rest 0.5
    """
    t = two_threads(path)
    t.rows("text", (1, "table"), (2, "hits"), (3, "fixed"))
    for process, at, kind, text, a, ms in (
            (2, 35, "extracted", 1, 100, 1), (2, 35, "extracted", 2, 8, 0.25), (2, 35, "extracted", 3, 0, 0.25),
            (2, 35, "extracted", None, 0, 0.5), (3, 75, "extracted", 1, 2_000_000, 4), (3, 75, "extracted", 3, 0, 0.5),
            (3, 75, "extracted", None, 0, 0.5), (1, 50, "merged", 1, 0, 2), (1, 50, "merged", 2, 0, 0.5),
            (1, 50, "merged", None, 0, 1), (1, 86, "merged", 1, 2, 3), (1, 86, "merged", None, 0, 0.5)):
        t.instant(process, kind, at, text, a, int(ms * MS))
    return t


def test_merges_have_their_cost_by_variable(db):
    path = analyzed(shared(db))
    assert query(path, "SELECT * FROM merge_cost ORDER BY variable") == [
        (None, 2, 0, MS, 3 * MS // 2, 0), ("fixed", 0, 0, 3 * MS // 4, 0, 0), ("hits", 1, 8, MS // 4, MS // 2, 0),
        ("table", 2, 2_000_100, 5 * MS, 5 * MS, 2)]
    assert json.loads(trace("analyze", "--json", path).stdout)["merges"][1] == {
        "variable": "hits", "tasks": 1, "bytes": 8, "extract_ns": MS // 4, "merge_ns": MS // 2, "conflicts": 0}
    said = trace("analyze", path).stdout
    said = said[said.index("merges by variable\n"):said.index("\nchannels")]
    assert re.sub(" +\n", "\n", said) == """\
merges by variable
  variable  tasks    bytes  extract s  merge s    conflicts
  table         2  2000100   0.005000   0.005000          2  most of the bytes: share only what other tasks need
  fixed         0        0   0.000750   0.000000          0  compared, and no task has changed it: it need not be shared
  hits          1        8   0.000250   0.000500          0
  -             2        0   0.001000   0.001500          0  of no single variable: the search for changes, storing them
"""


def test_without_shared_variables_there_are_no_merges_by_variable(db):
    path = analyzed(two_threads(db))
    assert "merges by variable" not in trace("analyze", path).stdout
    assert json.loads(trace("analyze", "--json", path).stdout)["merges"] == []


def test_children_without_a_log_are_told_first(db):
    """Of two children that were forked one has a log. A third was reaped, and a log found no room."""
    t = two_threads(db)
    for process in 1, 2, 3:
        add_log(t, process)
    t.span(1, "fork", 3, 4, 7, 102)
    t.span(1, "fork", 4, 5, 8, 900)
    t.span(1, "fork", 5, 6, 8, 0, 11)  # this fork failed
    t.rows("reap", (900, 5 * MS, 1, 0), (901, 6 * MS, 1, 0), (902, 6 * MS, 0, 0))
    t.rows("stats", ("lost_logs", None, "loss", 1))
    told = notes(t)
    assert told[0].startswith("2 children had no log: what they did is missing here")
    assert told[1].startswith("1 log is lost: what its process did is missing here")


def test_a_trace_of_processes_with_logs_warns_of_none(db):
    t = two_threads(db)
    for process in 1, 2, 3:
        add_log(t, process)
    t.span(1, "fork", 3, 4, 7, 102)
    t.rows("reap", (102, 5 * MS, 1, 0))
    assert not any("log" in note for note in notes(t))


def test_children_that_only_the_kernel_saw_are_told(db):
    t = Trace(db)
    t.process(0, 100)
    t.process(10, 60, parent=1)
    t.process(20, 30, parent=2)
    add_log(t, 1)
    t.rows("kernel_life", *[(i, 100 + i, 0, 100 * MS, 0, 0) for i in (1, 2, 3)])
    t.rows("reap", (102, 60 * MS, 1, 0))
    assert notes(t)[0] == "1 child had no log: what it did is known by the kernel's view only"


def test_cpu_time_of_children_without_a_log_is_told(db):
    """The parent's children have used 60 ms: the first 15, and 5 in children of its own; the second does not say what it
    used, and lived for 10 ms on 2 CPUs. So children without a log have used 20 ms at least."""
    t = Trace(db)
    t.process(0, 100)
    t.process(10, 60, parent=1)
    t.process(20, 30, parent=1)
    t.rows("meta", ("cpus", 2))
    t.instant(2, "usage", 59, a=15 * MS, b=5 * MS)
    t.instant(1, "usage", 99, a=100 * MS, b=60 * MS)
    assert not any("without a log" in note for note in notes(t))  # 20 ms are no more than what two begins may take
    t = Trace(db.with_name("more.db"))
    t.process(0, 100)
    t.process(10, 60, parent=1)
    t.process(20, 30, parent=1)
    t.rows("meta", ("cpus", 2))
    t.instant(2, "usage", 59, a=15 * MS, b=5 * MS)
    t.instant(1, "usage", 99, a=100 * MS, b=440 * MS)
    assert notes(t)[0].startswith("children without a log used 0.400 s of CPU time: what they did is missing here")


@pytest.mark.parametrize("used, told", [(95, False), (40, True)])
def test_running_time_on_no_cpu_is_told(db, used, told):
    t = Trace(db)
    t.process(0, 100)
    t.instant(1, "usage", 100, a=used * MS)
    assert [note[:45] for note in notes(t)[:1]] == (["of the running time 0.060 s were on no CPU: t"] if told else
                                                     ["without the kernel's view (record --kernel) p"])


def test_running_time_is_not_doubted_where_the_kernel_has_seen_it_or_the_process_went_on_in_another_program(db):
    for n, (table, row) in enumerate({"kernel_life": (1, 101, 0, 100 * MS, 0, 0), "log": None}.items()):
        t = Trace(db.with_name(f"{n}.db"))
        t.process(0, 100)
        t.instant(1, "usage", 100, a=10 * MS)
        if row:
            t.rows(table, row)
        else:
            add_log(t, 1)
            add_log(t, 1)
        assert not any("on no CPU" in note for note in notes(t))


def test_json_says_the_same_as_the_tables(db):
    path = two_threads(db).close()
    found = json.loads(trace("analyze", "--json", path).stdout)
    assert set(found) == {"advice", "notes", "efficiency", "what_if", "critical_path", "processes", "ledger", "threads",
                          "functions", "merges", "channels"}
    assert [(r["process"], r["category"], r["ns"]) for r in found["ledger"] if r["ns"]] == query(
        path, "SELECT l.* FROM ledger l JOIN category c ON c.name = l.category WHERE ns ORDER BY l.process, c.id")
    assert {r["name"]: r["value"] for r in found["efficiency"]}["lanes"] == 2
    assert any("without the kernel's view" in r["note"] for r in found["notes"])


def test_two_runs_are_compared(db, tmp_path):
    """The other run forks one thread less, and takes 60 in place of 90."""
    path = two_threads(db).close()
    other = Trace(tmp_path / "other.db")
    other.process(0, 60)
    other.process(12, 44, parent=1, task=1)
    other.span(1, "fork", 10, 12, 1)
    other.span(1, "join", 14, 50, 1)
    other.wait(1, "child", 14, 45, 1)
    other.span(2, "run", 13, 40, 1)
    done = trace("analyze", other.close(), "--against", path)
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.splitlines()[0]
    assert first == ("0.060 s against 0.090 s: 1.50x as fast; most of the difference is running: 0.049 s against 0.082 s, of all "
                     "processes")
    rows = {line.split("  ")[1].strip(): line.split()[-3:] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert rows["late child"] == ["0.031000", "0.062000", "-0.031000"] and rows["pickling"][0] == "0.000000"
    found = json.loads(trace("analyze", "--json", "--against", path, other.path).stdout)["against"]
    assert {"kind": "efficiency", "name": "duration_ns", "value": 60 * MS, "against": 90 * MS} in found
    missing = trace("analyze", path, "--against", tmp_path / "none.db")
    assert missing.returncode == 1 and "none.db" in missing.stderr and missing.stdout == ""


@pytest.mark.parametrize("idle_percent, cpu_share, promised", [(44, 1, 1.6), (0, 0.5, 1.3)])
def test_no_more_is_promised_than_the_cpus_that_a_program_has_beside_others_allow(db, idle_percent, cpu_share, promised):
    """0.8 s alone, and 0.1 s in two children: divided among 2 CPUs 0.5 s in place of 0.9. Among those that work besides, 0.6."""
    t = Trace(db)
    t.rows("meta", ("cpus", "2"), ("cpu_idle_percent", str(idle_percent)))
    t.process(0, 900)
    t.wait(1, "child", 802, 899, 1)
    for task in 1, 2:
        t.process(800, 900, parent=1, task=task)
        t.span(1, "fork", 800, 801, task)
        t.instant(1 + task, "start", 800, task)
        t.span(1 + task, "run", 800, 899, task)
        t.instant(1 + task, "usage", 899, a=int(100 * MS * cpu_share))
    t.instant(1, "usage", 899, a=int(800 * MS * cpu_share))
    analyzed(t)
    assert query(db, "SELECT disease, gain FROM advice WHERE rank = 1") == [("serial part", promised)]


def map_of(path, workers, cpu_ms, arguments=40):
    """A map whose workers have that CPU time together."""
    t = Trace(path)
    t.process(0, 100)
    t.wait(1, "child", 7, 95, 1)
    for i in range(workers):
        t.process(10, 90, parent=1, task=i + 1)
        t.span(1, "fork", 5, 6, i + 1)
        t.instant(2 + i, "start", 10, i + 1)
        t.span(2 + i, "run", 11, 89, i + 1)
        t.span(2 + i, "chunk", 12, 88, i + 1, i + 1, arguments // workers)
        t.instant(2 + i, "usage", 89, a=cpu_ms * MS // workers)
    return t.close()


@pytest.mark.parametrize("first", [1, 2])
def test_two_runs_show_that_workers_slow_each_other_down(tmp_path, first):
    runs = {workers: map_of(tmp_path / f"{workers}.db", workers, 75 * workers) for workers in (1, 2)}
    words = "analyze", runs[first], "--against", runs[3 - first]
    said = trace(*words).stdout.splitlines()[0]
    assert said.startswith("the same 40 arguments need 2.0 times as much CPU time with 2 at once as with 1: "), said
    found = json.loads(trace(*words, "--json").stdout)
    assert found["advice"] == [{"disease": "shared memory", "sentence": said, "gain": None}]
    assert {"kind": "tasks", "name": "arguments", "value": 40, "against": 40} in found["against"]


@pytest.mark.parametrize("cpu_ms, arguments", [(90, 40), (150, 20)])
def test_the_same_cpu_time_or_other_work_is_no_sign_of_that(tmp_path, cpu_ms, arguments):
    one, two = map_of(tmp_path / "1.db", 1, 75), map_of(tmp_path / "2.db", 2, cpu_ms, arguments)
    assert "s against " in trace("analyze", two, "--against", one).stdout.splitlines()[0]
    assert json.loads(trace("analyze", two, "--against", one, "--json").stdout)["advice"] == []


def test_a_database_that_cannot_be_written_is_analysed_all_the_same(db):
    path = two_threads(db).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = trace("analyze", path)
    other.execute("ROLLBACK")
    other.close()
    assert done.returncode == 0 and "parallel efficiency       45.6 %" in done.stdout
    assert query(path, "SELECT (SELECT count(*) FROM ledger) + (SELECT count(*) FROM efficiency)") == [(0,)]


def test_analysing_twice_gives_the_same(db):
    path = two_threads(db).close()
    first, again = trace("analyze", path), trace("analyze", path)
    assert first.returncode == 0 and first.stdout == again.stdout


def test_a_recorded_trace_and_an_empty_one(db):
    record(db, PROGRAM, "run", "100")
    done = trace("analyze", db)
    assert done.returncode == 0 and "ledger, per cent" in done.stdout
    assert query(db, "SELECT (SELECT sum(end_ns - start_ns) FROM critical_path) = value FROM efficiency "
                     "WHERE name = 'duration_ns'") == [(1,)]
    db.unlink()
    done = trace("analyze", Trace(db).close())
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_no_trace_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "text").write_text("x" * 500)
    for path in tmp_path / "text", tmp_path / "no", tmp_path:
        done = trace("analyze", path)
        assert done.returncode == 1 and not done.stdout and done.stderr.count("\n") == 1, path


def at_random(path, seed):
    """Anything that a log might say: ends without a begin, times that go back, waits for nobody, kernel rows that overlap."""
    r = random.Random(seed)
    t = Trace(path)
    for task in range(r.randint(1, 6)):
        start = r.randint(0, 50)
        t.process(start, start + r.randint(0, 100), parent=r.choice([None, 1, task]) if task else None,
                  task=r.choice([None, task]))
    kinds = sorted(t.kinds)
    for _ in range(r.randint(0, 200)):
        at = r.randint(-10, 160)
        t.span(r.randint(1, 7), r.choice(kinds), at, r.choice([None, at + r.randint(0, 40)]), r.randint(0, 6),
               r.randint(0, 6), r.choice([0, r.randint(0, 6), r.randint(0, 160) * MS]), lane=r.choice([0, 0, 0, 1]))
        t.instant(r.randint(1, 7), r.choice(kinds), at, r.randint(0, 6), r.randint(0, 6), r.randint(-160, 160) * MS)
    for _ in range(r.choice([0, 30])):
        at, process = r.randint(-10, 160) * MS, r.randint(1, 7)
        span = (at, at + r.randint(-5, 30) * MS)
        t.rows("sched_slice", (process, 100 + process, 0, span[1], span[1] + MS, "blocked", None, span[0]))
        kind = r.choice(["copy-on-write", "first-read"])
        t.rows("fault", (process, 100 + process, kind, "user", *span, 1, r.randint(0, 40) * MS, 1))
        t.rows("kernel_wait", (process, 100 + process, r.choice(["child", "futex", "full pipe", "poll"]), *span))
    t.rows("meta", ("event_cost_ps", r.choice([0, 10_000, MS * 1000])))
    return t.close()


def damage(path, seed):
    """Puts texts, blobs and numbers out of range in the place of times and ids."""
    r = random.Random(seed)
    columns = {"process": ["start_ns", "end_ns", "parent", "task", "pid"], "task": ["process"],
               "event": ["tsc", "kind", "object", "a", "b", "phase", "lane", "begin"],
               "sched_slice": ["tid", "start_ns", "wake_ns"], "kernel_wait": ["start_ns", "end_ns"],
               "fault": ["start_ns", "end_ns", "cost_ns"]}
    values = [None, "text", b"blob", -2**62, 2**62, -1, 0, 1e300]
    db = sqlite3.connect(path)
    for table, names in columns.items():
        for name in r.sample(names, r.randint(0, len(names))):
            db.execute(f"UPDATE OR IGNORE {table} SET {name} = ? WHERE rowid % 3 = ?", (r.choice(values), r.randint(0, 2)))
    db.execute("UPDATE meta SET value = ?", (r.choice(values),))
    db.commit()
    db.close()


def test_a_damaged_trace_is_analysed_or_refused_with_a_sentence(tmp_path):
    """It must not stop the program: what an assert says of the analysis has to hold whatever it reads."""
    for seed in range(16):
        path = at_random(tmp_path / f"{seed}.db", seed)
        damage(path, seed)
        done = trace("analyze", path)
        assert (done.returncode, done.stderr.count("\n")) in ((0, 0), (1, 1)), (seed, done)


def test_whatever_is_in_a_trace_the_ledger_has_no_remainder_and_the_path_no_gap(tmp_path):
    for seed in range(16):
        path = at_random(tmp_path / f"{seed}.db", seed)
        done = trace("analyze", path)
        assert (done.returncode, done.stderr) == (0, ""), seed
        assert query(path, "SELECT count(*) FROM ledger WHERE ns < 0") == [(0,)], seed
        assert query(path, """SELECT p.id FROM process p WHERE p.end_ns - p.start_ns IS NOT
                              (SELECT sum(ns) FROM ledger WHERE process = p.id)""") == [], seed
        assert query(path, """SELECT step FROM (SELECT step, start_ns, lag(end_ns, 1, start_ns) OVER (ORDER BY step) AS before
                              FROM critical_path) WHERE start_ns <> before""") == [], seed
        assert query(path, "SELECT 1 FROM critical_path WHERE end_ns <= start_ns") == [], seed
        # with every cost as it was, the graph lasts as long as it did
        if not query(path, "SELECT 1 FROM sched_slice"):
            assert query(path, "SELECT saved_ns FROM what_if WHERE what IN ('no cpu', 'copy-on-write')") == [(0,)] * 2, seed
