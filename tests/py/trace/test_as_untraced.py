"""A program runs traced and instrumented as it does without: with closed standard streams, few descriptors, names that
are not UTF-8. Messages of ours go to standard error or nowhere."""
import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest
from conftest import BUILD, PYPY, environment

RECORD = str(BUILD / "bin" / "snakefish-trace")
HOW = ["environment", "record", "instrumented"]
# What a program that does a little of everything finds at the numbers of the standard streams, in each process
LOOK = """
import os, sys
to = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
report = os.dup2(to, 50)
os.close(to)
def look(where):
    open_numbers = []
    for number in range(3):
        try:
            os.fstat(number)
            open_numbers.append(number)
        except OSError:
            pass
    streams = [stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)]
    os.write(report, f"{where} {open_numbers} {streams}\\n".encode())
look("start")
import snakefish
def raises():
    look("raises")
    raise ValueError
def items():
    look("generator")
    yield 1
def count(n):
    look("map")
    return n
t = snakefish.Thread(raises)
g = snakefish.Generator(items)
t.start()
g.start()
look("started")
g.next()
look("next")
t.join()
g.join()
look("joined")
snakefish.map(count, range(3), 2, 1, progress=True)
list(snakefish.imap(count, range(3), 2))
look("mapped")
exits = snakefish.Thread(sys.exit, args=("words of sys.exit",))
exits.start()
exits.join()
print("printed", exits.get_exit_status())
look("end")
"""


def traced(how, database, command):
    """The command and what to add to the environment, so that it is traced in this way."""
    if how == "untraced":
        return command, {}
    if how == "environment":
        return command, {"SNAKEFISH_TRACE": database}
    more = {"SNAKEFISH_TRACE_INSTRUMENT": "multiprocessing"} if how == "instrumented" else {}
    return [RECORD, "record", "-o", database, "--", *command], more


def run(command, more=None, redirections="", before="", **options):
    """(exit status, standard output) of a command that a shell starts with these redirections."""
    env = {**environment(), "PYTHONPATH": str(BUILD / "lib"), **(more or {})}
    done = subprocess.run(["sh", "-c", f'{before} exec "$@" {redirections}', "sh", *command], env=env, timeout=50,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options)
    return done.returncode, done.stdout


def events(database):
    with contextlib.closing(sqlite3.connect(database)) as db:
        return db.execute("SELECT count(*) FROM event").fetchone()[0]


@pytest.mark.diagonal
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_closed_in_every_process(tmp_path, closed, how):
    (tmp_path / "program.py").write_text(LOOK)
    found = {}
    for way in ("untraced", how):
        report = tmp_path / way
        command, more = traced(way, str(tmp_path / "run.db"), [sys.executable, str(tmp_path / "program.py"), str(report)])
        said = run(command, more, closed, stderr=subprocess.DEVNULL)
        found[way] = *said, sorted(report.read_text().splitlines())
    assert found[how] == found["untraced"]
    assert found[how][0] == 0 and len(found[how][2]) == 14
    assert found[how][1] == (b"" if ">&-" in closed.split() else b"printed 1\n")
    assert events(tmp_path / "run.db") > 10


@pytest.mark.diagonal
@pytest.mark.parametrize("more", [{"SNAKEFISH_TRACE": "/nowhere/run.db"}, {"SNAKEFISH_TRACE_INSTRUMENT": "a library"},
                                  {"SNAKEFISH_DEBUG": "log,ring,nothing"}], ids=lambda more: next(iter(more)))
@pytest.mark.parametrize("exits", ["'words'", "3", "None"])
def test_no_message_lands_in_standard_output_or_in_a_file_that_got_the_number_of_standard_error(tmp_path, more, exits):
    program = f"""
import os, sys
file = os.open("file", os.O_RDWR | os.O_CREAT, 0o600)
import snakefish
t = snakefish.Thread(sys.exit, args=({exits},))
t.start()
t.join()
try:
    snakefish.trace.start("/nowhere/run.db")
except RuntimeError:
    print(file, snakefish.map(abs, [-1]), os.path.getsize("file"))
"""
    assert run([sys.executable, "-c", program], more, "2>&-", cwd=tmp_path) == (0, b"2 [1] 0\n")
    status, said = run([sys.executable, "-c", program], more, "", cwd=tmp_path, stderr=subprocess.STDOUT)
    assert b"nowhere" in said or b"a library" in said or b"no part is called" in said  # there is a message


def test_what_a_program_puts_in_the_place_of_its_streams_does_no_harm(check_program):
    assert check_program("""
        import os, snakefish, sys
        class Broken:
            def __getattr__(self, name):
                raise OSError("broken")
        print(end="", flush=True)
        streams, lines = sys.stdout, []
        def closed():
            stream = open(os.devnull, "w")
            stream.close()
            return stream
        for stream in (None, closed(), Broken(), 3):
            sys.stdout = sys.stderr = stream
            t = snakefish.Thread(sys.exit, args=("words",))
            t.start()
            t.join()
            lines.append((t.get_exit_status(), snakefish.map(abs, [-1, 2], progress=True)))
        sys.stdout, sys.stderr = streams, sys.__stderr__
        print(lines == 4 * [(1, [1, 2])])
    """) == "True\n"


@pytest.mark.parametrize("how", HOW)
def test_a_script_whose_name_is_not_utf_8_is_traced_and_the_database_is_text(tmp_path, how):
    script = os.fsencode(tmp_path) + b"/caf\xe9.py"
    with open(script, "w") as file:
        file.write("import snakefish\nsnakefish.trace.mark('here')\nprint(snakefish.map(abs, [-1]))\n")
    command, more = traced(how, str(tmp_path / "run.db"), [sys.executable, script])
    assert run(command, more) == (0, b"[1]\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "run.db")) as db:
        assert db.execute("SELECT count(*) FROM event JOIN event_kind k ON k.id = kind WHERE k.name = 'mark'").fetchone()[0] == 1
        names = {name for name, in db.execute("SELECT name FROM process")}
        assert "caf\\udce9.py" in names
        assert "caf" in db.execute("SELECT value FROM meta WHERE key = 'command'").fetchone()[0]


@pytest.mark.parametrize("how", HOW)
def test_a_database_whose_name_is_not_utf_8_gets_that_name(tmp_path, how):
    database = os.fsencode(tmp_path) + b"/caf\xe9.db"
    command, more = traced(how, database, [sys.executable, "-c", "import snakefish; print(snakefish.map(abs, [-1]))"])
    assert run(command, more) == (0, b"[1]\n")
    assert os.path.exists(database)
    os.rename(database, tmp_path / "run.db")
    assert events(tmp_path / "run.db") > 0


@pytest.mark.parametrize("how", HOW)
def test_a_program_in_a_directory_that_was_removed_is_traced(tmp_path, how):
    gone = tmp_path / "gone"
    gone.mkdir()
    program = tmp_path / "program.py"
    program.write_text("import snakefish; print(snakefish.map(abs, [-1]))\n")
    command, more = traced(how, str(tmp_path / "run.db"), [sys.executable, str(program)])
    assert run(command, more, before=f"cd {gone}; rmdir {gone};") == (0, b"[1]\n")
    assert events(tmp_path / "run.db") > 0
    gone.mkdir()
    said = run([sys.executable, str(program)], {"SNAKEFISH_TRACE": "run.db"}, before=f"cd {gone}; rmdir {gone};",
               stderr=subprocess.STDOUT)
    assert said[0] == 0 and said[1].startswith(b"snakefish: no trace: ") and said[1].endswith(b"\n[1]\n")


@pytest.mark.diagonal
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("argv", ["[]", "None", "['']", "[b'bytes', 3]", "['\\udce9']", "['nul\\0here']", "3", "['-m']"])
def test_whatever_the_program_has_put_into_sys_argv(tmp_path, how, argv):
    program = f"import sys; sys.argv = {argv}\nimport snakefish; print(snakefish.map(abs, [-1]))"
    command, more = traced(how, str(tmp_path / "run.db"), [sys.executable, "-c", program])
    assert run(command, more) == (0, b"[1]\n")
    assert events(tmp_path / "run.db") > 0


@pytest.mark.skipif(PYPY, reason="PyPy itself needs more descriptors")
@pytest.mark.parametrize("how", HOW)
def test_a_program_with_few_descriptors_runs_and_a_trace_that_finds_none_is_left_out(tmp_path, how):
    (tmp_path / "program.py").write_text("""
import os, snakefish
t = snakefish.Thread(abs, args=(-3,))
t.start()
t.join()
print(t.get_result(), snakefish.map(abs, [-1, 2], 2))
""")
    said = {}
    for limit in (7, 12, 16):
        command, more = traced(how, str(tmp_path / "run.db"), [sys.executable, str(tmp_path / "program.py")])
        said[limit] = run(command, more, before=f"ulimit -S -n {limit};", stderr=subprocess.DEVNULL)
    assert said[12] == said[16] == (0, b"3 [1, 2]\n")
    if how == "environment":  # the collector's pipe alone needs more than there are
        assert said[7] == (0, b"3 [1, 2]\n")
