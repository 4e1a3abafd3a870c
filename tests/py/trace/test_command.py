"""How snakefish reads the command line of its interpreter: as Python does."""
import subprocess
import sys

import pytest
from conftest import environment
from snakefish import _command, _tree


@pytest.mark.parametrize("words, expected", [
    ("python3", (["python3"], "", None, [])),
    ("python3 a.py b -c d", (["python3"], "", "a.py", ["b", "-c", "d"])),
    ("python3 -m a b", (["python3"], "m", "a", ["b"])),
    ("python3 -ma b", (["python3"], "m", "a", ["b"])),
    ("python3 -Im a -m b", (["python3", "-I"], "m", "a", ["-m", "b"])),
    ("python3 -IBma", (["python3", "-IB"], "m", "a", [])),
    ("python3 -W error -Wd -X dev -Xutf8 -O -m a",
     (["python3", "-W", "error", "-Wd", "-X", "dev", "-Xutf8", "-O"], "m", "a", [])),
    ("python3 -OW m -m a", (["python3", "-OW", "m"], "m", "a", [])),
    ("python3 --check-hash-based-pycs never -m a", (["python3", "--check-hash-based-pycs", "never"], "m", "a", [])),
    ("python3 -Ec 1 2", (["python3", "-E"], "c", "1", ["2"])),
    ("python3 - a", (["python3"], "", "-", ["a"])),
    ("python3 -u -- -m a", (["python3", "-u"], "", "-m", ["a"])),
    ("python3 -m", (["python3"], "m", "", [])),
])
def test_words_are_split_as_python_splits_them(words, expected):
    assert _command.split(words.split()) == expected


def test_the_words_are_those_that_started_this_interpreter():
    code = "import snakefish._command as c, sys; print(c.words()[1:] == sys.argv[1:] or c.words())"
    command = [sys.executable, "-B", "-c", code, "a", "b c", "", "é"]
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, text=True, timeout=20)
    assert done.stdout == f"{[sys.executable, *command[1:]]}\n"


@pytest.mark.parametrize("words, kept", [("python3 a -I", ""), ("python3 -I a", "-I"), ("python3 -BE a", "-E"),
                                         ("python3 -OS -", "-S"),
                                         ("python3 -W SIE a", ""), ("python3 -WI a", ""), ("python3 -BWS -m a", ""),
                                         ("python3 -s -P a", ""), ("python3 -Im a", "-I"), ("python3 -X I -m S", "")])
def test_options_that_keep_the_trace_out(words, kept):
    assert _tree.what_keeps_out(words.split()) == kept
