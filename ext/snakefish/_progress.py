"""map's progress=True: a bar on stderr, or in a notebook. Internal; a bar is called with (done, total) and closed at the
end."""

import sys

from snakefish._streams import is_terminal


class _Tqdm:
    """tqdm's bar, which counts steps; we know how many are done."""

    def __init__(self, tqdm, total):
        # tqdm starts a thread that redraws bars which nobody updates. The fork of a worker would warn of that thread.
        unwatched = type(tqdm.__name__, (tqdm,), {"monitor_interval": 0})
        self._bar = unwatched(total=total, file=sys.stderr)

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


def _in_notebook():
    """Whether this is a Jupyter kernel, whose stderr goes into the notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in getattr(shell, "config", ())


def _find_tqdm():
    """tqdm's class for where we are: a widget in a notebook that has ipywidgets, else text. None without tqdm."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there are no ipywidgets
            from tqdm.auto import tqdm  # type: ignore[import]
    except Exception:  # an old tqdm, or a broken notebook
        try:
            from tqdm import tqdm  # type: ignore[import]
        except ImportError:
            return None
    return tqdm


def bar(total):
    """The bar for so many arguments; None where nobody would see it: stderr is neither a terminal nor in a notebook."""
    if not (is_terminal() or sys.stderr is not None and _in_notebook()):
        return None
    tqdm = _find_tqdm()
    if tqdm is None:
        return _Line()
    try:
        return _Tqdm(tqdm, total)
    except ImportError:  # tqdm's widget without ipywidgets
        from tqdm import tqdm  # type: ignore[import]

        return _Tqdm(tqdm, total)
