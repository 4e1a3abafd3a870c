"""map(..., progress=): who is called, with what, and what becomes of a map whose teller raises."""
import os
import pty
import subprocess
import sys
import threading
import time

import pytest
from conftest import children, environment

import snakefish
from snakefish import starmap

parallel_map = snakefish.map
BOTH_WAYS = pytest.mark.parametrize("more", [{}, {"extract": lambda g: None, "merge": lambda g, e: None}],
                                    ids=["counter", "merge"])


@BOTH_WAYS
def test_it_is_told_of_every_chunk_in_arguments_done(more):
    told = []
    got = parallel_map(abs, range(10), 2, 3, progress=lambda *both: told.append((os.getpid(), *both)), **more)
    assert got == list(range(10))
    assert [(pid, total) for pid, _, total in told] == [(os.getpid(), 10)] * 4
    done = [done for _, done, _ in told]
    steps = [b - a for a, b in zip([0, *done], done)]
    assert done[-1] == 10 and sorted(steps) == [1, 3, 3, 3]


def test_a_chunk_that_is_half_done_counts_nothing_yet():
    """Its first result is here when the other chunk is done."""
    told = []
    with snakefish.Channel(4096) as go:
        def work(x):
            if x == 1:
                time.sleep(0.1)
            return go.receive_pyobj(timeout=20) if x == 3 else x

        def tell(done, total):
            told.append(done)
            if len(told) == 1:
                go.send_pyobj("went on")

        assert parallel_map(work, range(4), 2, 2, progress=tell) == [0, 1, 2, "went on"]
    assert told == [2, 4]


def test_without_a_chunksize_it_is_told_of_whatever_a_worker_has_claimed():
    told = []
    parallel_map(lambda x: time.sleep(0.006), range(20), 2, progress=lambda *both: told.append(both))
    assert told == [(done, 20) for done in range(1, 21)]  # such long ones are claimed one by one
    told.clear()
    parallel_map(abs, range(50_000), 2, progress=lambda done, total: told.append(done))
    assert told == sorted(set(told)) and told[-1] == 50_000 and 4 <= len(told) <= 1000


@BOTH_WAYS
def test_in_a_long_chunk_it_is_told_of_what_is_done_there(more):
    """By then the results of thousands of quick arguments go together."""
    told = []
    got = parallel_map(lambda x: time.sleep(0.05 if x >= 9000 else 0) or x, range(9040), 1, 9040,
                       progress=lambda done, total: told.append(done), **more)
    assert got == list(range(9040)) and told == sorted(set(told)) and told[-1] == 9040
    assert any(9000 < done < 9040 for done in told)


def test_starmap_and_the_positional_form_tell_too():
    told = []
    starmap(pow, [(1, 2)] * 4, 2, 2, progress=lambda done, total: told.append((done, total)))
    parallel_map(abs, range(2), lambda g: 1, lambda g, e: None, 1, 1, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 4), (4, 4), (1, 2), (2, 2)]


def test_it_is_told_while_the_map_runs_and_not_at_its_end():
    with snakefish.Channel(4096) as go:
        def work(x):
            return go.receive_pyobj(timeout=20) if x else x

        # the second chunk waits for what the teller sends after the first
        assert parallel_map(work, [0, 1], 2, 1, progress=lambda done, total: done == 1 and go.send_pyobj("went on")) == [
            0, "went on"]


@BOTH_WAYS
@pytest.mark.parametrize("at", [1, 2, 4])
def test_what_the_teller_raises_comes_out_and_ends_the_workers(more, at):
    before = children()

    def stop(done, total):
        calls.append(done)
        if done >= at:
            raise LookupError("enough")

    def work(x):
        if x >= at:
            threading.Event().wait(30)  # nobody waits for it
        return x

    calls = []
    with pytest.raises(LookupError, match="enough"):
        parallel_map(work, range(at + 2), 2, 1, progress=stop, **more)
    assert calls == list(range(1, at + 1))  # and it is not called again
    assert children() == before


def test_the_teller_hears_nothing_of_chunks_that_fail():
    told = []
    with pytest.raises(ZeroDivisionError):
        parallel_map(lambda x: 1 // x, [0], progress=lambda *both: told.append(both))
    assert told == []


@pytest.mark.parametrize("silent", [None, False, True])
def test_nothing_is_written_where_stderr_is_no_terminal(check_program, silent):
    assert check_program(f"import snakefish; print(snakefish.map(abs, range(9), 2, 1, progress={silent}))") == (
        f"{list(range(9))}\n")


def test_an_empty_map_tells_nothing():
    told = []
    assert parallel_map(abs, [], progress=lambda *both: told.append(both)) == [] and told == []


@pytest.mark.parametrize("wrong", [1, "yes", []])
def test_other_values_are_refused_by_name(wrong):
    with pytest.raises(TypeError, match="progress must be"):
        parallel_map(abs, [1], progress=wrong)


def on_a_terminal(source, tmp_path):
    """What the program writes to a stderr that is a terminal."""
    ours, theirs = pty.openpty()
    env = environment()
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
    try:
        subprocess.run([sys.executable, "-c", source], env=env, stderr=theirs, check=True, timeout=30)
    finally:
        os.close(theirs)
    with os.fdopen(ours, "rb", 0) as terminal:
        seen = b""
        try:
            while more := terminal.read(4096):
                seen += more
        except OSError:  # the other end is closed
            pass
    return seen.decode()


SHOWING = "import snakefish; snakefish.map(abs, range(4), 1, 2, progress=True)"


def test_without_tqdm_a_terminal_shows_one_line(tmp_path):
    (tmp_path / "tqdm.py").write_text("raise ImportError('not here')")
    assert on_a_terminal(SHOWING, tmp_path) == "\r2/4 (50 %)\r4/4 (100 %)\r\n"


def test_with_tqdm_a_terminal_shows_its_bar(tmp_path):
    (tmp_path / "tqdm.py").write_text("""
class tqdm:
    n = 0
    def __init__(self, total, file):
        self.total, self.file = total, file
    def update(self, step):
        self.n += step
        print("now", self.n, "of", self.total, file=self.file)
    def close(self):
        print("closed", file=self.file)
""")
    assert on_a_terminal(SHOWING, tmp_path).split("\r\n") == ["now 2 of 4", "now 4 of 4", "closed", ""]


def test_the_line_is_ended_also_when_the_map_raises(tmp_path):
    (tmp_path / "tqdm.py").write_text("raise ImportError('not here')")
    source = """
import snakefish
try:
    snakefish.map(lambda x: 1 // (2 - x), range(4), 1, 1, progress=True)
except ZeroDivisionError:
    pass
"""
    assert on_a_terminal(source, tmp_path).endswith("2/4 (50 %)\r\n")


# ---- tqdm as it is: with a thread that watches its bars, and a widget for notebooks ----

WATCHING_TQDM = """
import threading
import time

class tqdm:
    monitor_interval = 10
    n = 0
    def __init__(self, total, file):
        self.total, self.file = total, file
        if self.monitor_interval:
            threading.Thread(target=threading.Event().wait, daemon=True).start()
    def update(self, step):
        self.n += step
        print(self.kind, self.n, "of", self.total, file=self.file)
    def close(self):
        pass
    kind = "text"
"""
AUTO = """
import sys, warnings
warnings.warn("IProgress not found: install ipywidgets")
from tqdm import tqdm as text
class tqdm(text):
    kind = "widget"
    def __init__(self, **more):
        if "ipywidgets" not in sys.modules:
            raise ImportError("IProgress not found")
        super().__init__(**more)
"""
NOTEBOOK = """
import sys, types
shell = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
"""
STRICT = "import warnings; warnings.simplefilter('error')\n"


@pytest.fixture
def tqdm_folder(tmp_path):
    (tmp_path / "tqdm").mkdir()
    (tmp_path / "tqdm" / "__init__.py").write_text(WATCHING_TQDM)
    return tmp_path


def in_notebook(source, folder, run_program):
    """What the program writes to stderr, which is no terminal, while IPython says that this is a notebook."""
    path = os.pathsep.join([str(folder), environment()["PYTHONPATH"]])
    return run_program(STRICT + NOTEBOOK + source, env={"PYTHONPATH": path})


def test_a_bar_starts_no_thread_that_a_fork_would_warn_of(tqdm_folder):
    shown = on_a_terminal(STRICT + SHOWING + "; snakefish.map(abs, range(4), 1, 2, progress=True)", tqdm_folder)
    assert shown.split("\r\n") == ["text 2 of 4", "text 4 of 4"] * 2 + [""]


def test_the_real_tqdm_starts_no_thread_either(tmp_path):
    pytest.importorskip("tqdm")
    assert "4/4" in on_a_terminal(STRICT + SHOWING, tmp_path)


@pytest.mark.parametrize("has_widgets", [True, False])
def test_a_notebook_shows_the_widget_where_it_can_and_text_without_a_word_where_not(has_widgets, tqdm_folder, run_program):
    (tqdm_folder / "tqdm" / "auto.py").write_text(AUTO)
    ended = in_notebook(f"if {has_widgets}: sys.modules['ipywidgets'] = sys\n" + SHOWING, tqdm_folder, run_program)
    kind = "widget" if has_widgets else "text"
    assert (ended.status, ended.stdout, ended.stderr) == (0, "", f"{kind} 2 of 4\n{kind} 4 of 4\n")


def test_a_notebook_without_tqdm_shows_the_line(tmp_path, run_program):
    (tmp_path / "tqdm.py").write_text("raise ImportError('not here')")
    ended = in_notebook(SHOWING, tmp_path, run_program)
    assert ended.stderr == "\n2/4 (50 %)\n4/4 (100 %)\n"  # each \r, as subprocess gives it


def test_ipython_on_a_pipe_shows_nothing(tmp_path, run_program):
    ended = in_notebook("shell.config = {}\n" + SHOWING, tmp_path, run_program)
    assert (ended.status, ended.stderr) == (0, "")
