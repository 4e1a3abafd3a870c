"""python3 -m snakefish PROGRAM: what a program sees and does is what it sees and does under python3 PROGRAM."""
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from conftest import PYPY, environment
from databases import Database
from instrumented import needs_collector
from look import LOOK

HOW = ["as it is", pytest.param("traced", marks=needs_collector)]


def run(words, directory, ours=False, how="as it is", options=(), stdin="", env=None):
    """(exit status, stdout, stderr) of python3 with these words, or of python3 -m snakefish with them."""
    more = {"SNAKEFISH_TRACE": directory / "run.db"} if how == "traced" and ours else {}
    done = subprocess.run([sys.executable, *options, *(["-m", "snakefish"] if ours else []), *words], cwd=directory,
                          env=environment(**more, **(env or {})), input=stdin, capture_output=True, text=True, timeout=40)
    return done.returncode, done.stdout, done.stderr


def check_same(words, directory, how="as it is", **more):
    plain = run(words, directory, **more)
    assert run(words, directory, ours=True, how=how, **more) == plain
    if how == "traced":
        with Database(directory / "run.db") as db:
            assert db.state() == "complete"
            assert db.one("SELECT count(*) FROM process") >= 1
    return plain


def write_programs(directory, source):
    for name in ("package", "directory"):
        (directory / name).mkdir()
        (directory / name / "__main__.py").write_text(source)
    (directory / "package" / "__init__.py").write_text("")
    (directory / "program.py").write_text(source)
    with zipfile.ZipFile(directory / "program.zip", "w") as file:
        file.writestr("__main__.py", source)


WAYS = [["program.py"], ["./program.py"], ["-m", "package"], ["-mpackage"], ["-m", "package.__main__"], ["-m", "program"],
        ["-c", LOOK], ["directory"], ["program.zip"], ["-"], ["--", "program.py"], ["-O", "-W", "error", "program.py"]]


@pytest.mark.diagonal
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("words", WAYS, ids=lambda words: " ".join(words)[:12])
def test_a_program_sees_what_it_sees_under_python3(tmp_path, words, how):
    write_programs(tmp_path, LOOK)
    more = ["modules"] if how == "as it is" else []  # what joins a trace needs some modules of Python's own
    status, out, err = check_same([*words, "a", "-b", "--", *more], tmp_path, how, stdin=LOOK)
    assert (status, err) == (0, "") and "'a', '-b', '--'" in out


@pytest.mark.diagonal
@pytest.mark.skipif(PYPY, reason="PyPy has not all of these options")
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("options", [["-O"], ["-OO", "-B"], ["-W", "error", "-Wdefault"], ["-X", "dev"], ["-Xutf8"], ["-bb"],
                                     ["-u"], ["-s"], ["-qd"], ["-P"], ["--check-hash-based-pycs", "never"]], ids=" ".join)
def test_the_interpreter_keeps_its_options(tmp_path, options, how):
    if options == ["-P"] and sys.version_info < (3, 11):
        pytest.skip("-P is an option since 3.11")
    (tmp_path / "program.py").write_text(LOOK)
    assert check_same(["program.py", "a"], tmp_path, how, options=options)[0] == 0


def test_an_option_that_keeps_the_trace_out_is_told_and_the_program_runs(tmp_path):
    (tmp_path / "program.py").write_text(LOOK)
    plain = run(["program.py"], tmp_path, options=["-S"])
    assert run(["program.py"], tmp_path, ours=True, options=["-S"]) == plain
    status, out, err = run(["program.py"], tmp_path, ours=True, how="traced", options=["-S"])
    assert (status, out) == plain[:2] and "with -S Python does not load what traces" in err


@pytest.mark.diagonal
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "", "LC_CTYPE": "", "LANG": "C"}, {"LC_ALL": "C.UTF-8"},
                                    {"LC_ALL": "", "LC_CTYPE": "POSIX", "LANG": "", "PYTHONCOERCECLOCALE": "0"}], ids=str)
def test_the_locale_is_the_same(tmp_path, locale, how):
    (tmp_path / "program.py").write_text(LOOK)
    assert check_same(["program.py", "a"], tmp_path, how, env=locale)[0] == 0


ENDS = {
    "exception": "def f():\n    raise ValueError('mine')\nf()\n",
    "syntax error": "def f(:\n",
    "status": "import sys\nsys.exit(7)\n",
    "words": "import sys\nsys.exit('words')\n",
    "odd status": "import sys\nsys.exit(2.5)\n",
    "None": "import sys\nsys.exit(None)\n",
    "SystemExit's child": "class Mine(SystemExit):\n    pass\nraise Mine(3)\n",
    "Ctrl-C": "raise KeyboardInterrupt\n",
    "os._exit": "import os\nprint('lost?', end='')\nos._exit(5)\n",
    "signal": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n",
    "exit handlers": "import atexit\nfor i in range(3):\n    atexit.register(print, i)\natexit.register(1 .__truediv__, 0)\n"
                     "1 / 0\n",
    "threads": "import atexit, threading, time\natexit.register(print, 'exit')\n"
               "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\nprint('end')\n",
    "stack": "import traceback, warnings\ntraceback.print_stack()\nwarnings.warn('mine', stacklevel=2)\n"
             "warnings.warn('far', stacklevel=9)\n",
    "failing import": "import absent_module_of_nobody\n",
    "excepthook": "import sys\nsys.excepthook = lambda *e: print('hook', e[0].__name__, e[2].tb_lineno, e[2].tb_next is None)\n"
                  "1 / 0\n",
    "failing close": "import sys\nsys.stdout.close()\n",
}


@pytest.mark.diagonal
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("source", ENDS.values(), ids=ENDS)
def test_it_ends_as_under_python3(tmp_path, source, how):
    (tmp_path / "program.py").write_text(source)
    check_same(["program.py"], tmp_path, how)
    if "ValueError" in source or "stack" in source:
        check_same(["-m", "program"], tmp_path, how)
        check_same(["-"], tmp_path, how, stdin=source)


@pytest.mark.parametrize("words", [["absent.py"], ["-m", "absent"], ["-m"], ["-c"], ["-c", "1 +"], ["."], ["-Z"], ["--version"],
                                   ["-V"]], ids=" ".join)
def test_what_python3_refuses_is_refused_in_the_same_words(tmp_path, words):
    status, out, err = check_same(words, tmp_path)
    assert status or "Python" in out


def test_without_a_program_it_says_what_it_wants(tmp_path):
    status, out, err = run([], tmp_path, ours=True)
    assert (status, out) == (1, "") and "-m snakefish PROGRAM" in err


@pytest.mark.parametrize("how", HOW)
def test_the_interactive_mode_follows_the_program(tmp_path, how):
    (tmp_path / "program.py").write_text("x = 5\n1 / 0\n")
    options = {"options": ["-i", "-q"], "stdin": "print(x + 1)\nprint(__name__)\n"}
    status, out, err = check_same(["program.py"], tmp_path, how, **options)
    assert out.replace(">>>> ", "") == "6\n__main__\n" and "ZeroDivisionError" in err  # PyPy prints its prompt, too


@pytest.mark.parametrize("how", HOW)
def test_a_real_ctrl_c_ends_it_by_the_signal(tmp_path, how):
    (tmp_path / "program.py").write_text("import time\nprint('go', flush=True)\ntime.sleep(30)\n")
    ends = []
    for ours in ([], ["-m", "snakefish"]):
        env = environment(**({"SNAKEFISH_TRACE": tmp_path / "run.db"} if ours and how == "traced" else {}))
        with subprocess.Popen([sys.executable, *ours, "program.py"], cwd=tmp_path, env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdout.readline() == "go\n"
            time.sleep(0.3)  # until it sleeps
            program.send_signal(signal.SIGINT)
            out, err = program.communicate(timeout=20)
        ends.append((program.returncode, out, err))
    assert ends[0] == ends[1] and ends[0][0] in (-signal.SIGINT, 1)  # PyPy ends with 1


PICKLES = """
import multiprocessing, pickle, sys
def double(x):
    return 2 * x
class Mine:
    pass
if __name__ == "__main__":
    print(pickle.loads(pickle.dumps(double)) is double, type(pickle.loads(pickle.dumps(Mine()))) is Mine)
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(pool.map(double, range(5)))
"""


@pytest.mark.diagonal
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.parametrize("words", [["program.py"], ["-m", "program"]], ids=" ".join)
def test_functions_of_the_program_can_be_pickled_for_every_start_method(tmp_path, words, method, how):
    write_programs(tmp_path, PICKLES)
    status, out, err = check_same([*words, method], tmp_path, how)
    assert (status, out, err) == (0, "True True\n[0, 2, 4, 6, 8]\n", "")


def test_its_process_is_the_programs_and_nothing_of_it_is_left(tmp_path):
    (tmp_path / "program.py").write_text("import os, sys\nprint(os.getpid(), os.getppid(), 'snakefish' in sys.modules)\n")
    with subprocess.Popen([sys.executable, "-m", "snakefish", "program.py"], cwd=tmp_path, env=environment(), text=True,
                          stdout=subprocess.PIPE) as program:
        out, _ = program.communicate(timeout=20)
    assert out == f"{program.pid} {os.getpid()} False\n"
