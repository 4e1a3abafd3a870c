"""A whole run through the command line: what it stores, and what it says when something goes wrong."""
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from bench.run import catalog
from conftest import TOP

QUICK = ("--quick", "--filter", "injected")
BOTH = ("--runtimes", "sequential,multiprocessing")
IN_CHILD = "if os.getpid() != MAIN: "


def of(rows, **wanted):
    return [row for row in rows if all(row[k] == v for k, v in wanted.items())]


def test_right_program(bench, program):
    bench.add("workloads", "injected", program())
    bench.run(*QUICK, *BOTH, "--blocks", 3, "--workers", "1,2", "--seed", 5)
    rows = bench.rows("SELECT * FROM sample")
    assert len(rows) == 9
    assert {(r["status"], r["output_ok"], r["exit_status"]) for r in rows} == {("ok", 1, 0)}
    for r in rows:
        assert 0 < r["region_ns"] < r["run_ns"] < r["wall_ns"]
    (session,) = bench.rows("SELECT * FROM session")
    assert (session["status"], session["samples"], session["blocks"], session["seed"]) == ("complete", 9, 3, 5)
    assert len(bench.rows("SELECT DISTINCT block, position FROM sample")) == 9


def test_same_seed_same_order(bench, program):
    bench.add("workloads", "injected", program())
    order = "SELECT block, workload, runtime, workers FROM sample WHERE session = {} ORDER BY block, position"
    bench.run(*QUICK, *BOTH, "--seed", 1)
    bench.run(*QUICK, *BOTH, "--seed", 1)
    assert bench.rows(order.format(1)) == bench.rows(order.format(2)) != []


def test_wrong_answer(bench, program):
    bench.add("workloads", "injected", program(IN_CHILD + "x = 7"))
    _, err = bench.run(*QUICK, *BOTH, code=1)
    rows = bench.rows("SELECT * FROM sample")
    assert {(r["status"], r["output_ok"]) for r in of(rows, runtime="sequential")} == {("ok", 1)}
    assert {(r["status"], r["output_ok"]) for r in of(rows, runtime="multiprocessing")} == {("wrong", 0)}
    assert "wrong: the output is not the right one: line 1: expected '[0, 1]', got '[7, 7]'" in err
    assert {r["error"] for r in of(rows, runtime="multiprocessing")} == {
        "the output is not the right one: line 1: expected '[0, 1]', got '[7, 7]'"}
    assert not of(bench.rows("SELECT * FROM measurement"), runtime="multiprocessing")


def test_wrong_answer_at_a_size_that_only_the_sequential_program_knows(bench, program):
    bench.add("workloads", "injected", program(IN_CHILD + "x = 7"))
    bench.run("--filter", "injected", *BOTH, "--blocks", 1, "--workers", 2, code=1)
    assert bench.rows("SELECT output_source FROM workload") == [{"output_source": "sequential"}]
    (row,) = of(bench.rows("SELECT * FROM sample"), runtime="multiprocessing")
    assert row["status"] == "wrong" and row["error"].endswith(": line 1: expected '[0, 1, 2, 3]', got '[7, 7, 7, 7]'")


def test_sequential_program_that_misses_its_published_output_is_no_judge(bench, program):
    bench.add("workloads", "injected", program("x = 7"))
    _, err = bench.run("--filter", "injected", *BOTH, "--blocks", 1, "--workers", 1, code=1)
    assert "is not the published one" in err
    assert {(r["status"], r["output_ok"]) for r in bench.rows("SELECT * FROM sample")} == {("unchecked", None)}


def test_exception(bench, program):
    bench.add("workloads", "injected", program(IN_CHILD + "raise ValueError('broken on purpose')"))
    bench.run(*QUICK, *BOTH, code=1)
    rows = of(bench.rows("SELECT * FROM sample"), runtime="multiprocessing")
    assert {(r["status"], r["error"], r["exit_status"]) for r in rows} == {
        ("crash", "ValueError: broken on purpose", 1)}


def test_killed(bench, program):
    bench.add("workloads", "injected", program("os.kill(MAIN, signal.SIGSEGV)"))
    bench.run(*QUICK, "--runtimes", "sequential", code=1)
    for row in bench.rows("SELECT * FROM sample"):
        assert (row["status"], row["exit_status"]) == ("crash", -signal.SIGSEGV)
        assert row["error"].startswith("killed by SIGSEGV")


def test_killed_by_a_signal_without_a_name(bench, program):
    number = signal.SIGRTMIN + 6
    bench.add("workloads", "injected", program(f"os.kill(MAIN, {number})"))
    bench.run(*QUICK, "--runtimes", "sequential", code=1)
    assert {(r["status"], r["exit_status"], r["error"]) for r in bench.rows("SELECT * FROM sample")} == {
        ("crash", -number, f"killed by signal {number}")}


def test_exit_without_a_result(bench, program):
    bench.add("workloads", "injected", program("os._exit(0)"))
    bench.run(*QUICK, "--runtimes", "sequential", code=1)
    assert {(r["status"], r["error"]) for r in bench.rows("SELECT * FROM sample")} == {
        ("crash", "left without a result")}


def test_hang_is_ended_at_its_limit_with_all_its_processes(bench, program, tmp_path):
    pids = tmp_path / "pids"
    hang = f"open({str(pids)!r}, 'a').write(str(os.getpid()) + '\\n'); time.sleep(600)"
    bench.add("workloads", "injected", program(IN_CHILD + hang))
    bench.run(*QUICK, *BOTH, "--workers", 2, "--limit", 1, code=1)
    rows = of(bench.rows("SELECT * FROM sample ORDER BY block"), runtime="multiprocessing")
    assert [r["status"] for r in rows] == ["timeout", "skipped"]
    assert "limit of 1 s" in rows[0]["error"] and "block 0" in rows[1]["error"]
    assert 1e9 < rows[0]["wall_ns"] < 5e9
    assert_gone(pids)


def test_a_killed_sample_leaves_no_temporary_files(bench, program, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    bench.add("workloads", "injected", program("import tempfile; tempfile.mkdtemp(); os.kill(MAIN, signal.SIGKILL)"))
    bench.run(*QUICK, "--runtimes", "sequential", code=1)
    assert {p.name for p in tmp_path.iterdir()} == {"extra", "bench.db"}


@pytest.mark.parametrize("escape", ("pass", "os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)"))
def test_a_stray_child_does_not_outlive_its_sample_or_the_run(bench, program, tmp_path, escape):
    pids = tmp_path / "pids"
    stray = f"""
    if os.fork() == 0:
        {escape}
        open({str(pids)!r}, 'a').write(str(os.getpid()) + '\\n')
        time.sleep(600)
    time.sleep(0.1)"""
    bench.add("workloads", "injected", program(stray))
    bench.run(*QUICK, "--runtimes", "sequential", limit_s=60)
    assert_gone(pids)


def test_missing_runtime_is_absent_with_its_reason(bench, program):
    bench.add("workloads", "injected", program())
    bench.add("runtimes", "missing", "import no_such_library")
    bench.add("runtimes", "deadly", "import os; os.abort()")
    _, err = bench.run(*QUICK, "--runtimes", "sequential,missing,deadly")
    assert "missing is absent: ModuleNotFoundError: No module named 'no_such_library'" in err
    found = {r["name"]: (r["status"], r["reason"]) for r in bench.rows("SELECT * FROM runtime")}
    assert found["sequential"] == ("present", None)
    assert found["missing"] == ("absent", "ModuleNotFoundError: No module named 'no_such_library'")
    assert found["deadly"] == ("absent", "killed by SIGABRT")
    assert {r["runtime"] for r in bench.rows("SELECT * FROM sample")} == {"sequential"}
    out, _ = bench("list")
    assert "absent: ModuleNotFoundError" in out and "injected" in out
    out, _ = bench("show", bench.db)
    assert "missing is absent: ModuleNotFoundError" in out


def test_broken_workload_is_refused_and_listed(bench):
    bench.add("workloads", "injected", "import no_such_library")
    _, err = bench.run(*QUICK, code=2)
    assert "injected" in err and "no_such_library" in err
    assert not bench.db.exists()
    assert "broken: injected: ModuleNotFoundError" in bench("list")[0]


def test_new_runtime_and_new_workload_are_one_file_each(bench, program):
    bench.add("workloads", "injected", program())
    bench.add("runtimes", "backwards", '''
"""backwards: a loop from the end"""
from contextlib import contextmanager

@contextmanager
def pool(workers):
    yield lambda f, args, chunksize: [f(x) for x in reversed(args)][::-1]
''')
    bench.run(*QUICK, "--runtimes", "sequential,backwards")
    assert of(bench.rows("SELECT * FROM measurement"), runtime="backwards")


def test_trace_of_one_run_is_recorded_beside_the_samples(bench, program, tmp_path):
    bench.add("workloads", "injected", program())
    bench.run(*QUICK, "--runtimes", "sequential", "--trace", tmp_path / "trace.db")
    assert {r["runtime"] for r in bench.rows("SELECT * FROM sample")} == {"sequential"}
    bench.db = tmp_path / "trace.db"
    assert bench.rows("SELECT value FROM meta WHERE key = 'state'") == [{"value": "complete"}]
    assert not bench.rows("SELECT * FROM stats WHERE severity <> 'info'")
    assert bench.rows("SELECT count(*) AS n FROM message WHERE receive_ns IS NOT NULL")[0]["n"] >= 160


def test_what_a_program_prints_is_no_answer(bench, program):
    bench.add("workloads", "injected", program("print('}', x, flush=True)"))
    bench.run(*QUICK, *BOTH)


def test_dry_run_writes_nothing(bench):
    out, err = bench.run("--dry-run", "--filter", "mandelbrot", *BOTH, "--blocks", 6, "--workers", "1,2")
    assert "18 samples" in err and len(out.splitlines()) == 18
    assert not bench.db.exists()


def test_filter_takes_a_kind_too(bench):
    out, _ = bench.run("--dry-run", "--filter", "micro", "--runtimes", "snakefish,snakefish-traced,floor", "--blocks", 1)
    found = {line.split()[4] for line in out.splitlines()}
    assert found == {name for name in catalog.workload_names() if catalog.kind(name) == "micro"}


def test_nothing_to_run(bench):
    assert "no workload has 'nonsense'" in bench.run("--filter", "nonsense", code=2)[1]
    assert "there is no runtime nonsense" in bench.run("--runtimes", "nonsense", code=2)[1]
    assert "none of these runtimes" in bench.run("--filter", "round-trip", "--runtimes", "sequential", code=2)[1]
    bench.run("--workers", "0", code=2)
    bench.run("--blocks", "none", code=2)
    assert not bench.db.exists()


def start_and_wait_for_samples(bench, program, *, count=2):
    bench.add("workloads", "injected", program("time.sleep(0.05)"))
    runner = bench.start("run", "-o", bench.db, *QUICK, "--runtimes", "sequential", "--blocks", 500)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if bench.db.exists() and bench.db.stat().st_size and len(samples(bench)) >= count:
            return runner
        time.sleep(0.05)
    runner.send_signal(signal.SIGTERM)
    raise AssertionError(runner.communicate())


def samples(bench):
    try:
        return bench.rows("SELECT * FROM sample")
    except Exception:  # not yet a schema in it
        return []


@pytest.mark.parametrize("command", [("output", "injected", "--size", "2"), ("trace", "injected")])
def test_ctrl_c_ends_a_command_that_keeps_nothing_without_a_traceback_of_the_bench(bench, program, tmp_path, command):
    started = tmp_path / "started"
    bench.add("workloads", "injected", program(f"open({str(started)!r}, 'w'); time.sleep(60)"))
    process = bench.start(*command, *(("-o", tmp_path) if command[0] == "trace" else ()), start_new_session=True)
    wait_until(started.exists, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and err.endswith("bench: stopped\n"), err
    assert 'sample.py", line' not in err  # Python may say that it ignored one in a child's first moments


def test_ctrl_c_keeps_the_finished_samples(bench, program):
    runner = start_and_wait_for_samples(bench, program)
    runner.send_signal(signal.SIGINT)
    _, err = runner.communicate(timeout=30)
    assert runner.returncode == 130
    assert "SIGINT: stopped" in err and "Traceback" not in err
    assert bench.rows("SELECT status FROM session") == [{"status": "interrupted"}]
    assert len(samples(bench)) >= 2
    assert "interrupted" in bench("show", bench.db)[0]


def test_sigkill_loses_no_finished_sample_and_leaves_no_process(bench, program):
    runner = start_and_wait_for_samples(bench, program, count=4)
    before = len(samples(bench))
    runner.kill()
    runner.communicate()
    rows = samples(bench)
    assert before <= len(rows) <= before + 10
    assert {r["status"] for r in rows} == {"ok"}
    assert bench.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    deadline = time.monotonic() + 10
    while (left := processes_with(bench.extra)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    bench.run(*QUICK, "--runtimes", "sequential")  # the database takes another session
    out, _ = bench("show", bench.db, "--session", 1)
    assert "not finished" in out


def test_stopped_five_times_and_resumed_it_is_the_session_that_was_planned(bench, program):
    """tests/stress/bench_killed.py does it at random moments, with real programs."""
    bench.add("workloads", "injected", program("time.sleep(0.01)"))
    once = (*QUICK, *BOTH, "--blocks", 10, "--seed", 3, "--workers", 2)
    resumed = ("--resume",)
    arguments, before = once, {}
    for k in range(5):
        runner = bench.start("run", "-o", bench.db, *arguments)
        wanted = len(before) + 1 + 2 * (k % 2)
        wait_until(lambda: len(samples(bench)) >= wanted, runner)
        runner.kill() if k % 2 else runner.send_signal(signal.SIGINT)
        runner.communicate()
        now = {row["id"]: row for row in samples(bench)}
        assert before.items() <= now.items()
        arguments, before = resumed, now
    bench.run(*resumed)
    rows = samples(bench)
    assert before.items() <= {row["id"]: row for row in rows}.items()
    assert len(rows) == 20 == len({(r["block"], r["position"]) for r in rows})
    (session,) = bench.rows("SELECT * FROM session")
    assert session["status"] == "complete"
    assert "nothing to resume" in bench.run(*resumed, code=2)[1]
    order = "SELECT block, runtime FROM sample ORDER BY block, position"
    expected = bench.rows(order)
    bench.run(*once, "--fresh")
    assert bench.rows(order) == expected


def count_by_block(bench, name):
    return {row["block"]: row["n"] for row in bench.rows(
        f"SELECT block, count(*) AS n FROM sample WHERE workload = '{name}' GROUP BY block")}


def test_a_complete_session_gets_more_blocks_of_all_or_of_some_workloads(bench, program):
    bench.add("workloads", "injected", program())
    bench.add("workloads", "other", program())
    bench.run("--quick", "--filter", "injected,other", *BOTH, "--workers", 2, "--blocks", 6, "--margin", 5)
    before = {row["id"]: row for row in samples(bench)}
    bench.run("--resume", "--blocks", "+2")
    assert before.items() <= {row["id"]: row for row in samples(bench)}.items()
    assert count_by_block(bench, "injected") == count_by_block(bench, "other") == dict.fromkeys(range(8), 2)
    bench.run("--resume", "--blocks", "+3", "--filter", "program/oth")
    assert count_by_block(bench, "injected") == dict.fromkeys(range(8), 2)
    assert count_by_block(bench, "other") == dict.fromkeys(range(11), 2)
    (session,) = bench.rows("SELECT * FROM session")
    assert (session["status"], session["blocks"], session["samples"], session["margin"]) == ("complete", 11, 38, 0.05)
    assert len(bench.rows("SELECT DISTINCT block, position FROM sample")) == 38
    assert len(bench.rows("SELECT * FROM warning")) == len(bench.rows("SELECT DISTINCT text FROM warning"))
    assert [row["samples"] for row in bench.rows("SELECT samples FROM computed")] == [38]
    assert "no workload of the session has 'none'" in bench.run("--resume", "--blocks", "+1", "--filter", "none", code=2)[1]
    assert len(samples(bench)) == 38


def test_what_does_not_fit_into_the_minutes_is_left_out_after_six_blocks_and_can_be_had_later(bench, program):
    bench.add("workloads", "injected", program())
    _, err = bench.run("--filter", "injected", *BOTH, "--workers", 2, "--minutes", 0.001)
    said = f"6 of 10 blocks fit into 0.001 minutes; for the others: python3 -m bench run -o {bench.db} --resume --blocks +4"
    assert said in err.splitlines()
    (session,) = bench.rows("SELECT status, blocks, samples FROM session")
    assert session == {"status": "complete", "blocks": 6, "samples": 12}
    assert count_by_block(bench, "injected") == dict.fromkeys(range(6), 2)
    bench(*said.partition("-m bench ")[2].split())
    assert len(of(bench.rows("SELECT * FROM sample"), runtime="multiprocessing")) == 10
    assert {row["runtime"]: row["blocks"] for row in bench.rows("SELECT runtime, blocks FROM cell")} == {
        "multiprocessing": 10, "sequential": 6}


def test_what_fits_into_the_minutes_has_all_blocks(bench, program):
    bench.add("workloads", "injected", program())
    _, err = bench.run("--filter", "injected", *BOTH, "--workers", 2, "--minutes", 60)
    assert bench.rows("SELECT blocks, samples FROM session") == [{"blocks": 10, "samples": 16}] and "fit into" not in err
    for other in (("--quick",), ("--full",), ("--blocks", 3), ("--official",)):
        assert "--minutes is for a standard run" in bench.run("--minutes", 60, *other, code=2)[1]


def test_a_size_at_which_a_program_would_never_end_is_refused(bench):
    assert "fannkuch-redux 200 would never end: a smaller --size" in bench.run("--size", 200, code=2)[1]


def test_a_run_ends_with_what_it_has_found(bench, program, tmp_path):
    bench.add("workloads", "injected", program())
    out, _ = bench.run("--quick", "--filter", "injected", "--runtimes", "snakefish,multiprocessing", "--workers", 2,
                       "--trace", tmp_path / "trace.db")
    questions = [line for line in out.splitlines() if line.endswith("?")]
    assert questions == ["Faster?", "How sure?", "Where did it go?", "What next?"]
    assert "The critical path of spectral-norm, traced once: running " in out
    assert out == bench("show", bench.db)[0]
    # the trace of the next session has the same name
    bench.run("--quick", "--filter", "injected", "--runtimes", "sequential", "--trace", tmp_path / "trace.db")
    assert "Where did it go?" in bench("show", bench.db)[0]
    assert "Where did it go?" not in bench("show", bench.db, "--session", 1)[0]


def test_a_run_whose_output_nobody_takes_is_as_right_as_any(bench, program):
    bench.add("workloads", "injected", program())
    for closed in (">&-", "| true"):
        command = f"{sys.executable} -m bench run -o {bench.db} {' '.join(QUICK)} --runtimes sequential {closed}"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=TOP, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "SNAKEFISH_BENCH_EXTRA": str(bench.extra)})
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_more_blocks_are_for_a_session_that_is_there(bench, program):
    bench.add("workloads", "injected", program())
    assert "with --resume" in bench.run(*QUICK, "--blocks", "+2", code=2)[1]
    bench.run(*QUICK, "--blocks", "+0", code=2)
    bench.run(*QUICK, "--runtimes", "sequential")
    assert "not with --filter" in bench.run("--resume", "--filter", "injected", code=2)[1]
    assert "not with --margin" in bench.run("--resume", "--blocks", "+2", "--margin", 5, code=2)[1]
    for margin in ("0", "100", "much"):
        bench.run(*QUICK, "--margin", margin, code=2)


def test_resume_knows_what_was_wrong_before(bench, program):
    bench.add("workloads", "injected", program(IN_CHILD + "x = 7"))
    bench.run(*QUICK, *BOTH, code=1)
    change(bench, "UPDATE session SET status = 'interrupted'", "DELETE FROM sample WHERE runtime = 'sequential'")
    _, err = bench.run("--resume", code=1)
    assert "4 wrong" in err and len(samples(bench)) == 6


def test_resume_refuses_another_build_and_options(bench, program):
    bench.add("workloads", "injected", program())
    assert "no bench database to resume" in bench.run("--resume", code=2)[1]
    assert not bench.db.exists()
    bench.run(*QUICK, "--runtimes", "sequential")
    change(bench, "UPDATE session SET status = 'interrupted'",
           "UPDATE machine SET value = 'other' WHERE key = 'extension_sha256'")
    assert "another extension_sha256" in bench.run("--resume", code=2)[1]
    for more in (("--fresh",), ("--dry-run",), ("--blocks", 3), ("--no-memory",)):
        assert f"not with --{more[0].strip('-').replace('no-', '')}" in bench.run("--resume", *more, code=2)[1]


def test_memory_of_the_whole_tree_is_read_in_runs_of_its_own(bench, program):
    # its workers leave the sample's session
    hold = "os.getpid() == MAIN or os.getsid(0) == os.getpid() or os.setsid(); data = b'x' * (50 << 20); time.sleep(0.15)"
    bench.add("workloads", "injected", program(hold))
    bench.run(*QUICK, *BOTH, "--workers", 2, "--blocks", 1, "--memory")
    rows = {r["runtime"]: r for r in bench.rows("SELECT * FROM memory")}
    assert rows["sequential"]["processes"] == 1 and rows["multiprocessing"]["processes"] == 3
    assert 50 << 20 < rows["sequential"]["peak_pss_bytes"] < 100 << 20
    assert 100 << 20 < rows["multiprocessing"]["peak_pss_bytes"] < 200 << 20
    assert len(samples(bench)) == 2  # the times are those of the blocks alone
    assert "peak memory" in bench("show", "--all", bench.db)[0]


def test_memory_of_a_run_that_fails_is_not_stored_and_fails_the_run(bench, program):
    in_memory_pass = "t = os.environ['TMPDIR'] + '/n'; open(t, 'a').write('x'); x = 7 if os.path.getsize(t) > 2 else x"
    bench.add("workloads", "injected", program(in_memory_pass))
    _, err = bench.run(*QUICK, "--runtimes", "sequential", "--blocks", 1, "--memory", code=1)
    assert bench.rows("SELECT status FROM sample") == [{"status": "ok"}]
    assert bench.rows("SELECT peak_pss_bytes FROM memory") == [{"peak_pss_bytes": None}]
    assert "memory of injected 2 sequential x1: wrong" in err


def test_two_runs_do_not_write_to_one_database(bench, program):
    runner = start_and_wait_for_samples(bench, program, count=1)
    for more in (("--resume",), (*QUICK, "--runtimes", "sequential"), (*QUICK, "--runtimes", "sequential", "--fresh")):
        assert "another `bench run` is writing to it" in bench.run(*more, code=2)[1]
    assert runner.poll() is None
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=30)
    assert len(bench.rows("SELECT * FROM session")) == 1


def change(bench, *statements):
    database = sqlite3.connect(bench.db)
    with database:
        for statement in statements:
            database.execute(statement)
    database.close()


def wait_until(true, runner):
    deadline = time.monotonic() + 30
    while not true():
        if time.monotonic() > deadline or runner.poll() is not None:
            runner.send_signal(signal.SIGTERM)
            raise AssertionError(runner.communicate())
        time.sleep(0.02)


def processes_with(extra):
    """Processes with this test's folder in their environment: the runner's, its samples, the lifeline."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if os.fsencode(extra) in file.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def process_state(pid):
    """The state letter of /proc; empty: there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def assert_gone(pids):
    for pid in map(int, pids.read_text().split()):
        state = process_state(pid)
        assert not state or state.startswith("Z"), f"{pid} is still there: {state}"
