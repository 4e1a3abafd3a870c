"""What `info` shows."""

import os
import re
import subprocess

import handmade
from tracing import TRACE, trace

RETURNED, RAISED, EXITED = 1, 2, 3


def test_the_table_of_tasks_says_what_came_of_each(db):
    """As far as the trace has it: from the end of the user's function, and from how the process ended."""
    fates = [(RETURNED, 0, "returned"), (RETURNED, None, "returned"), (RETURNED, 1, "returned, exit status 1"),
             (RAISED, 0, "raised"), (EXITED, 4, "exit status 4"), (None, 5, "exit status 5"), (EXITED, 0, "exit status 0"),
             (None, -9, "killed by signal 9"), (RETURNED, -15, "killed by signal 15"), (None, None, "-")]
    made = handmade.Trace(str(db))
    made.process(0, 100)
    for task, (outcome, status, _) in enumerate(fates, 1):
        made.process(10, 90, 1, task)
        made.db.execute("UPDATE process SET exit_status = ? WHERE id = ?", (status, task + 1))
        made.span(task + 1, "run", 20, 80 if outcome else None, task, outcome or 0)
    made.close()
    shown = trace("info", db)
    assert shown.returncode == 0, shown
    rows = shown.stdout.partition("\ntasks\n")[2].partition("\n\n")[0].splitlines()
    assert rows[0].split()[-1] == "fate"
    assert [re.split(" {2,}", row)[-1] for row in rows[1:]] == [fate for _, _, fate in fates]


def test_the_advice_about_an_unfinished_trace_names_only_sessions_that_a_collector_makes(db):
    """A user may paste it into a shell."""
    for name, advised in (("snakefish-12-0f", "snakefish-12-0f"), ("snakefish-1; rm x", "SESSION_DIR"), (None, "SESSION_DIR"),
                          ("\x1b[31msnakefish-1", "SESSION_DIR")):
        made = handmade.Trace(str(db))
        made.rows("meta", ("state", "running"), ("session", name))
        made.close()
        shown = trace("info", db)
        assert shown.returncode == 0
        assert f"snakefish-trace collect /dev/shm/{advised} -o FILE\n" in shown.stdout
        db.unlink()


def test_bytes_that_are_no_characters_do_not_reach_a_terminal(tmp_path):
    """Alone, the byte 0x9b begins a control sequence in Latin-1."""
    name = os.fsencode(tmp_path) + b"/\x9b31m\xff"
    shown = subprocess.run([TRACE, "info", name], capture_output=True, timeout=60)
    assert shown.returncode == 1
    assert shown.stderr.decode("ascii").endswith("/?31m?\n")
