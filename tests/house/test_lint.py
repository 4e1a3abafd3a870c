"""Each tool of `make lint` finds what it is there for, with the project's own settings, in a small tree made for it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SETTINGS = [".clang-format", ".clang-tidy", ".flake8", "pyproject.toml", "analysis/.lintr"]
RIGHT = {
    "ext/core/os/lock.c": "int sf_lock_take(int tag);\n\nint sf_lock_take(int tag)\n{\n    return tag ? tag : 1;\n}\n",
    "ext/snakefish/__init__.py": "",
    "bench/__init__.py": "",
    "bench/plan.py": "def twice(number: int) -> int:\n    return 2 * number\n",
    "tests/test_plan.py": "def test_nothing():\n    pass\n",
    "build_backend.py": "",
    "analysis/load.R": "twice <- function(number) {\n  2 * number\n}\n",
    ".ci/run": "#!/bin/sh\nexec make test\n",
    ".ci/install": "#!/bin/sh\nexit 0\n",
    ".ci/missing": "#!/bin/sh\nexit 0\n",
}
# tool: (what is changed, a part of what it must say)
WRONG = {
    "clang-format": ({"ext/core/os/lock.c": "int sf_lock_take(int tag) { return tag; }\n"}, "-Wclang-format-violations"),
    "clang-tidy": ({"ext/core/os/lock.c": "int sf_lock_take(int tag)\n{\n    int *none = 0;\n    return *none + tag;\n}\n"},
                   "clang-analyzer-core.NullDereference"),
    "flake8": ({"tests/test_plan.py": "import os\n"}, "F401 'os' imported but unused"),
    "mypy": ({"bench/plan.py": 'def twice(number: int) -> int:\n    return "2" * number\n'}, "Incompatible return value type"),
    "shellcheck": ({".ci/run": "#!/bin/sh\nrm $1\n"}, "SC2086"),
    "lintr": ({"analysis/load.R": "twice = function(number) 2 * number\n"}, "assignment_linter"),
}
NAMES = {"lintr": "Rscript"}


def lint(top, tool, changes):
    if not shutil.which(NAMES.get(tool, tool)):
        pytest.skip(f"{tool} is not installed")
    for name in SETTINGS:
        (top / name).parent.mkdir(exist_ok=True)
        shutil.copy(os.path.join(TOP, name), top / name)
    for path, text in {**RIGHT, **changes}.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)
    (top / "compile_commands.json").write_text(json.dumps([
        {"directory": str(top), "file": "ext/core/os/lock.c", "command": "gcc -c ext/core/os/lock.c"}]))
    done = subprocess.run([sys.executable, os.path.join(TOP, "tests", "lint.py"), "--top", str(top), tool],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return done.returncode, done.stdout


@pytest.mark.parametrize("tool", WRONG)
def test_a_tool_passes_what_is_right_and_finds_what_is_wrong(tmp_path, tool):
    changes, finding = WRONG[tool]
    status, said = lint(tmp_path, tool, {})
    assert status == 0 and f"{tool:14} clean" in said, said
    status, said = lint(tmp_path, tool, changes)
    assert status == 1 and finding in said and f"{tool:14} FOUND" in said, said
