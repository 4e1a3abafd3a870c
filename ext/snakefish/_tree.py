"""Every Python that a traced program starts joins its trace: by an entry in front of PYTHONPATH. Internal.

entry/sitecustomize.py says what happens there, ext/py/trace/programs.c how the entry stays in the environment of programs
while this one does not see it. SNAKEFISH_TRACE_LOAD=no in the environment turns all of this off.
"""

import os
import sys

from snakefish import _command, _snakefish

_ENTRY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "entry")
# Where Python keeps the functions that start programs: os has copied those of posix, subprocess has copied one.
_PLACES = {
    "execv": (("posix", "execv"), ("os", "execv")),
    "execve": (("posix", "execve"), ("os", "execve")),
    "posix_spawn": (("posix", "posix_spawn"), ("os", "posix_spawn")),
    "posix_spawnp": (("posix", "posix_spawnp"), ("os", "posix_spawnp")),
    "system": (("posix", "system"), ("os", "system")),
    "fork_exec": (("_posixsubprocess", "fork_exec"), ("subprocess", "_fork_exec")),
}
_starters: dict = {}  # name: (the original, what takes its place)
_has_entry = False


def is_wanted():
    return os.environ.get("SNAKEFISH_TRACE_LOAD") != "no"


def put_entry(environment):
    """In front of the PYTHONPATH of this environment, in the form that ext/py/trace/programs.c describes."""
    old = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = _ENTRY if old is None else f"{_ENTRY}:{old}" if old else f"{_ENTRY}/"


def what_keeps_out(words):
    """The option of python3 that keeps the entry from being read, or ""."""
    for word in _command.split(words)[0][1:]:
        letters = word[1:] if word[:1] == "-" and word[:2] != "--" else ""
        for letter in letters:
            if letter in "IES":
                return f"-{letter}"
            if letter in "WX":
                break
    return ""


def extend():
    """From now on all programs that this process starts get the entry, as long as their environment has a session."""
    global _has_entry
    if is_wanted():
        _snakefish._trace_set_entry(_ENTRY)
        _has_entry = True
        replace_starters()


def end():
    """No longer, also not by the environment that C sees."""
    global _has_entry
    _snakefish._trace_set_entry(None)
    _has_entry = False
    restore_starters()


def replace_starters():
    """Before anything of ours wraps them: what takes their places has to lie beneath. Without an entry it only calls its
    original."""
    import _posixsubprocess  # noqa: F401

    for name, ((module, _), *_) in _PLACES.items():
        original = getattr(sys.modules[module], name, None)
        if original is not None and name not in _starters:
            _starters[name] = original, _snakefish._trace_starter(sys.modules[module], name)
    for name, (original, mine) in _starters.items():
        _exchange(name, original, mine)


def restore_starters():
    """Where nothing of ours wraps them, unless a trace needs them."""
    if not _has_entry:
        for name, (original, mine) in _starters.items():
            _exchange(name, mine, original)


def _exchange(name, old, new):
    for module, attribute in _PLACES[name]:
        if getattr(sys.modules.get(module), attribute, None) is old:
            setattr(sys.modules[module], attribute, new)
