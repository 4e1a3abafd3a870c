"""The kernel's view: --kernel and trace.start(kernel=True)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tracing import (BUILD, PROGRAM, TRACE, counts_balance, meta, not_lost, query, record, session_of, trace, wait_for)

ENVIRONMENT = dict(os.environ, PYTHONPATH=str(BUILD / "lib"))
PYTHON = sys.executable


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """Skips where there is none, with the collector's own reason; that the kernel refuses what we load is none."""
    db = tmp_path_factory.mktemp("view") / "run.db"
    done = record(db, "true", options=["--kernel"])
    assert "refuses its probes" not in done.stderr
    if meta(db, "kernel_view") != "complete":
        pytest.skip(done.stderr.strip())


def record_python(db, source, *options):
    done = trace("record", "-q", "-o", db, "--kernel", *options, "--", PYTHON, "-c", source, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, ""), done
    return [line.split() for line in done.stdout.splitlines()]


def row_of(db, pid):
    [(row,)] = query(db, f"SELECT id FROM process WHERE pid = {pid}")
    return row


FORK = """
import mmap, os, resource, sys, time
def child(f):
    pid = os.fork()
    if pid == 0:
        try:
            f()
        finally:
            os._exit(0)
    return pid
def reap(pid):
    used = os.wait4(pid, 0)[2]
    print(pid, used.ru_minflt + used.ru_majflt, used.ru_nvcsw, used.ru_nivcsw, used.ru_utime + used.ru_stime, flush=True)
"""


def test_faults_and_switches_are_those_that_the_kernel_accounts_to_the_process(view, db):
    [[pid, faults, voluntary, involuntary, cpu_s]] = record_python(db, FORK + """
def work():
    b = bytearray(3_000_000)
    for _ in range(20):
        time.sleep(0.002)
    sum(range(15_000_000))
reap(child(work))
""")
    row = row_of(db, pid)
    assert query(db, f"SELECT count(*) FROM sched_slice WHERE process = {row}")[0][0] > 20
    [(seen,)] = query(db, f"SELECT sum(count) FROM fault WHERE process = {row}")
    assert abs(seen - int(faults)) <= int(faults) / 100
    for expected, states in (voluntary, "<>"), (involuntary, "="):
        [(seen,)] = query(db, f"SELECT count(*) FROM sched_slice WHERE process = {row} AND state {states} 'preempted'")
        assert abs(seen - int(expected)) <= 1  # the parent may reap before the last switch is accounted
    [(ns,)] = query(db, f"SELECT sum(end_ns - start_ns) FROM sched_slice WHERE process = {row}")
    # 5 %: the kernel reads other clocks in a switch, and counts time of interrupts and of other machines for no process
    assert ns / 1e9 >= float(cpu_s) * 0.95
    not_lost(db)


@pytest.mark.skipif(not shutil.which("bpftrace") or os.geteuid() != 0, reason="needs bpftrace, as root")
def test_faults_and_switches_are_those_that_bpftrace_counts(view, db):
    # tracefs may not be mounted: it is, in a mount namespace of the watcher's own
    tracefs = 'mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"'
    watcher = subprocess.Popen(["unshare", "--mount", "sh", "-c", tracefs, "sh", "bpftrace", "-e", """
        BEGIN { printf("ready\\n"); }
        tracepoint:exceptions:page_fault_user, tracepoint:exceptions:page_fault_kernel { @faults[pid] = count(); }
        tracepoint:sched:sched_switch { @switches[args->prev_pid] = count(); }"""], stdout=subprocess.PIPE, text=True)
    for line in watcher.stdout:
        if line == "ready\n":
            break
    else:
        pytest.skip("bpftrace does not work here")
    [[pid, *_]] = record_python(db, FORK + """
def work():
    b = bytearray(3_000_000)
    for _ in range(20):
        time.sleep(0.002)
reap(child(work))
""")
    watcher.send_signal(signal.SIGINT)
    counted, _ = watcher.communicate(timeout=20)
    counted = dict(line.split(": ") for line in counted.splitlines() if f"[{pid}]" in line)
    row = row_of(db, pid)
    assert query(db, f"SELECT sum(count) FROM fault WHERE process = {row}") == [(int(counted[f"@faults[{pid}]"]),)]
    assert query(db, f"SELECT count(*) FROM sched_slice WHERE process = {row}") == [(int(counted[f"@switches[{pid}]"]),)]


def test_faults_are_counted_by_kind_and_mode(view, db):
    out = record_python(db, FORK + """
pages, page = 500, mmap.PAGESIZE
written, fresh, read = (mmap.mmap(-1, pages * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(3))
null, zero = os.open("/dev/null", os.O_WRONLY), open("/dev/zero", "rb", buffering=0)
for i in range(pages):
    written[i * page] = 1
def write(memory):
    def work():
        for i in range(pages):
            memory[i * page] = 1
    return work
def look():
    for i in range(pages):
        read[i * page]
def let_the_kernel_write():
    zero.readinto(fresh)
shared = mmap.mmap(-1, pages * page)
library = os.memfd_create("library")
around = 16 * page  # a fault maps these, if the file has them
os.pwrite(library, bytes(pages * around), 0)
mapped = mmap.mmap(library, pages * around, prot=mmap.PROT_READ)
def look_at_the_file():
    for i in range(pages):
        mapped[i * around]
for work in write(written), write(fresh), look, let_the_kernel_write, look_at_the_file, write(shared), lambda: None:
    reap(child(work))
""")

    def count(pid):
        return {f"{mode} {kind}": n for kind, mode, n in query(db, f"""
            SELECT kind, mode, sum(count) FROM fault WHERE process = {row_of(db, pid)} GROUP BY 1, 2""")}
    *pids, idle = [line[0] for line in out]
    base = count(idle)
    sorts = ["user copy-on-write", "user first-write", "user first-read", "kernel first-write", "user file-read",
             "user file-write"]
    if meta(db, "kernel_faults") == "measured":  # there those of files are not told from others
        del pids[4:], sorts[4:]
    for pid, sort in zip(pids, sorts):
        seen = count(pid)
        for other in sorts:
            extra = seen.get(other, 0) - base.get(other, 0)
            assert abs(extra - (500 if other == sort else 0)) < 60, (sort, seen, base)
    costs = dict(query(db, "SELECT kind, min(cost_ns / count) FROM fault WHERE mode = 'user' GROUP BY 1"))
    assert len(costs) == len(sorts) - 1 and all(cost > 0 for cost in costs.values())
    estimated = meta(db, "kernel_faults") == "estimated"
    assert query(db, "SELECT DISTINCT estimate FROM fault") == [(int(estimated),)]
    if estimated:
        assert costs == {kind: meta(db, f"kernel_{kind}_ns") for kind in costs}


def test_the_first_write_to_a_huge_page_costs_what_it_took(view, db):
    """It is timed, but for pages in the midst of which the program loses its CPU. As small pages they would cost a hundredth."""
    with open("/sys/kernel/mm/transparent_hugepage/enabled") as enabled:
        if "[never]" in enabled.read():
            pytest.skip("there are no huge pages")
    [*work, _] = record_python(db, FORK + """
pages, size = 64, 1 << 21
def work():
    memory = mmap.mmap(-1, (pages + 1) * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    start, used = time.perf_counter_ns(), time.process_time_ns()
    for i in range(pages):
        memory[i * size] = 1
    print(os.getpid(), pages, time.perf_counter_ns() - start, time.process_time_ns() - used, flush=True)
reap(child(work))
""")
    [(pid, pages, took_ns, used_ns)] = [map(int, line) for line in work]
    if meta(db, "kernel_faults") == "measured":
        pytest.skip("each fault is timed here")
    [(count, cost_ns, estimate)] = query(db, f"""SELECT sum(count), sum(cost_ns), max(estimate) FROM fault
                                                WHERE process = {row_of(db, pid)} AND kind = 'huge-first-write'""")
    assert pages / 2 <= count <= pages + 8 and not estimate, "the kernel may have few"
    assert used_ns / 10 < cost_ns < took_ns * 1.1


TREE = """
import multiprocessing, os, time
def f(n):
    time.sleep(0.001)
    return sum(range(20000)), os.getpid()
if __name__ == "__main__":
    with multiprocessing.Pool(3) as pool:
        workers = {pid for _, pid in pool.map(f, range(60), chunksize=1)}
        pool.close()
        pool.join()
    p = multiprocessing.Process(target=os._exit, args=(3,)); p.start(); p.join()
    k = multiprocessing.Process(target=time.sleep, args=(60,)); k.start(); k.kill(); k.join()
    print(os.getpid(), p.pid, k.pid, *workers)
"""


def consistent(db):
    """What must hold in any trace."""
    assert query(db, "SELECT * FROM sched_slice WHERE end_ns < start_ns OR wake_ns > start_ns") == []
    for lane in "tid", "cpu":  # no thread has two slices at a time, and no CPU two threads
        assert query(db, f"""SELECT * FROM (SELECT *, lag(end_ns) OVER (PARTITION BY {lane} ORDER BY start_ns) AS before
                             FROM sched_slice) WHERE before > start_ns""") == [], lane
    assert query(db, """SELECT * FROM (SELECT *, lag(end_ns) OVER (PARTITION BY tid ORDER BY start_ns) AS before
                        FROM sched_slice) WHERE wake_ns < before""") == []
    for table in "sched_slice", "fault", "kernel_wait":
        assert query(db, f"""SELECT * FROM {table} t LEFT JOIN process p ON p.id = t.process WHERE p.id IS NULL
                             OR t.start_ns < p.start_ns OR t.end_ns > p.end_ns OR t.end_ns < t.start_ns""") == [], table
    assert query(db, """SELECT * FROM kernel_wait w JOIN sched_slice s ON s.tid = w.tid AND s.start_ns < w.end_ns
                        AND s.end_ns > w.start_ns""") == []


def test_the_tree_of_multiprocessing_is_whole_and_consistent(view, db):
    [[main, exits, killed, *workers]] = record_python(db, TREE)
    assert query(db, "SELECT id, parent, exit_status FROM process WHERE pid = " + main) == [(1, None, 0)]
    assert query(db, "SELECT parent, exit_status FROM process WHERE pid = " + exits) == [(1, 3)]
    assert query(db, "SELECT parent, exit_status FROM process WHERE pid = " + killed) == [(1, -9)]
    for pid in workers:
        row = row_of(db, pid)
        assert query(db, f"SELECT parent FROM process WHERE id = {row}") == [(1,)]
        assert query(db, f"SELECT count(*) FROM kernel_wait WHERE process = {row} AND what IN ('futex', 'pipe')")[0][0] > 0
        assert query(db, f"SELECT count(*) FROM kernel_wait WHERE process = {row} AND what = 'sleep'")[0][0] > 0
    # a task is handed over by the main process, or by another worker that releases the queue's lock
    woken = query(db, "SELECT count(*) FROM sched_slice s WHERE process > 1 AND waker > 0 AND waker <> process")
    assert woken[0][0] > 5
    consistent(db)
    not_lost(db)
    [line] = [line for line in trace("info", db).stdout.splitlines() if "kernel's view" in line]
    slices, faults = query(db, "SELECT (SELECT count(*) FROM sched_slice), (SELECT sum(count) FROM fault)")[0]
    assert f"complete; {slices} times on a CPU, {faults} page faults" in line


def test_a_thread_on_a_busy_cpu_is_runnable_while_the_other_runs(view, db):
    out = record_python(db, FORK + """
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
def spin():
    while time.process_time() < 0.06:
        pass
first, second = child(spin), child(spin)
reap(first), reap(second)
""")
    first, second = (row_of(db, line[0]) for line in out)
    for one, other in (first, second), (second, first):
        [(on_cpu,)] = query(db, f"SELECT sum(end_ns - start_ns) FROM sched_slice WHERE process = {one}")
        [(waited,)] = query(db, f"SELECT sum(start_ns - wake_ns) FROM sched_slice WHERE process = {one}")
        [(together,)] = query(db, f"""SELECT sum(s.end_ns - s.start_ns) FROM sched_slice s JOIN process p ON p.id = {one}
                                      WHERE s.process = {other} AND s.start_ns > p.start_ns AND s.end_ns < p.end_ns""")
        assert on_cpu >= 57_000_000 and waited >= together > 0
    consistent(db)


def test_which_process_wakes_which_and_that_a_timer_is_none(view, db):
    [[parent, child]] = record_python(db, """
import os, time
r, w = os.pipe()
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # so that timers interrupt the one that runs
busy = os.fork()
while busy == 0:
    pass
pid = os.fork()
if pid == 0:
    for _ in range(30):
        os.read(r, 1)
    time.sleep(0.01)
    os._exit(0)
for _ in range(30):
    time.sleep(0.002)
    os.write(w, b"x")
os.waitpid(pid, 0)
os.kill(busy, 9)
os.waitpid(busy, 0)
print(os.getpid(), pid)
""")
    parent, child = row_of(db, parent), row_of(db, child)
    waits = query(db, f"""SELECT w.what, s.waker FROM kernel_wait w JOIN sched_slice s ON s.tid = w.tid
                          AND s.wake_ns = w.end_ns WHERE w.process = {child} AND w.what = 'pipe'""")
    assert len(waits) > 15 and {waker for _, waker in waits} == {parent}
    waits = query(db, f"""SELECT w.what, s.waker, w.end_ns - w.start_ns FROM kernel_wait w JOIN sched_slice s
                          ON s.tid = w.tid AND s.wake_ns = w.end_ns WHERE w.process = {parent} AND w.what = 'sleep'""")
    assert len(waits) > 15 and {waker for _, waker, _ in waits} == {None}
    assert all(ns > 1_900_000 for _, _, ns in waits)
    assert (child,) in query(db, f"SELECT waker FROM sched_slice WHERE process = {parent} AND waker IS NOT NULL")


def test_analyze_says_what_threads_beside_the_first_did(view, db):
    """They need not be Python's: no event is theirs."""
    out = record_python(db, """
import threading, time
def spin():
    while time.thread_time() < 0.2:
        pass
    print(threading.get_native_id(), time.thread_time_ns(), flush=True)
def nap():
    begin = time.monotonic_ns()
    time.sleep(0.2)
    print(threading.get_native_id(), time.monotonic_ns() - begin, flush=True)
for f in spin, nap:
    t = threading.Thread(target=f)
    t.start()
    t.join()
""")
    (spun, spun_ns), (napped, napped_ns) = [map(int, line) for line in out]
    done = subprocess.run([TRACE, "analyze", "--json", str(db)], capture_output=True, text=True, check=True)
    threads = {one["tid"]: one for one in json.loads(done.stdout)["threads"]}
    assert set(threads) == {spun, napped} and {one["process"] for one in threads.values()} == {1}
    assert threads[spun]["cpu_ns"] == pytest.approx(spun_ns, rel=0.1) and threads[spun]["pickling_ns"] is None
    assert threads[napped]["blocked_ns"] == pytest.approx(napped_ns, rel=0.1) and threads[napped]["cpu_ns"] < napped_ns / 2
    assert "threads beside the first" in subprocess.run([TRACE, "analyze", str(db)], capture_output=True, text=True).stdout


def test_a_program_that_execs_stays_one_process(view, db):
    done = record(db, "sh", "-c", "sleep 0.01; exec sleep 0.02", options=["--kernel"])
    assert done.returncode == 0
    assert query(db, "SELECT id, parent, name, exit_status FROM process") == [(1, None, "sleep", 0), (2, 1, "sleep", 0)]
    consistent(db)


def test_a_thread_that_execs_goes_on_as_the_first_one(view, db):
    [[pid]] = record_python(db, """
import os, sys, threading
print(os.getpid(), flush=True)
threading.Thread(target=os.execvp, args=("sleep", ["sleep", "0.02"])).start()
threading.Event().wait()
""", "--no-load")
    assert query(db, "SELECT name FROM process") == [("sleep",)]
    assert query(db, "SELECT tid, count(*) FROM kernel_wait WHERE what = 'sleep' GROUP BY 1") == [(int(pid), 1)]
    consistent(db)


def test_a_process_with_a_log_has_one_row_and_its_events_and_slices_agree(view, db):
    record(db, PROGRAM, "run", "100", options=["--kernel"])
    assert query(db, "SELECT id, parent, name, exit_status, task FROM process ORDER BY id") == [
        (1, None, "program", 0, None), (2, 1, "worker", 0, 1)]
    assert query(db, "SELECT count(*) FROM message") == [(100,)]
    consistent(db)
    not_lost(db)
    # an event is written by one who is on a CPU, on the clock of both
    [(error_ns,)] = query(db, "SELECT value FROM stats WHERE name = 'clock_error_ns'")
    assert query(db, f"""SELECT * FROM event_time e WHERE NOT EXISTS (SELECT 1 FROM sched_slice s WHERE s.process = e.process
                         AND s.start_ns - {error_ns} <= e.ns AND e.ns <= s.end_ns + {error_ns})""") == []
    # its parent waited for it inside a span that says so
    assert query(db, "SELECT count(*) FROM kernel_wait WHERE process = 1 AND what = 'child'") == [(0,)]


def test_start_watches_the_process_that_calls_and_what_it_forks_then(view, db):
    out = subprocess.run([PYTHON, "-c", FORK + """
import snakefish
before = child(lambda: time.sleep(60))
def work():
    time.sleep(0.01)
    return os.getpid()
with snakefish.trace.session(sys.argv[1], kernel=True):
    t = snakefish.Thread(work, name="sleeper")
    t.start(); t.join()
    after = child(lambda: time.sleep(0.01))
    os.wait4(after, 0)
os.kill(before, 9)
print(os.getpid(), t.get_result(), after)
""", db], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (out.returncode, out.stderr) == (0, "")
    main, thread, after = map(int, out.stdout.split())
    assert query(db, "SELECT pid, parent FROM process ORDER BY id") == [(main, None), (thread, 1), (after, 1)]
    assert query(db, "SELECT name, exit_status FROM process WHERE id = 2") == [("sleeper", 0)]
    assert query(db, "SELECT process, count(*) FROM kernel_wait WHERE what = 'sleep' GROUP BY 1") == [(2, 1), (3, 1)]
    # At its end in the trace the caller runs, or has just been preempted. What it waits for the collector is not in it.
    [(state,)] = query(db, "SELECT state FROM sched_slice WHERE process = 1 ORDER BY end_ns DESC LIMIT 1")
    assert state in ("running", "preempted")
    assert query(db, "SELECT * FROM kernel_wait WHERE process = 1 AND what = 'poll'") == []
    consistent(db)
    not_lost(db)


@pytest.mark.parametrize("kernel", [False, True])
def test_the_life_of_a_process_that_traces_itself_has_neither_its_start_of_the_trace_nor_its_stop(request, db, kernel):
    if kernel:
        request.getfixturevalue("view")
    out = subprocess.run([PYTHON, "-c", f"""
import sys, time
from snakefish import trace
returned = {{}}
def note(frame, event, what):
    if event == "c_return" and what.__name__ in ("_trace_launch", "_trace_leave_threads"):
        returned[what.__name__] = time.monotonic_ns()
sys.setprofile(note)
trace.start(sys.argv[1], kernel={kernel})
sys.setprofile(None)
begun = time.monotonic_ns()
while time.monotonic_ns() < begun + 20_000_000:
    pass
sys.setprofile(note)
trace.stop()
print(returned["_trace_launch"], begun, returned["_trace_leave_threads"])
""", db], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (out.returncode, out.stderr) == (0, "")
    ready, begun, stopping = map(int, out.stdout.split())
    [(session, error)] = query(db, "SELECT monotonic_ns, error_ns FROM clock_snapshot ORDER BY tsc LIMIT 1")
    [(start, end)] = query(db, "SELECT start_ns, end_ns FROM process")
    assert ready - session - error <= start <= begun - session + error  # not before the collector was ready
    # Its last event is what it writes when it stops.
    assert [(end,)] == query(db, """SELECT max(ns) FROM event_time JOIN event_kind k ON k.id = kind
                                    WHERE k.name = 'usage'""") and end >= stopping - session - error
    [(ledger,)] = query(db, "SELECT sum(ns) FROM ledger")
    assert ledger == end - start
    assert meta(db, "duration_ns") >= end


def test_a_buffer_that_overflows_is_reported_and_the_lost_records_counted(view, db):
    out = record_python(db, FORK + """
import signal
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
def pass_on():
    for _ in range(80_000):
        os.sched_yield()
collector = os.getppid()
os.kill(collector, signal.SIGSTOP)
pids = child(pass_on), child(pass_on)
for pid in pids:
    reap(pid)
os.kill(collector, signal.SIGCONT)
""")
    [(lost,)] = query(db, "SELECT value FROM stats WHERE name = 'kernel_lost_slices' AND severity = 'loss'")
    [(stored,)] = query(db, "SELECT count(*) FROM sched_slice")
    switches = sum(int(line[2]) + int(line[3]) for line in out)
    [(others,)] = query(db, f"""SELECT count(*) FROM sched_slice s JOIN process p ON p.id = s.process
                                WHERE p.pid NOT IN ({", ".join(line[0] for line in out)})""")
    assert lost > 0 and others <= stored + lost - switches + 2
    assert stored + lost - switches <= others + 100  # the parent's, while nothing had room
    assert "kernel_lost_slices" in trace("info", db).stdout


def program_ids(pid):
    ids = []
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as file:
            ids += [line.split()[1] for line in file if line.startswith("prog_id:")]
    return ids


@pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not installed: it lists the kernel's programs")
def test_a_killed_collector_leaves_no_program_in_the_kernel(view, db):
    process = subprocess.Popen([TRACE, "record", "--kernel", "-o", db, "--", PROGRAM, "sleep", "1"],
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    session = session_of(process.pid)
    time.sleep(0.2)
    ids = program_ids(process.pid)

    def there():
        return [i for i in set(ids) if subprocess.run(["bpftool", "prog", "show", "id", i], stdout=subprocess.DEVNULL,
                                                      stderr=subprocess.DEVNULL, check=False).returncode == 0]
    assert len(there()) >= 13
    process.kill()
    process.wait()
    process.stdout.close()
    wait_for(lambda: not there())
    assert trace("collect", session, "-o", db).returncode == 0
    assert meta(db, "state") == "recovered"
    assert query(db, "SELECT severity, value FROM stats WHERE name = 'kernel_view'") == [
        ("loss", "ended with its collector")]
    assert query(db, "SELECT count(*) > 0 FROM sched_slice") == [(1,)]
    assert query(db, "SELECT * FROM process WHERE end_ns IS NULL") == []
    counts_balance(db)


def as_nobody(folder, *capabilities):
    folder.chmod(0o777)
    grant = ["--inh-caps", ",".join("+" + c for c in capabilities), "--ambient-caps",
             ",".join("+" + c for c in capabilities)] if capabilities else []
    return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *grant, TRACE, "record", "-q",
                           "--kernel", "-o", folder / "run.db", "--", "sh", "-c", "echo out; exit 3"], capture_output=True,
                          text=True, timeout=60, check=False)


root_only = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"),
                               reason="becoming another user needs root and setpriv")


@pytest.fixture
def open_folder():
    """A folder that any user can reach."""
    folder = type(BUILD)(f"/tmp/snakefish-test-{os.getpid()}")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def reachable(path):
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


@root_only
def test_without_the_right_the_trace_is_made_and_a_message_says_what_is_missing(open_folder):
    if not reachable(BUILD / "bin" / "x"):
        pytest.skip("other users cannot reach the build")
    done = as_nobody(open_folder)
    assert (done.returncode, done.stdout) == (3, "out\n")
    if "when this was built" in done.stderr:
        pytest.skip(done.stderr.strip())
    [line] = done.stderr.splitlines()
    assert "no kernel's view: it needs root" in line and "cap_bpf" in line and line.endswith("goes on without it")
    db = open_folder / "run.db"
    assert meta(db, "state") == "complete" and "needs root" in meta(db, "kernel_view")
    [(severity, value)] = query(db, "SELECT severity, value FROM stats WHERE name = 'kernel_view'")
    assert severity == "loss" and "needs root" in value
    assert query(db, "SELECT count(*) FROM sched_slice") == [(0,)]


@root_only
def test_two_capabilities_suffice(view, open_folder):
    if not reachable(BUILD / "bin" / "x"):
        pytest.skip("other users cannot reach the build")
    done = as_nobody(open_folder, "bpf", "perfmon")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "")
    assert query(open_folder / "run.db", "SELECT exit_status FROM process") == [(3,)]
    assert query(open_folder / "run.db", "SELECT count(*) > 0 FROM sched_slice") == [(1,)]


def test_without_the_option_the_tables_are_there_and_empty(db):
    record(db, PROGRAM, "run", "1")
    assert meta(db, "kernel_view") == "off"
    for table in "sched_slice", "fault", "kernel_wait":
        assert query(db, f"SELECT count(*) FROM {table}") == [(0,)]
    assert query(db, "SELECT * FROM stats WHERE name LIKE 'kernel%'") == []
