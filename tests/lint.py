"""Checks format and frequent mistakes in all languages: `make lint`.

    python3 tests/lint.py [--top DIRECTORY] [TOOL ...]

Prints the findings of each tool and, at the end, one line for each tool. The exit status is 1 when any tool found
something. The tools come from Debian (.ci/packages.txt); their settings are in .clang-format, .clang-tidy, .flake8,
pyproject.toml and analysis/.lintr. clang-tidy needs compile_commands.json and the generated headers; `make lint` makes them
first. clang-tidy takes most of the time, the others 30 s together, so as many run at a time as there are CPUs.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

# source file -> more arguments of clang-tidy
EXCEPTIONS = {
    # the header that bpftool generates frees its memory through libbpf, which clang cannot see
    "tracer/kernel/kernel_probe.c": ["--checks=-clang-analyzer-unix.Malloc"],
}
# How far the static analyzer follows the paths through a function. Its own limit, 225,000 nodes, takes several times as long:
# `make stress` has that (SF_WHOLE_ANALYSIS).
ANALYZER = [] if os.environ.get("SF_WHOLE_ANALYSIS") else [
    f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=50000")]
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CPUS = len(os.sched_getaffinity(0))


def find(top, *endings):
    """Paths from the top, sorted, of the project's own files."""
    found = []
    for directory in ("ext", "tracer", "bench", "tests"):
        for folder, _, names in os.walk(os.path.join(top, directory)):
            found += [os.path.relpath(os.path.join(folder, name), top) for name in names if name.endswith(endings)]
    return sorted(found)


def tidy_commands(top):
    """One for each C file outside tests/: the tests would double the time, and clang-tidy finds little in them."""
    try:
        with open(os.path.join(top, "compile_commands.json"), encoding="utf-8") as file:
            sources = [entry["file"] for entry in json.load(file)]
    except FileNotFoundError as error:
        sys.exit(f"{error.filename} is not there: make compile_commands.json")
    return [["clang-tidy", "--quiet", "-p", top, *ANALYZER, *EXCEPTIONS.get(source, ()), source] for source in sources
            if not source.startswith("tests/")]


def tools(top):
    """Name -> commands, the slowest first."""
    lintr = 'found <- lintr::lint_dir("analysis"); print(found); quit(status = length(found) > 0)'
    return {
        "clang-tidy": lambda: tidy_commands(top),
        "lintr": lambda: [["Rscript", "-e", lintr]],
        "clang-format": lambda: [["clang-format", "--dry-run", "-Werror", *find(top, ".c", ".h")]],
        "flake8": lambda: [["flake8", "ext", "bench", "tests", "build_backend.py"]],
        "mypy": lambda: [["mypy", "--no-error-summary"]],
        "shellcheck": lambda: [["shellcheck", ".ci/run", ".ci/install", ".ci/missing", *find(top, ".sh")]],
    }


def run(command, top):
    """(findings or "", seconds)."""
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=top, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, errors="replace")
    except FileNotFoundError:
        return f"{command[0]} is not installed: make deps\n", 0.0
    finding = ""
    if done.returncode:
        finding = done.stdout or done.stderr or f"{' '.join(command)}: exit status {done.returncode}\n"
    return finding, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--top", default=TOP)
    parser.add_argument("tool", nargs="*")
    options = parser.parse_args()
    known = tools(options.top)
    unknown = set(options.tool) - set(known)
    if unknown:
        parser.error(f"no such tool: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = options.tool or list(known)
    with ThreadPoolExecutor(CPUS) as pool:
        started = {name: [pool.submit(run, command, options.top) for command in known[name]()] for name in chosen}
    status, lines = 0, []
    for name, runs in started.items():
        results = [one.result() for one in runs]
        # each once: what is found in a header comes from each file that includes it
        findings = dict.fromkeys(finding for finding, _ in results if finding)
        print("".join(findings), end="")
        lines.append(f"{name:14} {'FOUND' if findings else 'clean'}  {sum(took for _, took in results):6.1f} s")
        status |= bool(findings)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
