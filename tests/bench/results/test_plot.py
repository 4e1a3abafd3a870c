"""Intervals as lines of characters."""
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from fcntl import ioctl

from bench.results import plot
from test_show import scattered

ROWS = [("one", 0.4, 0.5, 0.6), ("another", 1.9, 2.0, 2.1), ("none", None, 1.0, None)]


def test_values_and_intervals_are_where_the_axis_says():
    axis, one, another, none = plot.lines(ROWS, 80)
    assert [axis.index(tick) for tick in ("0.5", "2")] == [one.index("●") - 1, another.index("●")]
    assert axis.index("1") == one.index("│") == another.index("│") == none.index("●")
    assert re.fullmatch(r"one      ├─+●─+┤ +│", one) and re.fullmatch(r"another +│ +├─*●─*┤", another)
    ratio = (one.index("●") - one.index("├")) / (one.index("┤") - one.index("●"))
    assert 1 < ratio < 1.6  # log(0.5 / 0.4) / log(0.6 / 0.5) is 1.22


def test_an_interval_that_holds_1_shows_it_and_what_has_no_logarithm_is_left_out():
    nan, inf = float("nan"), float("inf")
    (_, drawn) = plot.lines([("a", 0.5, 2.0, 4.0), ("b", 0.0, 0.0, 0.0), ("c", 1.0, 2.0, inf), ("d", nan, nan, nan)], 60)
    assert drawn.index("├") < drawn.index("│") < drawn.index("●")


def test_no_line_is_longer_than_the_width_and_what_is_too_narrow_is_not_drawn():
    for width in range(1, 120):
        assert max(map(len, plot.lines(ROWS, width)), default=0) <= width
    assert plot.lines(ROWS, 25) == [] == plot.lines([], 80) and plot.lines(ROWS, 40)


def test_where_the_output_cannot_have_them_there_are_no_lines_of_unicode():
    assert all(line.isascii() for line in plot.lines(ROWS, 80, "ascii"))
    assert plot.lines(ROWS, 80, None) == plot.lines(ROWS, 80, "ascii") == plot.lines(ROWS, 80, "no such encoding")


def test_numbers_of_the_axis_do_not_touch():
    for low in (0.01, 0.1, 0.3, 0.9):
        axis = plot.lines([("", low, 1.0, 1 / low)], 30)[0]
        assert "1" in axis.split() and set(axis.split()) <= {f"{tick:g}" for tick in plot.TICKS}


def test_show_draws_on_a_terminal_only(tmp_path):
    path = scattered(tmp_path / "bench.db")
    command = [sys.executable, "-m", "bench", "show", str(path)]
    assert "●" not in subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    ours, theirs = pty.openpty()
    ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    env = {**{key: value for key, value in os.environ.items() if key != "COLUMNS"}, "PYTHONIOENCODING": "utf-8"}
    shown = b""
    with subprocess.Popen(command, stdout=theirs, env=env) as process:
        os.close(theirs)
        with suppress(OSError):  # at the end, when nobody has the terminal any more
            while True:
                shown += os.read(ours, 100_000)
    os.close(ours)
    assert process.returncode == 0
    shown = shown.decode()
    drawn = [line.rstrip() for line in shown.splitlines() if "●" in line]
    assert [line.split()[:2] for line in drawn] == [["injected", "x1"], ["injected", "x2"]]
    assert max(map(len, drawn)) <= 60
