"""Runs once more, alone, what has failed beside the other suites; for run.py.

Most tests are real programs with a limit of time. Beside two other suites, on a machine that others use, one of some
8,000 fails now and then. What fails alone, too, has failed. What passes then is counted as passed, but it is shown, with
what it printed the first time: a fault that comes seldom is a fault. `make stress` and TRIES=1 do without.
"""
import re

MOST = 5  # tests of one suite: where more have failed, something is wrong


def failed_tests(output):
    """The names that pytest gives in its summary."""
    summary = output.rpartition("short test summary info")[2]
    return re.findall(r"^(?:FAILED|ERROR) (tests/\S+\.py::[^\[\n]*?(?:\[.*?\])?)(?: - .*)?$", summary, re.M)


def command_of(command, output):
    """What runs the failed tests again; None: nothing does."""
    if not any("pytest" in word or word.endswith("pythons.py") for word in command):
        return command
    tests = list(dict.fromkeys(failed_tests(output)))
    rest = [word for word in command if not word.startswith("tests/") or word.endswith("pythons.py")]
    while "--ignore" in rest:  # its folder is gone
        rest.remove("--ignore")
    return rest + tests if 0 < len(tests) <= MOST else None


def try_again(failures, run, count):
    """How many of the failed tests pass now, and what to print of them. failures: of (suite, command, output, how many
    failed, environment). run and count: those of run.py."""
    passed, lines = 0, []
    for suite, command, output, failed, environment in failures:
        again = command_of(command, output)
        if again is None:
            continue
        second, status, *_ = run(again, environment)
        got = count(second, status)
        if got["failed"]:
            lines.append(f"{suite}: failed again, alone")
            lines += ["    " + line for line in second.splitlines()[-100:]]
        else:
            passed += failed
            lines.append(f"{suite}: passed alone, having failed beside others: {' '.join(failed_tests(output) or again)}")
    return passed, lines
