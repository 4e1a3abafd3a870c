"""Checks format and frequent mistakes in all languages: `make lint`.

    python3 tests/lint.py [TOOL ...]

Prints the findings of each tool and, at the end, one line for each tool. The exit status is 1 when any tool found
something. The tools come from Debian (.ci/packages.txt); their settings are in .clang-format, .clang-tidy, .flake8,
pyproject.toml and analysis/.lintr. clang-tidy needs compile_commands.json and the generated headers; `make lint` makes them
first. clang-tidy takes two minutes of CPU time, the others 30 s together, so as many run at a time as there are CPUs.
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
    "tracer/kernel/kernel.c": ["--checks=-clang-analyzer-unix.Malloc"],
}
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CPUS = len(os.sched_getaffinity(0))


def find(directories, *endings):
    """Paths from the top, sorted, without what make builds."""
    found = []
    for directory in directories:
        for folder, _, names in os.walk(os.path.join(TOP, directory)):
            found += [os.path.relpath(os.path.join(folder, name), TOP) for name in names if name.endswith(endings)]
    return sorted(found)


def tidy_commands():
    """One for each C file outside tests/: the tests would double the time, and clang-tidy finds little in them."""
    with open(os.path.join(TOP, "compile_commands.json"), encoding="utf-8") as file:
        sources = [entry["file"] for entry in json.load(file)]
    return [["clang-tidy", "--quiet", "-p", TOP, *EXCEPTIONS.get(source, ()), source] for source in sources
            if not source.startswith("tests/")]


def tools():
    """Name -> commands, the slowest first."""
    lintr = 'found <- lintr::lint_dir("analysis"); print(found); quit(status = length(found) > 0)'
    return {
        "clang-tidy": tidy_commands,
        "lintr": lambda: [["Rscript", "-e", lintr]],
        "clang-format": lambda: [["clang-format", "--dry-run", "-Werror",
                                  *find(["ext", "tracer", "bench", "tests"], ".c", ".h")]],
        "flake8": lambda: [["flake8", "ext", "bench", "tests", "setup.py"]],
        "mypy": lambda: [["mypy", "--no-error-summary"]],
        "shellcheck": lambda: [["shellcheck", ".ci/run", ".ci/install", *find(["ext", "tracer", "bench", "tests"], ".sh")]],
    }


def run(command):
    """(findings or "", seconds)."""
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, errors="replace")
    except FileNotFoundError:
        return f"{command[0]} is not installed: make deps\n", 0.0
    said = done.stdout or done.stderr
    finding = said or f"{' '.join(command)}: exit status {done.returncode}\n" if done.returncode else ""
    if finding and command[0] == "clang-format":
        finding = done.stderr
    return finding, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tool", nargs="*")
    chosen = parser.parse_args().tool or list(tools())
    unknown = set(chosen) - set(tools())
    if unknown:
        parser.error(f"no such tool: {', '.join(sorted(unknown))}; there are {', '.join(tools())}")
    with ThreadPoolExecutor(CPUS) as pool:
        started = {name: [pool.submit(run, command) for command in tools()[name]()] for name in chosen}
    status, lines = 0, []
    for name, runs in started.items():
        results = [one.result() for one in runs]
        findings = dict.fromkeys(finding for finding, _ in results if finding)  # each once: those in a header come from each file that includes it
        print("".join(findings), end="")
        lines.append(f"{name:14} {'FOUND' if findings else 'clean'}  {sum(took for _, took in results):6.1f} s")
        status |= bool(findings)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
