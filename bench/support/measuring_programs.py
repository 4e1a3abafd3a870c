"""Runs the bench's own programs in C (bench/floor), which measure what the machine alone needs."""
import json
import subprocess

from bench.support.paths import library


def program(name):
    """The path of that program; FileNotFoundError where it is not built."""
    path = library().parent / "bin" / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is not built: make bench-floor")
    return path


def ask(name, *arguments):
    """What that program answers: its source in bench/floor says what it measures."""
    return json.loads(subprocess.run([program(name), *map(str, arguments)], check=True, stdout=subprocess.PIPE).stdout)


def floor(*arguments):
    """(how many operations were right, ns of all of them)"""
    answer = ask("bench-floor", *arguments)
    return answer["right"], answer["ns"]


def events(*arguments):
    """(how many events were right, ns of all of them)"""
    answer = ask("bench-events", *arguments)
    return answer["right"], answer["ns"]
