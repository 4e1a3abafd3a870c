"""The programs in README.md work as printed there."""

import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import readme


@pytest.mark.parametrize("program, expected", readme.programs())
def test_readme_program_prints_what_readme_says(program, expected, tmp_path):
    (tmp_path / "program.py").write_text(program)
    environment = dict(os.environ, PYTHONPATH=os.path.abspath(os.path.join(readme.BUILD, "lib")))
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True,
                          timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == (expected, "", 0)


def test_readme_has_programs_of_every_class():
    all_programs = "".join(program for program, _ in readme.programs())
    for name in ("Thread(", "Channel(", "Generator(", ".map(", ".starmap(", ".imap(", ".wait(", "trace.session("):
        assert name in all_programs


def test_table_of_events_is_the_collectors():
    assert readme.events_in_readme() == readme.events()


def test_every_guarantee_names_a_test_that_exists():
    named = re.findall(r"`((?:py|core|stress|tracer)/[\w/.]+)::(\w+)`", readme.text())
    assert len(named) >= 20
    for file, name in named:
        with open(os.path.join(readme.TOP, "tests", file), encoding="utf-8") as source:
            assert re.search(rf"^(def {name}\(|TEST\({name}\))", source.read(), re.M), f"{file}::{name}"
