"""The line with which `record` ends, and what is said of a trace without events."""

import os
import shlex
import subprocess

import pytest

from tracing import PROGRAM, TRACE, record, trace


def last_line(*args):
    done = trace("record", *args)
    assert done.returncode == 0 and done.stdout == ""
    *before, last = done.stderr.splitlines()
    assert not before
    return last.removeprefix("snakefish-trace: ")


def test_it_counts_processes_and_events_and_names_the_next_command(db):
    line = last_line("-o", db, "--", PROGRAM, "run", "200")
    assert line.startswith("2 processes, ") and " events, no losses" in line
    next_command = line.split("next: ")[1]
    assert shlex.split(next_command) == ["snakefish-trace", "analyze", str(db)]


@pytest.mark.parametrize("name", ["a b.db", "it's.db", "-o.db", "$HOME.db"])
def test_the_next_command_can_be_pasted_into_a_shell(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    next_command = last_line("-o", name, "--", PROGRAM, "run", "5").split("next: ")[1]
    path = os.path.dirname(TRACE) + ":" + os.environ["PATH"]
    done = subprocess.run(["sh", "-c", next_command], env={**os.environ, "PATH": path}, capture_output=True, timeout=60)
    assert done.returncode == 0, done


def test_it_says_the_first_sentence_of_the_advice(db):
    line = last_line("-o", db, "--", PROGRAM, "run", "200")
    sentence = trace("analyze", db).stdout.splitlines()[0]
    assert f"; {sentence}; next: " in line


def test_losses_lead_to_info(db):
    line = last_line("-o", db, "--", PROGRAM, "orphan", "1")
    assert "lost: processes_running 1" in line and shlex.split(line.split("next: ")[1])[1] == "info"


def test_quiet_leaves_the_line_out(db):
    done = record(db, PROGRAM, "run", "5")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_trace_without_events_says_why_and_does_not_speak_of_no_losses(db):
    said = last_line("-o", db, "--", "true")
    shown = trace("info", db).stdout
    for text in said, shown:
        assert "no events" in text and "import snakefish" in text and "python3 -m snakefish" in text
        assert "no losses" not in text
