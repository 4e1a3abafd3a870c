"""`snakefish-trace predict`: what it prints, for programs whose tasks sleep. tests/stress/predict.py compares with the clock."""

import hashlib
import json
import os
import sqlite3
import sys

import pytest

from tracing import BUILD, ROOT, query, trace

SLEEPERS = ROOT / "tests" / "stress" / "sleepers.py"
KEYS = ["cpus", "seconds", "low", "high", "speedup", "efficiency", "limit"]


def traced(db, program, workers):
    """A short run."""
    done = trace("record", "-q", "-o", db, "--", sys.executable, SLEEPERS, program, workers, 0.01,
                 env={**os.environ, "PYTHONPATH": str(BUILD / "lib")})
    assert done.returncode == 0, done.stderr
    return db


def predictions(db, *options):
    done = trace("predict", "--json", *options, db)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert list(said) == ["predictions", "enough"]
    return said["predictions"]


@pytest.mark.parametrize("program", ["heavy_tailed", "merges_in_rounds", "merges_of_an_even_split", "pipeline",
                                     "nested_threads", "generator_between_maps", "imap_in_chunks_with_a_consumer",
                                     "imap_unordered_heavy_tailed", "executor_submits", "executor_map", "pool_map",
                                     "pool_imap", "pool_apply_async"])
def test_each_kind_of_program_has_a_prediction_with_an_interval_and_a_limit(db, program):
    found = predictions(traced(db, program, 2))
    assert [p["cpus"] for p in found] == [1, 2, 4, 8, 16, 32, 64]
    for p in found:
        assert list(p) == KEYS
        assert 0 < p["low"] <= p["seconds"] <= p["high"]
        assert p["speedup"] == pytest.approx(found[0]["seconds"] / p["seconds"])
        assert p["efficiency"] == pytest.approx(p["speedup"] / p["cpus"])
        assert p["limit"]
    assert found[1]["seconds"] < found[0]["seconds"]  # nine tenths of each of them can be shared out


def test_it_says_the_same_each_time_and_leaves_the_trace_as_it_is(db):
    traced(db, "even", 2)
    before = hashlib.sha256(db.read_bytes()).hexdigest()
    assert predictions(db) == predictions(db)
    assert hashlib.sha256(db.read_bytes()).hexdigest() == before


def test_text(db):
    traced(db, "even", 2)
    said = trace("predict", "--cpus", "64,2,64,1", db).stdout.splitlines()
    assert said[1] == "prediction"
    assert said[2].split() == ["cpus", "s", "low", "high", "speedup", "efficiency", "limit"]
    assert [line.split()[0] for line in said[3:6]] == ["1", "2", "64"]
    assert said[3].split()[4] == "1.00x"


def recorded(db, code):
    done = trace("record", "-q", "-o", db, "--", sys.executable, "-c", "import snakefish, threading\n" + code,
                 env={**os.environ, "PYTHONPATH": str(BUILD / "lib")})
    assert done.returncode == 0, done.stderr
    return db


def test_a_program_without_maps_is_said_to_have_none(db):
    said = trace("predict", recorded(db, "with snakefish.Thread(int): pass")).stdout
    assert said.startswith("no map, imap, Executor or Pool was there: ")


@pytest.mark.parametrize("code, why", [
    ("a, b = (snakefish.imap(abs, range(8), concurrency=2) for _ in range(2))\nlist(zip(a, b))", "two imaps or Executors"),
    ("t = threading.Thread(target=lambda: list(snakefish.imap(abs, range(8), concurrency=2)))\nt.start(), t.join()",
     "by another thread than the first"),
    ("with snakefish.Executor(2) as e: snakefish.map(abs, range(64), executor=e)", "a map on an Executor"),
    ("with snakefish.Executor(2) as e: list(snakefish.imap(abs, range(64), executor=e))", "a map on an Executor"),
])
def test_a_run_whose_work_cannot_be_handed_out_anew_is_refused(code, why, db):
    for options in ((), ("--json",), ("--store",)):
        done = trace("predict", *options, recorded(db, code))
        assert (done.returncode, done.stdout) == (1, "") and "cannot predict from" in done.stderr and why in done.stderr
    assert query(db, "SELECT count(*) FROM prediction") == [(0,)]


@pytest.mark.parametrize("cpus", ["", "0", "-1", "2,", "2,x", "1,,2", "4097", ",".join(["1"] * 65), "1 2"])
def test_wrong_numbers_of_cpus_are_refused(cpus, db):
    done = trace("predict", "--cpus", cpus, db)
    assert done.returncode == 2 and done.stdout == "" and "--cpus needs numbers from 1 to 4096" in done.stderr


# ---- stored, for the report ----

def stored(db):
    connection = sqlite3.connect(db)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute("SELECT * FROM prediction ORDER BY cpus")]
    connection.close()
    return rows


def test_what_is_stored_is_what_is_said_with_the_measured_time_at_as_many_cpus_as_workers(db):
    said = predictions(traced(db, "even", 3), "--store")
    rows = stored(db)
    assert len(rows) == len(said)
    for row, one in zip(rows, said):  # JSON has 9 digits
        assert {key: row[key] for key in KEYS} == {**one, **{key: pytest.approx(one[key], rel=1e-6) for key in KEYS[1:-1]}}
    assert {1, 2, 3, 4, 64} <= {row["cpus"] for row in rows}  # 3 workers
    (measured,) = [row for row in rows if row["measured"] is not None]
    assert measured["cpus"] == 3
    assert measured["measured"] == pytest.approx(measured["seconds"], rel=0.3)
    assert [row["enough"] for row in rows] == sorted(row["enough"] for row in rows) and rows[-1]["enough"] == 1
    predictions(db, "--store", "--cpus", "5")  # in place of those before
    assert 5 in {row["cpus"] for row in stored(db)} and 64 not in {row["cpus"] for row in stored(db)}


def test_without_maps_the_measured_time_is_that_of_the_machine(db):
    code = "import snakefish\nwith snakefish.Thread(int): pass"
    done = trace("record", "-q", "-o", db, "--", sys.executable, "-c", code,
                 env={**os.environ, "PYTHONPATH": str(BUILD / "lib")})
    assert done.returncode == 0, done.stderr
    predictions(db, "--store")
    ((cpus,),) = query(db, "SELECT value FROM meta WHERE key = 'cpus'")
    assert [row["cpus"] for row in stored(db) if row["measured"] is not None] == [cpus]
    assert 4 * cpus in {row["cpus"] for row in stored(db)}


def test_a_trace_that_cannot_be_written_stores_nothing_and_says_so(db):
    traced(db, "even", 1)
    connection = sqlite3.connect(db, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    done = trace("predict", "--store", db)
    connection.close()
    assert done.returncode == 1 and done.stdout == "" and "cannot predict from" in done.stderr and "locked" in done.stderr
    assert stored(db) == []


@pytest.mark.parametrize("options", [("--machine", "2"), ("--ceiling", "bench.db")])
def test_what_another_machine_would_do_is_not_stored(options, db):
    done = trace("predict", "--store", *options, db)
    assert done.returncode == 2 and "--store goes with neither --ceiling nor --machine" in done.stderr


# ---- the machine's ceiling ----

def bench(path, *estimates, cpus=8):
    """A bench database with rows (program, runtime, workers, median_ns)."""
    db = sqlite3.connect(path)
    db.executescript((ROOT / "bench" / "run" / "schema.sql").read_text())
    db.execute("PRAGMA foreign_keys=OFF")
    db.execute("INSERT INTO machine VALUES(1, 'effective_cpus', ?)", (cpus,))
    db.executemany("INSERT INTO estimate VALUES(1, ?, 1, ?, ?, 6, ?, NULL, NULL, ?, ?)",
                   [(*row, row[-1], row[-1]) for row in estimates])
    db.commit()
    db.close()
    return path


def test_a_ceiling_makes_tasks_longer_where_others_work(db, tmp_path):
    """Copies of the program take twice as long on 4 CPUs as alone, so 4 workers are twice as slow, and 2 by a third."""
    traced(db, "even", 1)
    ceiling = bench(tmp_path / "bench.db", ("p", "sequential", 1, 1000), ("p", "ceiling", 4, 500), ("p", "ceiling", 16, 9999))
    plain, slow = predictions(db), predictions(db, "--ceiling", ceiling)
    factors = [b["seconds"] / a["seconds"] for a, b in zip(plain, slow)]
    assert factors[0] == 1
    assert 1.1 < factors[1] < 4 / 3 < factors[2] <= 2


def test_what_is_no_bench_with_a_ceiling_is_refused(db, tmp_path):
    traced(db, "even", 1)
    for path in (db, tmp_path / "missing.db", bench(tmp_path / "bench.db", ("p", "sequential", 1, 1000))):
        done = trace("predict", "--ceiling", path, db)
        assert done.returncode == 1 and done.stdout == "" and str(path) in done.stderr
