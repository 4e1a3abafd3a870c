"""`record` reaches every Python that the program starts, whichever way, and changes nothing that the programs see."""
import glob
import os
import subprocess
import sys
import textwrap

import pytest
from conftest import BUILD, PYPY, environment
from databases import TRACER, Database
from instrumented import needs_collector
from look import LOOK

pytestmark = needs_collector

LIB = str(BUILD / "lib")
RECORD = [str(TRACER), "record", "-q"]
HOW = {"loaded": [], "instrumented": ["--instrument", "all"]}
# Another program that does not import snakefish. Traced and instrumented, it writes events.
LEAF = "import multiprocessing; a, b = multiprocessing.Pipe(); a.send(1); b.recv()"
WAIT_REQUEST = 4  # enum sf_wait
EVENTS = "SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'send' AND e.phase = 1"


def run(command, directory, stdin="", **env):
    """(exit status, stdout, stderr). An environment variable that is None is not set."""
    env = {k: v for k, v in {**environment(), **env}.items() if v is not None}
    done = subprocess.run([*map(str, command)], cwd=directory, env=env, input=stdin, capture_output=True, text=True, timeout=50)
    return done.returncode, done.stdout, done.stderr


def record(command, directory, options=(), **more):
    return run([*RECORD, "-o", directory / "run.db", *options, "--", *command], directory, **more)


def check_same(command, directory, options=(), **more):
    plain = run(command, directory, **more)
    assert record(command, directory, options, **more) == plain
    return plain


def processes(directory):
    with Database(directory / "run.db") as db:
        assert db.rows("SELECT name, process, value FROM stats WHERE severity <> 'info'") == []
        return db.rows("SELECT name FROM process ORDER BY id")


def sends(directory):
    with Database(directory / "run.db") as db:
        return db.one(EVENTS)


# ---- what a program sees ----


@pytest.mark.diagonal
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("path", [None, "", ":", "relative:", "/nowhere:/else", LIB], ids=repr)
def test_a_recorded_program_sees_what_it_sees_without(tmp_path, path, how):
    if path == "" and (PYPY or sys.version_info < (3, 10)):
        pytest.skip("this Python looks into the current directory while it starts")
    (tmp_path / "program.py").write_text(LOOK.replace('show("meta_path"', '"instrumented" in sys.argv or show("meta_path"'))
    status, out, err = check_same([sys.executable, "program.py", "a", how], tmp_path, HOW[how], PYTHONPATH=path)
    assert (status, err) == (0, "")
    if path == LIB or TRACER.resolve() == BUILD.resolve() / "bin" / TRACER.name:  # else its package is another Python's
        assert processes(tmp_path) == [("program.py",)]


@pytest.mark.parametrize("how", HOW)
def test_its_first_file_has_the_number_that_it_has_without(tmp_path, how):
    code = "import os; print(os.open('/dev/null', os.O_RDONLY), os.pipe())"
    assert check_same([sys.executable, "-c", code], tmp_path, HOW[how])[1] == "3 (4, 5)\n"


FUNCTIONS = """
import inspect, os, pickle, _posixsubprocess, subprocess
for f in (os.execv, os.execve, os.posix_spawn, os.posix_spawnp, os.system, _posixsubprocess.fork_exec):
    print(repr(f), f.__name__, f.__qualname__, f.__module__, f.__doc__, getattr(f, "__text_signature__", None), type(f))
    print(pickle.loads(pickle.dumps(f)) is f)
print(inspect.signature(os.execve), inspect.signature(os.system))
import traceback
for call in (lambda: os.execve("/absent", ["x"], os.environ), lambda: os.execve("/absent", ["x"], 5), lambda: os.execve(),
             lambda: os.execve("/absent", ["x"], env={"a=": "b"}), lambda: os.execve("/absent", ["x"], {"a": 5}),
             lambda: os.execv("/absent", []), lambda: os.posix_spawn("/absent", ["x"], os.environ), lambda: os.system(5),
             lambda: os.execve("/absent", ["x"], {**os.environ, "PYTHONPATH": 5}), lambda: os.system(wrong=5),
             lambda: subprocess.run(["/absent"], env=os.environ), lambda: subprocess.run(["/absent"]),
             lambda: _posixsubprocess.fork_exec(1)):
    try:
        call()
    except Exception:
        print(traceback.format_exc())
print("PYTHONPATH" in os.environ, os.environ.get("PYTHONPATH"))
"""


@pytest.mark.skipif(PYPY, reason="PyPy's functions are of another kind, which a C extension cannot make")
def test_the_functions_that_start_programs_look_and_fail_as_without(tmp_path):
    (tmp_path / "program.py").write_text(FUNCTIONS)
    status, out, err = check_same([sys.executable, "program.py"], tmp_path)
    assert (status, err) == (0, "") and out.count("Traceback") == 13


@pytest.mark.parametrize("source", ["print('mine')\n", "raise ValueError('mine')\n", "import absent_module_of_nobody\n",
                                    "import sys\nprint(sys.path, __file__, __name__)\n", None], ids=repr)
def test_a_sitecustomize_of_the_programs_is_run_as_without(tmp_path, source):
    (tmp_path / "own").mkdir()
    if source:
        (tmp_path / "own" / "sitecustomize.py").write_text(source)
        (tmp_path / "own" / "usercustomize.py").write_text("import sys; print('user', 'sitecustomize' in sys.modules)\n")
    path = os.pathsep.join([str(tmp_path / "own"), environment()["PYTHONPATH"]])
    code = "import sys; print(sys.modules.get('sitecustomize'))"
    out = check_same([sys.executable, "-c", code], tmp_path, PYTHONPATH=path)
    assert not source or "own/sitecustomize.py" in out[1] or "Error in sitecustomize" in out[2]


@pytest.mark.diagonal
@pytest.mark.parametrize("words", [["program.py"], ["-m", "program"], ["-c", "import snakefish; print(snakefish.x)"]],
                         ids=" ".join)
@pytest.mark.parametrize("kind", ["snakefish.py", "snakefish/__init__.py"])
def test_a_program_with_a_snakefish_of_its_own_gets_that(tmp_path, kind, words):
    (tmp_path / kind).parent.mkdir(exist_ok=True)
    (tmp_path / kind).write_text("x = 'own'\n")
    (tmp_path / "program.py").write_text("import snakefish\nprint(snakefish.x)\n")
    for path in (None, str(BUILD / "lib"), str(tmp_path)):
        assert check_same([sys.executable, *words], tmp_path, PYTHONPATH=path) == (0, "own\n", "")


def test_exit_handlers_of_the_program_run_before_the_trace_ends(tmp_path):
    code = "import atexit, sys; atexit.register(lambda: sys.modules['snakefish'].trace.mark('last'))"
    assert record([sys.executable, "-c", code], tmp_path) == (0, "", "")
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'mark'") == 1


# ---- which programs it reaches ----

STARTS = {
    "subprocess": "subprocess.run(command)",
    "subprocess, environment": "subprocess.run(command, env={**os.environ, 'MORE': '1'})",
    "subprocess, os.environ": "subprocess.run(command, env=os.environ)",
    "subprocess, bytes": "subprocess.run(command, env={**os.environb, b'MORE': b'1'})",
    "subprocess, descriptors": "subprocess.run(command, close_fds=False, env={**os.environ, 'MORE': '1'})",
    "subprocess, shell": "subprocess.run(' '.join(map(shlex.quote, command)), shell=True)",
    "subprocess, path": "subprocess.run(command, env={**os.environ, 'PYTHONPATH': '/new'})",
    "subprocess, empty path": "subprocess.run(command, env={**os.environ, 'PYTHONPATH': ''})",
    "path set": "os.environ['PYTHONPATH'] = '/new'\nsubprocess.run(command)",
    "path deleted": "os.environ.pop('PYTHONPATH', None)\nsubprocess.run(command)",
    "path deleted, fork": "os.environ.pop('PYTHONPATH', None)\nos.fork() or os.execv(command[0], command)\nos.wait()",
    "system": "os.system(' '.join(map(shlex.quote, command)))",
    "system, path set": "os.environ['PYTHONPATH'] = '/new'\nos.system(' '.join(map(shlex.quote, command)))",
    "popen": "os.popen(' '.join(map(shlex.quote, command))).close()",
    "execv": "os.fork() or os.execv(command[0], command)\nos.wait()",
    "execve": "os.fork() or os.execve(command[0], command, {**os.environ})\nos.wait()",
    "execve, keyword": "os.fork() or os.execve(path=command[0], argv=command, env=dict(os.environ))\nos.wait()",
    "execvpe": "os.fork() or os.execvpe(command[0], command, os.environ)\nos.wait()",
    "spawnve": "os.spawnve(os.P_WAIT, command[0], command, dict(os.environ))",
    "posix_spawn": "os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)",
    "posix_spawnp": "os.waitpid(os.posix_spawnp(command[0], command, dict(os.environ)), 0)",
    "asyncio": "import asyncio\nasync def main():\n    await (await asyncio.create_subprocess_exec(*command)).wait()\n"
               "asyncio.run(main())",
    "pty": "import pty\npty.spawn(command)",
    "of a Python without a trace": "subprocess.run([sys.executable, '-c', 'import subprocess, sys; "
                                   "subprocess.run(sys.argv[1:])', *command], env={**os.environ, 'SNAKEFISH_TRACE_LOAD': 'yes'})",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_program_started_in_any_way_joins(tmp_path, start):
    if "os.posix_spawn" in start and not hasattr(os, "posix_spawn"):
        pytest.skip("this Python has no os.posix_spawn")
    code = f"import os, shlex, subprocess, sys\ncommand = [sys.executable, '-c', {LEAF!r}]\n{start}\n"
    (tmp_path / "program.py").write_text(code)
    assert record([sys.executable, "program.py"], tmp_path, HOW["instrumented"])[0] == 0
    assert sends(tmp_path) == 1


def test_one_that_is_started_with_an_empty_environment_stays_outside_and_its_environment_empty(tmp_path):
    code = "import os, subprocess\nsubprocess.run(['/usr/bin/env'], env={'A': 'B'})\n" \
           "os.fork() or os.execve('/usr/bin/env', ['env'], {'A': 'C'})\nos.wait()"
    assert record([sys.executable, "-c", code], tmp_path) == (0, "A=B\nA=C\n", "")


METHODS = """
import multiprocessing, os, sys
def double(x):
    return 2 * x
def tell(queue):
    queue.put((os.environ.get("PYTHONPATH"), [p for p in sys.path if p.endswith("entry")], sys.argv))
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(pool.map(double, range(6), 1))
        pool.close()
        pool.join()
    queue = context.SimpleQueue()
    p = context.Process(target=tell, args=(queue,), name="teller")
    p.start()
    print(queue.get())
    p.join()
    print(p.exitcode)
"""


@pytest.mark.diagonal
@pytest.mark.parametrize("how", ["option", "environment", "module"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_events_of_the_processes_of_every_start_method_count(tmp_path, method, how):
    (tmp_path / "program.py").write_text(METHODS)
    command = [sys.executable, "program.py", method]
    plain = run(command, tmp_path)
    variables = {"SNAKEFISH_TRACE_INSTRUMENT": "multiprocessing"}
    if how == "option":
        traced = record(command, tmp_path, HOW["instrumented"])
    elif how == "environment":
        traced = record(command, tmp_path, **variables)
    else:
        variables["SNAKEFISH_TRACE"] = str(tmp_path / "run.db")
        traced = run([sys.executable, "-m", "snakefish", *command[1:]], tmp_path, **variables)
    assert traced == plain and plain[0] == 0
    names = list(dict.fromkeys(name for name, in processes(tmp_path)))  # once: PyPy forks the resource tracker by os.fork
    workers = [name for name in names if "PoolWorker" in name]
    assert names[0] == "program.py" and len(workers) == 2 and "teller" in names
    assert ("forkserver" in names) == (method == "forkserver") and len(names) == (5 if method == "forkserver" else 4)
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT count(*) FROM span s JOIN process p ON p.id = s.process "
                      "WHERE s.kind = 'chunk' AND p.name LIKE '%PoolWorker%'") == 6
        assert db.one("SELECT count(*) FROM span s JOIN process p ON p.id = s.process "
                      "WHERE s.kind = 'run' AND s.closed AND p.name = 'teller'") == 1
        assert db.one("SELECT count(*) FROM message WHERE receive_ns < send_ns") == 0
        waits = db.rows("SELECT e.a FROM event e JOIN event_kind k ON k.id = e.kind JOIN process p ON p.id = e.process "
                        "WHERE k.name = 'wait' AND e.phase = 1 AND p.name = 'forkserver'")
        assert waits == [(WAIT_REQUEST,)] * (method == "forkserver")  # it waits for requests, and is not said to work


def test_processes_of_loky_join(tmp_path):
    pytest.importorskip("joblib")
    (tmp_path / "program.py").write_text(textwrap.dedent("""
        from joblib import Parallel, delayed
        if __name__ == "__main__":
            print(Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(8)))
        """))
    assert record([sys.executable, "program.py"], tmp_path, HOW["instrumented"]) == (0, "[0, 1, 2, 3, 4, 5, 6, 7]\n", "")
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT count(DISTINCT p.id) FROM process p JOIN span s ON s.process = p.id "
                      "WHERE p.name LIKE 'LokyProcess%' AND s.kind = 'run'") == 2


OTHERS = sorted({*glob.glob("/usr/bin/python3*[0-9]"), *glob.glob("/usr/bin/python3-dbg"), *glob.glob("/usr/bin/pypy3"),
                 *glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))})


@pytest.mark.parametrize("other", OTHERS)
def test_other_pythons_run_untouched_and_silent(tmp_path, other):
    code = "import os, sys; print(sys.path, os.environ.get('PYTHONPATH'), 'sitecustomize' in sys.modules, sys.argv)"
    command = [other, "-c", code, "a"]
    assert check_same(command, tmp_path, HOW["instrumented"], PYTHONPATH=None, PYTHONDONTWRITEBYTECODE="1")[0] == 0
    outer = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *command]
    assert check_same(outer, tmp_path, PYTHONDONTWRITEBYTECODE="1")[0] == 0


ORDERS = {
    "start, instrument": "trace.start('run.db')\ntrace.instrument('multiprocessing')",
    "instrument, start": "trace.instrument('multiprocessing')\ntrace.start('run.db')",
    "instrument, start, instrument": "trace.instrument('multiprocessing')\ntrace.uninstrument('multiprocessing')\n"
                                     "trace.start('run.db')\ntrace.instrument('multiprocessing')",
}


@pytest.mark.diagonal
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("start", ["subprocess", "subprocess, environment", "posix_spawn", "posix_spawnp", "execve"])
def test_a_program_joins_whether_the_trace_is_started_first_or_the_library_instrumented(tmp_path, start, order):
    if "posix_spawn" in start and not hasattr(os, "posix_spawn"):
        pytest.skip("this Python has no os.posix_spawn")
    code = f"import os, subprocess, sys\nfrom snakefish import trace\ncommand = [sys.executable, '-c', {LEAF!r}]\n" \
           f"{order}\n{STARTS[start]}\ntrace.stop()\n"
    assert run([sys.executable, "-c", code], tmp_path) == (0, "", "")
    assert sends(tmp_path) == 1


# ---- where it does not reach ----


@pytest.mark.parametrize("off", [{"options": ["--no-load"]}, {"SNAKEFISH_TRACE_LOAD": "no"}], ids=["option", "environment"])
def test_it_is_off_when_asked(tmp_path, off):
    code = "import subprocess, sys\ncode = \"import sys; print('snakefish' in sys.modules)\"\nexec(code)\nsys.stdout.flush()\n" \
           "subprocess.run([sys.executable, '-c', code])\n"
    assert record([sys.executable, "-c", code], tmp_path) == (0, "True\nTrue\n", "")
    assert record([sys.executable, "-c", code], tmp_path, **off) == (0, "False\nFalse\n", "")
    joins = "import snakefish, os; print(snakefish.trace.enabled(), os.environ.get('PYTHONPATH'))"
    assert record([sys.executable, "-c", joins], tmp_path, **off) == (0, f"True {environment()['PYTHONPATH']}\n", "")


def test_a_program_can_keep_one_of_its_own_outside(tmp_path):
    code = "import os, subprocess, sys\nsubprocess.run([sys.executable, '-c', \"import sys, os; print('snakefish' in " \
           "sys.modules, os.environ.get('PYTHONPATH'))\"], env={**os.environ, 'SNAKEFISH_TRACE_LOAD': 'no'})"
    assert record([sys.executable, "-c", code], tmp_path) == (0, f"False {environment()['PYTHONPATH']}\n", "")


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_a_python_that_reads_no_environment_or_no_site_runs_and_the_trace_says_what_to_do(tmp_path, option):
    command = [sys.executable, option, "-c", LEAF + "; print('ran')"]
    done = run([str(TRACER), "record", "-o", tmp_path / "run.db", "--instrument", "all", "--", *command], tmp_path)
    assert done[:2] == (0, "ran\n") and "no events" in done[2] and option in done[2]


def test_what_the_program_instruments_itself_is_instrumented_in_what_it_starts(tmp_path):
    code = f"""
import os, subprocess, sys
from snakefish import trace
def start():
    subprocess.run([sys.executable, "-c", {LEAF!r}])
with trace.session("run.db"):
    start()
    trace.instrument("multiprocessing")
    start()
    trace.uninstrument("multiprocessing")
    start()
print([name for name in os.environ if name.startswith("SNAKEFISH")])
"""
    assert run([sys.executable, "-c", code], tmp_path) == (0, "[]\n", "")
    assert sends(tmp_path) == 1 and len(processes(tmp_path)) == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_program_of_another_user_runs_untouched_and_silent(tmp_path):
    code = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n" \
           "os.execv(sys.executable, [sys.executable, '-c', 'import sys; print(\"snakefish\" in sys.modules, sys.path)'])"
    check_same([sys.executable, "-c", code], tmp_path)


def test_no_program_joins_once_the_session_has_ended(tmp_path):
    code = """
import os, subprocess, sys
from snakefish import trace
look = "import os, sys; print('snakefish' in sys.modules, os.environ.get('PYTHONPATH'))"
def start():
    subprocess.run([sys.executable, "-c", look])
    subprocess.run([sys.executable, "-c", look], env={**os.environ})
start()
with trace.session("run.db"):
    start()
start()
"""
    path = environment()["PYTHONPATH"]
    out = run([sys.executable, "-c", code], tmp_path)
    assert out == (0, "".join(f"{joins} {path}\n" * 2 for joins in (False, True, False)), "")
    assert len(processes(tmp_path)) == 3


@pytest.mark.parametrize("path", [None, "", "/nowhere:/else"], ids=repr)
def test_the_environment_is_as_it_was_once_the_session_has_ended(tmp_path, path):
    code = """
import os, subprocess, sys
def start():
    sys.stdout.flush()
    subprocess.run("env | grep '^PYTHONPATH'", shell=True)
    os.system("env | grep '^PYTHONPATH'")
    os.spawnv(os.P_WAIT, "/bin/sh", ["sh", "-c", "env | grep '^PYTHONPATH'"])
sys.path.append(LIB)
from snakefish import trace
trace.start("run.db")
start()
trace.stop()
print("after")
start()
""".replace("LIB", repr(LIB))
    status, out, err = run([sys.executable, "-c", code], tmp_path, PYTHONPATH=path)
    during, after = out.split("after\n")
    assert (status, err, during.count("/entry")) == (0, "", 3)
    assert after == ("" if path is None else f"PYTHONPATH={path}\n" * 3)


def test_the_functions_that_start_programs_are_the_originals_once_neither_a_trace_nor_an_instrument_needs_them(tmp_path):
    code = """
import os, subprocess, _posixsubprocess
from snakefish import trace
def look():
    return [getattr(m, name, None) for m in (os, subprocess, _posixsubprocess)
            for name in ("execv", "execve", "posix_spawn", "posix_spawnp", "system", "_fork_exec", "fork_exec")]
def start():
    trace.start("run.db")
def instrument():
    trace.instrument("multiprocessing")
def uninstrument():
    trace.uninstrument("multiprocessing")
before = look()
for steps in ([start, trace.stop], [instrument, uninstrument], [start, instrument, trace.stop, uninstrument],
              [instrument, start, uninstrument, trace.stop], [start, instrument, uninstrument, trace.stop]) * 2:
    for step in steps:
        assert step in (start, instrument) or look() != before
        step()
    assert look() == before, steps
"""
    assert run([sys.executable, "-c", code], tmp_path) == (0, "", "")
