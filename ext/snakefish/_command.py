"""The command line of this interpreter, as Python reads it: python3 [OPTION ...] PROGRAM [ARGUMENT ...]. Internal."""

import sys

_WITH_VALUE = "cmWX"  # options that take the rest of their word as their value, or the next word
_LONG_WITH_VALUE = ("--check-hash-based-pycs",)


def words():
    """All words, the interpreter's own name first."""
    original = getattr(sys, "orig_argv", None)
    if original is not None:
        return list(original)
    with open("/proc/self/cmdline", "rb") as file:  # Python 3.9 and PyPy
        return [word.decode(sys.getfilesystemencoding(), "surrogateescape") for word in file.read().split(b"\0")[:-1]]


def split(words):
    """(the interpreter's name and options, "m", "c" or "" for a file, the module, code or file, its arguments)

    The file is None where Python reads its program from standard input.
    """
    options, rest = list(words[:1]), list(words[1:])
    while rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
        word = rest.pop(0)
        options.append(word)
        if word in _LONG_WITH_VALUE:
            options += rest[:1]
            del rest[:1]
        at = 0 if word.startswith("--") else next((i for i in range(1, len(word)) if word[i] in _WITH_VALUE), 0)
        if not at:
            continue
        joined = word[at + 1:]
        value = joined or (rest.pop(0) if rest else "")
        if word[at] in "cm":
            options[-1:] = [word[:at]] if at > 1 else []
            return options, word[at], value, rest
        if not joined:
            options.append(value)
    if rest[:1] == ["--"]:
        del rest[0]
    return options, "", rest[0] if rest else None, rest[1:]


def is_ours():
    """Whether this interpreter was started as `python3 -m snakefish`, which runs the program in its place. True only
    before the program's own time, and so during our imports."""
    argv = getattr(sys, "argv", None)
    if not isinstance(argv, list) or argv[:1] != ["-m"]:
        return False
    _, kind, name, _ = split(words())
    return kind == "m" and name in ("snakefish", "snakefish.__main__")
