"""The options of snakefish-trace's commands, in all the spellings that getopt_long reads."""

import sqlite3

import pytest

from tracing import PROGRAM, meta, trace

COMMANDS = ["record", "serve", "collect", "info", "analyze", "predict", "report", "export", "events"]


def refused(*args):
    """Wrong usage: one sentence and the command's usage, on standard error alone. The sentence."""
    done = trace(*args)
    assert done.returncode == 2 and done.stdout == ""
    problem, usage = done.stderr.splitlines()
    assert usage.startswith(f"snakefish-trace: usage: snakefish-trace {args[0]}")
    return problem.removeprefix("snakefish-trace: ")


@pytest.mark.parametrize("output", [("-o", "{}"), ("-o{}",), ("--output", "{}"), ("--output={}",), ("--out={}",)],
                         ids=" ".join)
def test_a_value_may_be_joined_to_its_option_and_a_long_option_shortened(db, output):
    done = trace("record", *(word.format(db) for word in output), "--", PROGRAM, "exit", "3")
    assert done.returncode == 3
    assert meta(db, "state") == "complete"


@pytest.mark.parametrize("records", [("--log-records", "512"), ("--log-records=512",), ("--log=512",)], ids=" ".join)
def test_the_size_of_the_logs(db, records):
    assert trace("record", "-o", db, *records, "--", PROGRAM, "exit", "0").returncode == 0
    assert meta(db, "log_records") == 512


@pytest.mark.parametrize("separator", [(), ("--",)], ids=["without --", "with --"])
def test_the_programs_own_options_are_left_to_it(db, separator):
    done = trace("record", "-o", db, *separator, "/bin/echo", "-o", "x", "--kernel", "--", "--what=1", "-h")
    assert (done.returncode, done.stdout) == (0, "-o x --kernel -- --what=1 -h\n")
    assert meta(db, "command") == "/bin/echo -o x --kernel -- --what=1 -h"


def test_options_may_stand_behind_what_is_read(db):
    trace("record", "-o", db, "--", PROGRAM, "run", "5")
    written = db.with_name("run.json")
    for args in (db, "-o", written), ("-o", written, db), (f"-o{written}", "--", db), (db, f"--output={written}"):
        assert trace("export", *args).returncode == 0
        assert written.read_text().startswith("{")
        written.unlink()
    assert trace("analyze", db, "--json").stdout.startswith("{")


def test_after_two_dashes_everything_is_an_operand(tmp_path):
    named = tmp_path / "--json"
    sqlite3.connect(named).close()
    done = trace("analyze", "--", "--json", cwd=tmp_path)
    assert done.returncode == 1 and "--json is empty" in done.stderr
    assert refused("analyze", "--", "x", "--json") == "analyze takes one trace, and --json is one too many"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-x", "--what", "--what=1"])
def test_an_unknown_option_is_named(command, option):
    assert refused(command, option) == f"{command} has no option {option.partition('=')[0]}"


def test_a_dash_alone_is_a_name(tmp_path):
    done = trace("info", "-", cwd=tmp_path)
    assert done.returncode == 1 and "no trace at -" in done.stderr


def test_an_unknown_letter_among_others_is_named():
    assert refused("record", "-xo", "f") == "record has no option -x"


def test_a_missing_value_is_named(db):
    assert refused("record", "-o") == "-o needs a value"
    assert refused("record", "--output") == "--output needs a value"
    assert refused("record", "-o", db, "--log-records") == "--log-records needs a value"
    assert refused("serve", "-o", db, "--root") == "--root needs a value"
    assert refused("collect", "x", "-o") == "-o needs a value"
    assert not db.exists()


def test_a_value_too_many_is_named():
    assert refused("record", "--kernel=no", "true") == "--kernel takes no value"
    assert refused("analyze", "--json=yes", "x") == "--json takes no value"
    assert refused("info", "--help=all") == "--help takes no value"


def test_values_that_cannot_be_are_named():
    for number in "7", "255", "257", "33554432", "1k", "-256", "":
        assert refused("record", f"--log-records={number}", "true").endswith(f"from 256 to 16777216, not {number}")
    for pid in "0", "-1", "x", "4294967297", "":
        assert refused("serve", "-o", "x", f"--root={pid}") == f"--root must be a process id, not {pid}"


def test_what_is_missing_is_named():
    assert refused("record", "--kernel") == "record needs the program to run"
    assert refused("record", "--") == "record needs the program to run"
    assert refused("serve", "--root", "1") == "serve needs -o and --root"
    assert refused("export", "x") == "export needs -o"
    assert refused("export", "-o", "x") == "export needs an argument"
    assert refused("info") == "info needs an argument"
    assert refused("analyze") == "analyze needs a trace"
    assert refused("report") == "report needs a trace"


def test_an_argument_too_many_is_named():
    assert refused("info", "a", "b") == "info takes one argument, and b is one too many"
    assert refused("serve", "a") == "serve takes options only, not a"
    assert refused("events", "a") == "events takes no argument, not a"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help", "--he"])
def test_help(command, option):
    done = trace(command, option)
    assert done.returncode == 0 and done.stdout.startswith(f"usage: snakefish-trace {command}") and not done.stderr


def test_help_for_the_program_is_the_programs(db):
    done = trace("record", "-o", db, "/bin/echo", "-h")
    assert (done.returncode, done.stdout) == (0, "-h\n")
