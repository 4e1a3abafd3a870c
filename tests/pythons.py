"""Builds the extension for every interpreter that is found and runs tests/py with each: `make test-all-pythons`.

    python3 tests/pythons.py [--build build] [--only pypy] [--skips] [PYTEST ARGUMENT ...]

It looks for python3, python3.N and pypy3 on the PATH, in /usr/bin and /usr/local/bin, and in a version manager's directory
($PYENV_ROOT or ~/.pyenv). Each interpreter gets its own build directory, <build>/py-<name>, with the collector of <build>.
One line is printed for each, then the sums. Failures are shown; the whole output is in <build>/test-logs/<name>.log. The
exit status is 1 when anything failed. An interpreter without pytest uses the pytest of the interpreter that runs this.
"""

import argparse
import glob
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile

import run as runner

OLDEST = [3, 9]
NAME = re.compile(r"(python3(\.\d+t?)?|pypy3(\.\d+)?)$")
QUESTION = """
import json, os, sys, sysconfig
try:
    import pytest, hypothesis
    has_pytest = True
except ImportError:
    has_pytest = False
print(json.dumps([sys.implementation.name, list(sys.version_info[:3]), os.path.realpath(sys.executable),
                  os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")), has_pytest]))
"""
# The packages that pytest and hypothesis consist of. They are pure Python, so any interpreter can import them. The whole
# directory cannot be shared: compiled packages in it, such as numpy, work with one interpreter only.
PLAIN = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "py", "attr", "attrs", "exceptiongroup", "tomli",
         "hypothesis", "_hypothesis_pytestplugin", "_hypothesis_ftz_detector", "sortedcontainers")


def candidates():
    """Paths of files that may be interpreters."""
    for directory in [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]:
        try:
            names = sorted(filter(NAME.match, os.listdir(directory or ".")))
        except OSError:
            continue
        yield from (os.path.join(directory, name) for name in names)
    manager = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    for name in ("python3", "pypy3"):
        yield from sorted(glob.glob(os.path.join(manager, "versions", "*", "bin", name)))


def interpreters():
    """Those that work, each once, oldest first: {name: (path, version, has headers, has pytest)}."""
    found, seen = [], set()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    for path in candidates():
        try:
            answer = subprocess.run([path, "-c", QUESTION], env=environment, capture_output=True, text=True, timeout=60)
            kind, version, real, headers, has_pytest = json.loads(answer.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            continue  # a version manager's placeholder for a version that is not selected
        if real not in seen:
            seen.add(real)
            found.append((kind, version, path, headers, has_pytest))
    named = {}
    for kind, version, path, headers, has_pytest in sorted(found, key=lambda one: (one[0], one[1])):
        name = base = kind + "-" + ".".join(map(str, version))
        while name in named:
            name = base + "-" + str(sum(other.startswith(base) for other in named) + 1)
        named[name] = path, version, headers, has_pytest
    return named


def collect_plain(directory):
    """Puts links to these packages into an empty directory, for PYTHONPATH."""
    for name in PLAIN:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            origin = os.path.dirname(spec.origin) if spec.submodule_search_locations else spec.origin
            os.symlink(origin, os.path.join(directory, os.path.basename(origin)))


def make(*arguments):
    """None, or make's output if it failed or the compiler warned."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    done = subprocess.run(["make", "--no-print-directory", *arguments], cwd=runner.TOP, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout if done.returncode or "warning:" in done.stdout else None


def build_for(path, build):
    """Builds the extension for one interpreter under `build`, beside a link to the collector. None, or what went wrong."""
    complaint = make("B=" + os.path.relpath(build, runner.TOP), "SAN=", "PYTHON=" + path, "ext")
    link = os.path.join(build, "bin")
    if not complaint and not os.path.lexists(link):
        os.symlink(os.path.join("..", "bin"), link)
    return complaint


def test(path, version, build, log, plain, pytest_arguments):
    """(counts, seconds, output) of tests/py."""
    environment = runner.environment(build)
    if plain:
        environment["PYTHONPATH"] += os.pathsep + plain
    command = [path, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", *pytest_arguments]
    if version >= [3, 12]:
        command += ["-W", "ignore::DeprecationWarning:_pytest.assertion.rewrite"]  # an older pytest causes thousands of them
    if not any(os.path.exists(argument.split("::")[0]) for argument in pytest_arguments):
        command.append(os.path.join("tests", "py"))
    output, status, seconds, _ = runner.run(command, environment)
    with open(log, "w") as file:
        file.write("$ " + " ".join(command) + "\n" + output)
    return runner.count(output, status), seconds, output


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(runner.TOP, "build"))
    parser.add_argument("--only", default="", help="only interpreters whose name contains this, such as pypy or 3.12")
    parser.add_argument("--skips", action="store_true", help="show the reasons of skips")
    options, pytest_arguments = parser.parse_known_args()
    build = os.path.abspath(options.build)
    os.makedirs(os.path.join(build, "test-logs"), exist_ok=True)
    complaint = make("B=" + os.path.relpath(build, runner.TOP), "SAN=", "tracer")
    if complaint:
        sys.exit(complaint)
    total = dict.fromkeys(runner.WORDS, 0)
    chosen = {name: one for name, one in interpreters().items() if options.only in name}
    if not chosen:
        print(f"skip no interpreter named *{options.only}* is installed")
        total["skipped"] = 1
    with tempfile.TemporaryDirectory() as plain:
        collect_plain(plain)
        for name, (path, version, has_headers, has_pytest) in chosen.items():
            counts, seconds, words, complaint = dict.fromkeys(runner.WORDS, 0), 0.0, "", None
            if version < OLDEST:
                print(f"{name:24} too old: snakefish needs {OLDEST[0]}.{OLDEST[1]}  {path}", flush=True)
                continue
            if not has_headers:
                counts["skipped"], words = 1, "no Python.h: are its development files installed?"
            else:
                directory = os.path.join(build, "py-" + name)
                complaint = build_for(path, directory)
                if complaint:
                    counts["failed"], words = 1, "the build failed or warned:"
                else:
                    log = os.path.join(build, "test-logs", f"py-{name}.log")
                    counts, seconds, output = test(path, version, directory, log, None if has_pytest else plain,
                                                   pytest_arguments)
                    if counts["failed"] or options.skips:
                        complaint = output if counts["failed"] else "\n".join(re.findall("^SKIPPED .*", output, re.M))
            if counts["skipped"] and words:
                print(f"skip {name}: {words}")
            elif words:
                print(words)
            if complaint:
                print("\n".join(complaint.splitlines()[-200:]))
            print("{:24} {:4d} passed, {:d} failed, {:d} skipped  {:6.1f} s  {}".format(
                name, *counts.values(), seconds, path), flush=True)
            total = {word: total[word] + counts[word] for word in runner.WORDS}
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**total))
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
