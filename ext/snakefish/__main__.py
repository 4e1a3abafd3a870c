"""python3 -m snakefish PROGRAM [ARGUMENT ...]: runs a Python program that does not import snakefish itself, so that
SNAKEFISH_TRACE and SNAKEFISH_TRACE_INSTRUMENT can trace it unchanged."""

import io
import os
import sys
import types


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    del sys.argv[0]
    path = sys.argv[0]
    try:
        with io.open_code(os.path.abspath(path)) as file:
            code = compile(file.read(), path, "exec")
    except OSError as error:
        sys.exit(f"snakefish: cannot open {path}: {error.strerror}")
    sys.path[0] = os.path.dirname(os.path.abspath(path))
    program = types.ModuleType("__main__")  # a module of the program's own: pickle looks for its functions there
    program.__file__ = path
    program.__builtins__ = __builtins__
    sys.modules["__main__"] = program
    exec(code, program.__dict__)


if __name__ == "__main__":
    main()
