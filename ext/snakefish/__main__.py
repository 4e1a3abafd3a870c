"""python3 [OPTION ...] -m snakefish PROGRAM [ARGUMENT ...]

Runs the program as `python3 [OPTION ...] PROGRAM [ARGUMENT ...]` does, and lets SNAKEFISH_TRACE and SNAKEFISH_TRACE_INSTRUMENT
trace it, and every Python that it starts, though it does not import snakefish. PROGRAM is a file, a directory, a zip file, -m
MODULE, -c CODE, or - for standard input; options of python3 may stand before it.
"""

# It sets the environment and then replaces itself by the very command that it stands for, so everything is as Python does it.

import os
import sys

from snakefish import _command, _streams, _tree


def _put_locale_back():
    """In the locale C Python sets LC_CTYPE, as PEP 538 says. The program's Python must find it as it was, to do the same."""
    with open("/proc/self/environ", "rb") as file:
        before = dict(word.partition(b"=")[::2] for word in file.read().split(b"\0"))
    if b"LC_CTYPE" in before:
        os.environb[b"LC_CTYPE"] = before[b"LC_CTYPE"]
    else:
        os.environb.pop(b"LC_CTYPE", None)


def main():
    options, _, _, program = _command.split(_command.words())
    if not program:
        sys.exit(__doc__.strip())
    deaf = _tree.what_keeps_out([*options, *program])
    if not deaf and _tree.is_wanted():
        _tree.put_entry(os.environ)
    if deaf and (os.environ.get("SNAKEFISH_TRACE") or os.environ.get("SNAKEFISH_TRACE_SESSION")):
        _streams.write_line(
            f"snakefish: with {deaf} Python does not load what traces a program that does not import snakefish itself"
        )
    if os.environ.get("LC_CTYPE"):
        _put_locale_back()
    file = sys.executable or "/proc/self/exe"
    os.execv(file, [*options, *program])


if __name__ == "__main__":
    main()
