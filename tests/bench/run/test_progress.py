"""The progress line, on a terminal and off it."""
import io
import os
import pty
import struct
import termios
from fcntl import ioctl

from bench.run.progress import Progress, clock, spoken


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.isatty = lambda: terminal


def test_clock():
    assert [clock(s) for s in (0, 65.4, 3600, 7265)] == ["0:00", "1:05", "1:00:00", "2:01:05"]


def test_spoken():
    assert [spoken(s) for s in (9.6, 65, 3600, 7265)] == ["10 s", "1 min 5 s", "1 h 0 min", "2 h 1 min"]


def test_plain_lines_are_few_and_the_last_is_shown():
    stream = Stream(terminal=False)
    progress = Progress(100, stream)
    for done in range(101):
        progress.show(done, 3.0, "mandelbrot")
    progress.end()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 and lines[0].split()[0] == "0/100" and lines[1].split()[0] == "100/100"
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_terminal_keeps_one_line_and_what_is_said_stays():
    stream = Stream(terminal=True)
    progress = Progress(2, stream)
    progress.show(0, 3.0, "x" * 200)
    progress.say("something went wrong")
    progress.show(1, 1.0, "spectral-norm")
    progress.end()
    shown = [part.rpartition("\x1b[K")[2] for part in stream.getvalue().split("\r")[1:]]
    assert shown[1] == "something went wrong\n" and shown[2].endswith("spectral-norm\n")
    assert max(map(len, shown)) < 100


def test_a_line_is_shorter_than_a_narrow_terminal_so_that_it_does_not_wrap():
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        for columns in (40, 20, 100):
            ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            progress = Progress(1000, stream)
            progress.show(0, 3.0, "x" * 200)
            assert len(os.read(ours, 1000).decode().rpartition("\x1b[K")[2]) == columns - 1
    os.close(ours)
