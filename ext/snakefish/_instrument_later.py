"""Instruments a library once the program has imported it, and not before: for trace.instrument and SNAKEFISH_TRACE_INSTRUMENT.
Internal.

A program that does not use the library does not get it, and one that does imports what it would import, when it would.
"""

import sys

from snakefish import _streams

_JOBLIBS_LOKY = ("joblib.externals.loky.process_executor", "joblib.externals.loky.backend.popen_loky_posix")

LIBRARIES = {  # the modules with whose import a library's parts begin (_instrument.py)
    "multiprocessing": ("multiprocessing",),
    "concurrent.futures": ("concurrent.futures.thread", "concurrent.futures.process"),
    "loky": ("loky.process_executor", "loky.backend.popen_loky_posix", *_JOBLIBS_LOKY),
    "joblib": ("joblib.parallel", *_JOBLIBS_LOKY),
}

_finders: list = []  # ours on sys.meta_path


class _Finder:
    """Stands on sys.meta_path until the module is imported, and instruments its part when the module's code has run."""

    def __init__(self, library, module):
        self.library, self.module = library, module

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        for finder in sys.meta_path:
            find = None if isinstance(finder, _Finder) else getattr(finder, "find_spec", None)
            spec = find and find(name, path, target)
            if spec is not None:
                self._follow(spec.loader)
                return spec
        return None

    def _follow(self, loader):
        """For one call of the loader's exec_module. Nothing of ours is left on it then."""
        if not hasattr(loader, "exec_module") or not hasattr(loader, "__dict__") or isinstance(loader, type):
            self._remove()
            return _tell("trace.instrument", f"{self.module} is loaded in a way that cannot be followed: call trace.instrument "
                                             "once it is imported")
        execute = loader.exec_module

        def exec_module(module):
            del loader.exec_module
            mine = [finder for finder in _finders if finder.module == self.module]  # other libraries may share the module
            execute(module)
            for finder in mine:
                if finder in _finders:
                    finder._remove()
                    _try("trace.instrument", _instrument, finder.library, finder.module)

        loader.exec_module = exec_module

    def _remove(self):
        if self in _finders:
            _finders.remove(self)
        if self in sys.meta_path:
            sys.meta_path.remove(self)


def _try(who, call, *arguments):
    try:
        call(*arguments)
    except (RuntimeError, ValueError, OSError, MemoryError, ImportError) as error:
        _tell(who, error)


def _tell(who, why):
    _streams.write_line(f"snakefish: {who}: {why}")


def _instrument(library, part):
    from snakefish import _instrument  # only now: a program that uses no such library does not need it

    _instrument.instrument(library, part)


def check(library):
    if not isinstance(library, str):
        raise TypeError(f"library must be a str, not {type(library).__name__}")
    if library not in LIBRARIES and library != "all":
        raise ValueError(f"library must be one of {', '.join(LIBRARIES)}, all, not {library!r}")


def named(library):
    return LIBRARIES if library == "all" else (library,)


def instrument(library):
    """Now, as far as it is imported, and the rest when it will be."""
    check(library)
    for one in named(library):
        for module in LIBRARIES[one]:
            if module in sys.modules:
                _instrument(one, module)
            elif not any((finder.library, finder.module) == (one, module) for finder in _finders):
                _finders.append(_Finder(one, module))
                sys.meta_path.insert(0, _finders[-1])


def uninstrument(library):
    check(library)
    for one in named(library):
        for finder in [finder for finder in _finders if finder.library == one]:
            finder._remove()
        if "snakefish._instrument" in sys.modules:
            from snakefish import _instrument

            _instrument.uninstrument(one)


def instrument_from_environment(names):
    """names: as in SNAKEFISH_TRACE_INSTRUMENT. What cannot be done is told on stderr."""
    for name in names.split(","):
        if name.strip():
            _try("SNAKEFISH_TRACE_INSTRUMENT", instrument, name.strip())
