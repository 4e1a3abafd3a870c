"""Progress on stderr: samples done, time elapsed, time left, what runs now. A line every 5 s where that is no terminal."""
import os
import sys
import time

PLAIN_EVERY_S = 5.0
COLUMNS = 100  # where a terminal does not say how many it has


def clock(seconds):
    """1:05, 2:01:05."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def spoken(seconds):
    """45 s, 6 min 5 s, 2 h 1 min."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


class Progress:
    def __init__(self, total, stream=None):
        self.total = total
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.start = time.monotonic()
        self.shown = float("-inf")

    def show(self, done, left_s, what):
        """done: samples so far; left_s: seconds to go; what: what runs next."""
        at = time.monotonic()
        if not self.terminal and at - self.shown < PLAIN_EVERY_S and done < self.total:
            return
        self.shown = at
        line = f"{done:>5}/{self.total}  {clock(at - self.start)} elapsed, {clock(left_s)} left  {what}"
        self._write(f"\r\x1b[K{line[:self.columns() - 1]}" if self.terminal else line + "\n")

    def columns(self):
        """Asked for each line, because a window changes. A longer line would wrap, and its first part stay for ever."""
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or COLUMNS
        except (OSError, ValueError):
            return COLUMNS

    def say(self, line):
        """Writes a line that stays."""
        self._write(f"\r\x1b[K{line}\n" if self.terminal else line + "\n")

    def end(self):
        if self.terminal:
            self._write("\n")

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()
