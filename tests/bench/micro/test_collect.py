"""bench-collect: what it measures is all there, and nothing of it is left."""
import json
import subprocess

import pytest

from bench.support import measuring_programs

PROGRAM = measuring_programs.program("bench-collect")


def test_it_times_intake_end_and_bare_inserts_of_as_many_rows(tmp_path):
    done = subprocess.run([PROGRAM, "20000", tmp_path], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    assert measured.pop("events") == 20000
    assert set(measured) == {"intake_ns", "end_ns", "inserts_ns"} and min(measured.values()) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["0", "/tmp"], ["100"]])
def test_bad_arguments_are_told(arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("usage: bench-collect")
