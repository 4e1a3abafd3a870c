"""snakefish-trace report: the page, and the messages when it cannot be made."""

import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from tracing import BUILD, PROGRAM, TRACE, query, record, trace


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
    assert query(db, "SELECT count(*) >= 7, count(measured) FROM prediction") == [(1, 1)]
    names = os.listdir(tmp_path / "page")
    assert {"index.html", "timeline.svg", "timeline.pdf", "timeline.csv", "lost_speedup.svg", "prediction.svg"} <= set(names)


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no Rscript")
def test_the_page_does_not_depend_on_home_time_zone_or_directory(db, tmp_path):
    """The same bytes, also in a directory with a % in its name; no code of the user's profile runs."""
    record(db, PROGRAM, "run", "50")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".Rprofile").write_text(f"invisible(file.create('{tmp_path}/ran'))\n")
    with_home = {**os.environ, "HOME": str(home), "TZ": "Asia/Tokyo"}
    without_home = {**os.environ, "TZ": "America/New_York"}
    del without_home["HOME"]
    pages = {}
    for name, environment in ("100%done %d", with_home), ("plain", without_home):
        done = trace("report", db, "-o", tmp_path / name, env=environment, cwd=home)
        assert (done.returncode, done.stderr) == (0, ""), done
        pages[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    one, other = pages.values()
    assert one.keys() == other.keys() and "timeline.pdf" in one
    assert [name for name in one if one[name] != other[name]] == []
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no Rscript")
def test_names_reach_neither_the_terminal_nor_the_page_as_commands(db, tmp_path):
    """A name of a hostile trace may be a control sequence, a mark of direction, or HTML."""
    record(db, PROGRAM, "run", "50")
    evil = "<script>alert(1)</script>\x1b[31m\u202e\u009b31m\n"
    connection = sqlite3.connect(db)
    connection.execute("UPDATE process SET name = ?", (evil,))
    connection.execute("UPDATE meta SET value = ? WHERE key IN ('state', 'cpu_model', 'command', 'kernel')", (evil,))
    connection.execute("INSERT INTO stats VALUES(?, NULL, 'error', ?)", (evil, evil))
    connection.commit()
    connection.close()
    done = trace("report", db, "-o", tmp_path / "page")
    assert done.returncode == 0, done
    assert "alert(1)" in done.stdout
    assert not set("\x1b\u202e\u009b").intersection(done.stdout + done.stderr)
    page = (tmp_path / "page" / "index.html").read_text()
    assert "&lt;script&gt;alert(1)" in page and "<script>alert(1)" not in page


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no Rscript")
def test_the_report_draws_the_prediction_that_is_stored(db, tmp_path):
    record(db, PROGRAM, "run", "50")
    assert trace("predict", "--store", "--cpus", "3,100", db).returncode == 0
    stored = query(db, "SELECT * FROM prediction")
    done = trace("report", db, "-o", tmp_path / "page", timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert query(db, "SELECT * FROM prediction") == stored
    rows = (tmp_path / "page" / "prediction.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == [str(cpus) for cpus, *_ in stored]


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no Rscript")
def test_traces_that_lie_are_reported_with_or_without_a_prediction(db, tmp_path):
    """Maps with any numbers, processes that last no time, a machine of any number of CPUs, a prediction of anything."""
    done = trace("record", "-q", "-o", db, "--", sys.executable, "-c", "import snakefish; snakefish.map(abs, range(50))",
                 env={**os.environ, "PYTHONPATH": str(BUILD / "lib")})
    assert done.returncode == 0, done
    lies = ["UPDATE event SET b = 9223372036854775807 WHERE phase = 1", "UPDATE event SET a = -5, b = -5",
            "UPDATE process SET end_ns = start_ns", "DELETE FROM event", "UPDATE process SET parent = id",
            "UPDATE meta SET value = 9223372036854775807 WHERE key = 'cpus'", "UPDATE meta SET value = 'x' WHERE key = 'cpus'",
            "INSERT INTO prediction VALUES(0, 'x', -1, x'00', 9e999, NULL, x'ff', 'x', -9e999), "
            "(2, 1, 1, 1, 1, 1, x'1b5b333100ff', 7, 'x')"]
    paths = [tmp_path / f"lie{number}.db" for number in range(len(lies))]
    for path, lie in zip(paths, lies):
        shutil.copy(db, path)
        connection = sqlite3.connect(path)
        connection.execute(lie)
        connection.commit()
        connection.close()
    done = trace("report", *paths, "-o", tmp_path / "page", timeout=600)
    assert done.returncode == 0, done
    assert "On other numbers of CPUs" in (tmp_path / "page" / "index.html").read_text()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("Rscript"), reason="a small disk needs root, and R")
def test_a_full_directory_of_temporary_files_is_named(db, tmp_path):
    record(db, PROGRAM, "marks", "150000")
    small = tmp_path / "small"
    small.mkdir()
    script = f"mount -t tmpfs -o size=64k none {small} && exec {TRACE} report {db} -o {tmp_path}/page"
    environment = {**os.environ, "TMPDIR": str(small), "SQLITE_TMPDIR": str(small)}
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], env=environment, capture_output=True, text=True,
                          timeout=100)
    assert done.returncode == 1 and str(small) in done.stderr


@pytest.mark.parametrize("place", ["a/b/c", "build/bin", "build/asserts/bin"])
def test_somebody_elses_script_does_not_run(db, tmp_path, place):
    record(db, PROGRAM, "run", "5")
    (tmp_path / "analysis").mkdir()
    script = tmp_path / "analysis" / "report.R"
    script.write_text(f"file.create('{tmp_path}/ran')\n")
    if place.startswith("build"):
        script.chmod(0o666)  # so anybody may have written it
    (tmp_path / place).mkdir(parents=True)
    copy = shutil.copy(TRACE, tmp_path / place / "snakefish-trace")
    done = trace("report", db, "-o", tmp_path / "page", executable=copy)
    assert done.returncode == 1 and "analysis/report.R" in done.stderr
    assert not (tmp_path / "ran").exists()


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
