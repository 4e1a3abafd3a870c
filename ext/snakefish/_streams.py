"""The standard streams are the program's, closed ones too. Internal. Sentences for the user go to sys.stderr and to
nothing else: where the program has none, print() would put them into its standard output.
"""

import os
import sys


def stderr_is_there():
    """Whether descriptor 2 was open when the interpreter started. Otherwise a file of the program's may have that number
    now, and nothing may be written to it."""
    return getattr(sys, "__stderr__", None) is not None


def above_standard_streams(fd):
    """The descriptor, moved to a number that is none of the standard streams'."""
    if fd > 2:
        return fd
    try:
        return above_standard_streams(os.dup(fd))  # the lower ones are taken while it is open
    finally:
        os.close(fd)


def is_terminal():
    try:
        return sys.stderr.isatty()
    except Exception:  # it is None, closed, or an object of the program's
        return False


def write_line(text):
    """Nothing is raised where it cannot be written: a failing message must not end the program."""
    stream = getattr(sys, "stderr", None)
    if stream is None:
        return
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except Exception:  # it is closed, its reader has gone, or it is an object of the program's
        pass
