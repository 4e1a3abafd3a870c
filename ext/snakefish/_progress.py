"""map's progress=True: a bar on stderr. Internal; a bar is called with (done, total) and closed at the end."""

import sys

from snakefish._streams import is_terminal


class _Tqdm:
    """tqdm's bar, which counts steps; we know how many are done."""

    def __init__(self, tqdm, total):
        self._bar = tqdm(total=total, file=sys.stderr)

    def __call__(self, done, total):
        self._bar.update(done - self._bar.n)

    def close(self):
        self._bar.close()


class _Line:
    """One line, written anew whenever its text has changed."""

    _text = ""

    def __call__(self, done, total):
        text = f"{done}/{total} ({100 * done // total} %)"
        if text != self._text:
            self._text = text
            sys.stderr.write("\r" + text)
            sys.stderr.flush()

    def close(self):
        if self._text:
            sys.stderr.write("\n")
            sys.stderr.flush()


def bar(total):
    """The bar for so many arguments; None where stderr is no terminal: nobody would see it."""
    if not is_terminal():
        return None
    try:
        from tqdm import tqdm  # type: ignore[import]
    except ImportError:
        return _Line()
    return _Tqdm(tqdm, total)
