"""snakefish-trace report: the page, and the messages when it cannot be made."""

import os
import shutil

import pytest

from tracing import PROGRAM, TRACE, query, record, trace


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no Rscript")
def test_a_trace_is_analysed_and_its_page_is_written(db, tmp_path):
    record(db, PROGRAM, "run", "50")
    assert query(db, "SELECT count(*) FROM critical_path") == [(0,)]
    done = trace("report", db, "-o", tmp_path / "page")
    assert (done.returncode, done.stderr) == (0, ""), done
    *_, machine, page = done.stdout.splitlines()
    assert page == str(tmp_path / "page" / "index.html") and "CPU" in machine
    assert done.stdout.startswith("The traced run took ")
    assert query(db, "SELECT count(*) FROM critical_path")[0][0] > 0
    names = os.listdir(tmp_path / "page")
    assert {"index.html", "timeline.svg", "timeline.pdf", "timeline.csv", "lost_speedup.svg"} <= set(names)


def test_without_r_a_message_says_what_is_missing(db, monkeypatch):
    record(db, PROGRAM, "run", "5")
    monkeypatch.setenv("PATH", "/nonexistent")
    done = trace("report", db)
    assert done.returncode == 1
    assert "no Rscript" in done.stderr and len(done.stderr.splitlines()) == 1


def test_away_from_its_checkout_it_says_where_it_must_be(db, tmp_path):
    record(db, PROGRAM, "run", "5")
    copy = shutil.copy(TRACE, tmp_path / "snakefish-trace")
    done = trace("report", db, executable=copy)
    assert done.returncode == 1
    assert "checkout" in done.stderr and len(done.stderr.splitlines()) == 1


def test_wrong_arguments_and_other_files(db, tmp_path):
    assert trace("report").returncode == 2
    assert "--what" in trace("report", "--what", db).stderr
    done = trace("report", tmp_path / "none.db")
    assert done.returncode == 1 and "there is no trace" in done.stderr
    assert "SVG" in trace("report", "--help").stdout
