"""SNAKEFISH_DEBUG: what the parts of the core print to stderr."""
import re

import pytest
from databases import TRACER

CHANNEL = "import snakefish; snakefish.Channel(4096).dispose(); print('done')"


def lines(ended):
    assert (ended.status, ended.stdout) == (0, "done\n"), ended
    return ended.stderr.splitlines()


def test_nothing_is_said_without_it(check_program):
    assert check_program(CHANNEL) == "done\n"
    assert check_program(CHANNEL, env={"SNAKEFISH_DEBUG": ""}) == "done\n"
    assert check_program(CHANNEL, env={"SNAKEFISH_DEBUG": "log"}) == "done\n"


def test_the_ring_says_what_is_made_and_freed(run_program):
    made, freed = lines(run_program(CHANNEL, env={"SNAKEFISH_DEBUG": "ring"}))
    ring = re.fullmatch(r"snakefish \d+ ring: (0x\w+) made, 4096 bytes", made).group(1)
    assert re.fullmatch(rf"snakefish \d+ ring: {ring} freed here", freed)


@pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")
def test_the_log_says_which_session_and_which_logs(run_program, tmp_path):
    said = lines(run_program("""
        import sys, snakefish
        with snakefish.trace.session(sys.argv[1]):
            with snakefish.Thread(int) as t:
                t.start()
        print("done")
        """, tmp_path / "run.db", env={"SNAKEFISH_DEBUG": "log,ring"}))
    words = [re.sub(r"/dev/shm/\S+|log\.[\d.]+|\d+(?= records)", "X", line.partition(": ")[2])
             for line in said if " log: " in line]
    assert words == ["joined the session in X", "made X, X records", "made X, X records", "left the session in X"]
    parent, child = {line.split()[1] for line in said if "made log." in line}
    assert parent != child


def test_a_part_that_does_not_exist_is_named(run_program):
    assert lines(run_program(CHANNEL, env={"SNAKEFISH_DEBUG": "rong"})) == [
        "snakefish: SNAKEFISH_DEBUG: no part is called 'rong'; the parts are log and ring"]
