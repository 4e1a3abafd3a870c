"""python3 [OPTION ...] -m snakefish PROGRAM [ARGUMENT ...]

Runs the program as `python3 [OPTION ...] PROGRAM [ARGUMENT ...]` does, and lets SNAKEFISH_TRACE and SNAKEFISH_TRACE_INSTRUMENT
trace it, and every Python that it starts, though it does not import snakefish. PROGRAM is a file, a directory, a zip file, -m
MODULE, -c CODE, or - for standard input; options of python3 may stand before it.
"""

# It sets the environment and then replaces itself by the very command that it stands for, so everything is as Python does it.

import os
import sys

from snakefish import _command, _streams, _tree


def main():
    options, _, _, program = _command.split(_command.words())
    if not program:
        sys.exit(__doc__.strip())
    if _tree.is_wanted():
        _tree.put_entry(os.environ)
        deaf = _tree.what_keeps_out([*options, *program])
        if deaf and (os.environ.get("SNAKEFISH_TRACE") or os.environ.get("SNAKEFISH_TRACE_SESSION")):
            _streams.write_line(f"snakefish: no trace: python3 {deaf} reads no PYTHONPATH or no sitecustomize, by which a "
                                "program is traced that does not import snakefish")
    file = sys.executable or "/proc/self/exe"
    os.execv(file, [*options, *program])


if __name__ == "__main__":
    main()
