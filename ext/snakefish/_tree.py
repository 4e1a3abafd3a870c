"""Every Python that a traced program starts joins its trace: by an entry in front of PYTHONPATH. Internal.

entry/sitecustomize.py says what happens there, ext/py/trace/programs.c how the entry stays in the environment of programs
while this one does not see it. SNAKEFISH_TRACE_LOAD=no in the environment turns all of this off.
"""

import os
import sys

from snakefish import _command, _snakefish

_ENTRY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "entry")
# Where Python keeps the functions that start programs: subprocess has copied one, os has copied those of posix.
_STARTERS = {
    "execv": ("posix", "os"),
    "execve": ("posix", "os"),
    "posix_spawn": ("posix", "os"),
    "posix_spawnp": ("posix", "os"),
    "system": ("posix", "os"),
    "fork_exec": ("_posixsubprocess",),
}
_replaced = False


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
    if is_wanted():
        _snakefish._trace_set_entry(_ENTRY)
        replace_starters()


def end():
    """No longer, also not by the environment that C sees."""
    _snakefish._trace_set_entry(None)


def replace_starters():
    """Once in a process, and for ever: while there is no entry they only call their originals. Before anything of ours wraps
    them: a copy that is wrapped already is not replaced."""
    global _replaced
    if _replaced:
        return
    _replaced = True
    import _posixsubprocess
    import posix

    for name, (owner, *copies) in _STARTERS.items():
        module = {"posix": posix, "_posixsubprocess": _posixsubprocess}[owner]
        original = getattr(module, name, None)
        if original is None:
            continue
        mine = _snakefish._trace_starter(module, name)
        setattr(module, name, mine)
        for copy in map(sys.modules.get, copies):
            if getattr(copy, name, None) is original:
                setattr(copy, name, mine)
        if name == "fork_exec" and getattr(sys.modules.get("subprocess"), "_fork_exec", None) is original:
            sys.modules["subprocess"]._fork_exec = mine
