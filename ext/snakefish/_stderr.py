"""Sentences for the user. Internal. They go to sys.stderr and to nothing else: where the program has none, print() would
put them into its standard output. Imports nothing but sys, because the package does at its import.
"""

import sys


def is_there():
    """Whether descriptor 2 was open when the interpreter started. Otherwise a file of the program's may have that number
    now, and nothing may be written to it."""
    return getattr(sys, "__stderr__", None) is not None


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
