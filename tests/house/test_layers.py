"""The layer test is known to fail: each kind of wrong arrow, in a small tree made for it."""

import os
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A tree that keeps all rules, with an arrow of each kind that is allowed.
RIGHT = {
    "ext/abi/log_format.h": "",
    "ext/core/os/lock.h": "int sf_lock_take(void);\n",
    "ext/core/os/lock.c": '#include "core/os/lock.h"\n#include <errno.h>\nint sf_lock_take(void) { return 0; }\n',
    "ext/core/ring/ring.h": '#include "core/os/lock.h"\n#include "abi/log_format.h"\nint sf_ring_open(void);\n',
    "ext/core/ring/ring.c": '#include "core/ring/ring.h"\nint sf_ring_open(void) { return sf_lock_take(); }\n',
    "ext/core/ring/holders.h": "",
    "ext/py/base/types.h": "#include <Python.h>\n",
    "ext/py/module.c": '#include "py/base/types.h"\n#include "core/ring/ring.h"\n',
    "ext/snakefish/__init__.py": "from snakefish import trace\nfrom snakefish._snakefish import Channel\n",
    "ext/snakefish/trace.py": "import os\nfrom snakefish import _snakefish\n",
    "tracer/base/file.h": "",
    "tracer/store/schema.sql": "",
    "tracer/store/store.c": '#include "base/file.h"\n#include "abi/log_format.h"\n#include "store/schema.inc"\n',
    "bench/__init__.py": "",
    "bench/__main__.py": "import sys\nfrom bench.run import plan\n",
    "bench/support/__init__.py": "",
    "bench/support/ready.py": "",
    "bench/runtimes/__init__.py": "",
    "bench/runtimes/fork.py": "import snakefish\nfrom bench.support import ready\n",
    "bench/micro/__init__.py": "",
    "bench/micro/spawn.py": "from bench.runtimes import fork\n",
    "bench/run/__init__.py": "",
    "bench/run/plan.py": "from bench.micro import spawn\nfrom . import store\n",
    "bench/run/store.py": "",
}

# name of the case: (what is changed in the tree, the line that must be printed, and nothing else)
WRONG = {
    "a lower room includes a higher one": (
        {"ext/core/os/lock.h": '#include "core/ring/holders.h"\n'},
        "ext: rooms: ext/core/os/lock.h includes core/ring/holders.h: core/os stands below core/ring"),
    "a file stands in no room": (
        {"ext/core/drawer.h": ""},
        "ext: rooms: ext/core/drawer.h stands in no room of ext: abi, core/os, core/ring, core/log, core/result, py/base, "
        "py/trace, py/message, py/task, py/workers, py/module.c"),
    "the tracer uses more of ext than the layout of logs": (
        {"tracer/base/clock.c": '#include "core/os/lock.h"\n'},
        "tracer: rooms: tracer/base/clock.c includes core/os/lock.h: tracer may not use ext/core/os/lock.h"),
    "an include has no room": (
        {"tracer/base/clock.c": '#include "file.h"\n'},
        'tracer: paths: tracer/base/clock.c includes "file.h": write "room/file.h" from the root of tracer'),
    "an include goes up by two dots": (
        {"tracer/store/ids.c": '#include "../base/file.h"\n'},
        'tracer: paths: tracer/store/ids.c includes "../base/file.h": write "room/file.h" from the root of tracer'),
    "an include of ours in angle brackets": (
        {"ext/core/ring/wait.c": "#include <core/os/lock.h>\n"},
        'ext: paths: ext/core/ring/wait.c includes <core/os/lock.h>: write "core/os/lock.h", it is ours'),
    "an include of nothing": (
        {"ext/core/ring/wait.c": '#include "core/os/gone.h"\n'},
        'ext: paths: ext/core/ring/wait.c includes "core/os/gone.h": no such file from the root of ext'),
    "two headers need each other": (
        {"tracer/base/file.h": '#include "base/table.h"\n', "tracer/base/table.h": '#include "base/file.h"\n'},
        "tracer: cycles: tracer/base/file, tracer/base/table need each other: tracer/base/file.h includes base/table.h; "
        "tracer/base/table.h includes base/file.h"),
    "two pairs need each other, though no header does": (
        {"ext/core/ring/ring.c": '#include "core/ring/wait.h"\n', "ext/core/ring/wait.h": "",
         "ext/core/ring/wait.c": '#include "core/ring/ring.h"\n'},
        "ext: cycles: ext/core/ring/ring, ext/core/ring/wait need each other: ext/core/ring/ring.c includes "
        "core/ring/wait.h; ext/core/ring/wait.c includes core/ring/ring.h"),
    "three files in a circle": (
        {"tracer/base/a.h": '#include "base/b.h"\n', "tracer/base/b.c": '#include "base/c.h"\n', "tracer/base/b.h": "",
         "tracer/base/c.h": '#include "base/a.h"\n'},
        "tracer: cycles: tracer/base/a, tracer/base/b, tracer/base/c need each other: tracer/base/a.h includes base/b.h; "
        "tracer/base/b.c includes base/c.h; tracer/base/c.h includes base/a.h"),
    "the core includes Python.h": (
        {"ext/core/os/tsc.c": "# include <Python.h>\n"},
        "python: ext/core/os/tsc.c includes Python.h: only ext/py may use Python's headers"),
    "a lower room imports a higher one": (
        {"bench/support/ready.py": "def later():\n    from bench.run.store import header\n"},
        "bench: rooms: bench/support/ready.py imports bench.run.store: support stands below run"),
    "two rooms of one level import each other": (
        {"bench/runtimes/warm.py": "import bench.micro.task\n", "bench/micro/task.py": ""},
        "bench: rooms: the rooms micro, runtimes use each other: bench/micro/spawn.py imports bench.runtimes.fork; "
        "bench/runtimes/warm.py imports bench.micro.task"),
    "two modules import each other, one of them by a relative import": (
        {"bench/run/store.py": "from bench.run.plan import Plan\n"},
        "bench: cycles: bench/run/plan.py, bench/run/store.py need each other: bench/run/plan.py imports bench.run.store; "
        "bench/run/store.py imports bench.run.plan"),
    "a module of the package imports the package": (
        {"ext/snakefish/trace.py": "from snakefish import Channel\n"},
        "snakefish: cycles: ext/snakefish/__init__.py, ext/snakefish/trace.py need each other: ext/snakefish/__init__.py "
        "imports snakefish.trace; ext/snakefish/trace.py imports snakefish"),
}
RULES = 10


def make_tree(top, changes):
    for path, text in {**RIGHT, **changes}.items():
        file = top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def check(top, *arguments):
    done = subprocess.run([sys.executable, os.path.join(TOP, "tests", "layers.py"), "--top", str(top), *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout.splitlines()


def test_a_tree_that_keeps_the_rules_passes(tmp_path):
    make_tree(tmp_path, {})
    assert check(tmp_path) == (0, [f"{RULES} passed, 0 failed"])


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_arrow_is_one_line(tmp_path, name):
    changes, line = WRONG[name]
    make_tree(tmp_path, changes)
    assert check(tmp_path) == (1, [line, f"{RULES - 1} passed, 1 failed"])


def compile_all(top, objects):
    for source in sorted(top.glob("ext/core/*/*.c")):
        target = objects / source.relative_to(top).with_suffix(".o")
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-I", str(top / "ext"), "-c", str(source), "-o", str(target)], check=True, timeout=60)


def test_symbols_of_a_right_tree_pass(tmp_path):
    make_tree(tmp_path, {})
    compile_all(tmp_path, tmp_path / "obj")
    assert check(tmp_path, "--objects", str(tmp_path / "obj")) == (0, [f"{RULES} passed, 0 failed"])


def test_a_symbol_that_no_include_shows_is_an_arrow(tmp_path):
    make_tree(tmp_path, {
        "ext/core/os/lock.c": "int sf_lock_take(void) { extern int sf_ring_open(void); return sf_ring_open(); }\n"})
    compile_all(tmp_path, tmp_path / "obj")
    assert check(tmp_path, "--objects", str(tmp_path / "obj")) == (1, [
        "ext: rooms: ext/core/os/lock.c needs sf_ring_open of ext/core/ring/ring.c: core/os stands below core/ring",
        "ext: cycles: ext/core/os/lock, ext/core/ring/ring need each other: ext/core/os/lock.c needs sf_ring_open of "
        "ext/core/ring/ring.c; ext/core/ring/ring.h includes core/os/lock.h", f"{RULES - 2} passed, 2 failed"])


def test_a_function_declared_in_a_header_and_defined_elsewhere_is_an_arrow(tmp_path):
    make_tree(tmp_path, {
        "ext/core/ring/ring.h": "int sf_ring_open(void);\nint sf_ring_wait(void);\n",
        "ext/core/ring/ring.c": '#include "core/ring/ring.h"\nint sf_ring_open(void) { return sf_ring_wait(); }\n',
        "ext/core/ring/wait.c": '#include "core/ring/ring.h"\nint sf_ring_wait(void) { return 0; }\n'})
    compile_all(tmp_path, tmp_path / "obj")
    assert check(tmp_path) == (0, [f"{RULES} passed, 0 failed"])
    assert check(tmp_path, "--objects", str(tmp_path / "obj")) == (1, [
        "ext: cycles: ext/core/ring/ring, ext/core/ring/wait need each other: ext/core/ring/ring.c needs sf_ring_wait of "
        "ext/core/ring/wait.c; ext/core/ring/wait.c includes core/ring/ring.h", f"{RULES - 1} passed, 1 failed"])


def test_an_object_whose_source_is_gone_does_not_count(tmp_path):
    make_tree(tmp_path, {"ext/core/os/old.c": "int sf_ring_open(void); int sf_old(void) { return sf_ring_open(); }\n"})
    compile_all(tmp_path, tmp_path / "obj")
    (tmp_path / "ext/core/os/old.c").unlink()
    assert check(tmp_path, "--objects", str(tmp_path / "obj")) == (0, [f"{RULES} passed, 0 failed"])


def test_no_objects_is_an_error(tmp_path):
    make_tree(tmp_path, {})
    status, lines = check(tmp_path, "--objects", str(tmp_path / "none"))
    assert status == 1 and "no compiled file" in lines[0]
