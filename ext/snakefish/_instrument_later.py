"""SNAKEFISH_TRACE_INSTRUMENT: instruments a library once the program has imported it, and not before. Internal.

A program that does not use the library does not get it, and one that does imports what it would import, when it would.
"""

import sys

from snakefish import _streams

LIBRARIES = ("multiprocessing",)

_finders: list = []  # ours on sys.meta_path


class _Finder:
    """Stands on sys.meta_path until the library is imported, and calls now(library) when the library's code has run."""

    def __init__(self, library, now):
        self.library, self.now = library, now

    def find_spec(self, name, path=None, target=None):
        if name != self.library:
            return None
        _remove(self)
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find and find(name, path, target)
            if spec is not None:
                _follow(spec.loader, name, self.now)
                return spec
        return None


def _follow(loader, library, now):
    """For one call of the loader's exec_module. Nothing of ours is left on it then."""
    if not hasattr(loader, "exec_module") or not hasattr(loader, "__dict__") or isinstance(loader, type):
        return _tell(f"{library} is loaded in a way that cannot be followed: call trace.instrument in the program")
    execute = loader.exec_module

    def exec_module(module):
        del loader.exec_module
        execute(module)
        _call(now, library)

    loader.exec_module = exec_module


def _call(now, library):
    try:
        now(library)
    except (RuntimeError, ValueError, OSError, MemoryError, ImportError) as error:
        _tell(error)


def _tell(why):
    _streams.write_line(f"snakefish: SNAKEFISH_TRACE_INSTRUMENT: {why}")


def _remove(finder):
    if finder in _finders:
        _finders.remove(finder)
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)


def forget():
    """The program has decided itself."""
    for finder in _finders[:]:
        _remove(finder)


def instrument(names, now):
    """Calls now(library) for each of these, "all" being all that can be instrumented: at once for those that are there, and
    for wrong names, else when they are imported."""
    wanted = [library for name in names for library in (LIBRARIES if name.strip() == "all" else [name.strip()])]
    for library in filter(None, wanted):
        if library in sys.modules or library not in LIBRARIES:
            _call(now, library)
        elif not any(finder.library == library for finder in _finders):
            _finders.append(_Finder(library, now))
            sys.meta_path.insert(0, _finders[-1])
