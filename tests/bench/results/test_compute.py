"""The tables of results: what is in them, and that they are those of the samples whenever somebody reads them."""
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from bench.results import comparisons, compute
from bench.results.compare import compare
from bench.results.export import export
from bench.results.show import show
from bench.run.store import VERSION, Store, StoreError

# (runtime, workers): ms of a sample
PROGRAM = {("sequential", 1): 1000, ("multiprocessing", 1): 1100, ("multiprocessing", 2): 600, ("snakefish", 1): 1000,
           ("snakefish", 2): 500, ("snakefish-again", 2): 525, ("joblib", 2): 750}


def fill(path, cells=None, blocks=6, name="injected", kind="program", size=9, series="strong", work=1, operations=1,
         floor_ns=None):
    """Adds a workload to the one session of that database; the blocks differ by 0.1 %."""
    cells = PROGRAM if cells is None else cells
    with Store(path) as store:
        if not store.rows("SELECT 1 FROM session"):
            store.start_session(command="test", seed=1, blocks=blocks, samples=blocks * len(cells))
        store.session = 1
        store.add("workload", name=name, size=size, kind=kind, unit="tasks", operation="run", doc="")
        for position, ((runtime, workers), ms) in enumerate(cells.items()):
            if not store.rows("SELECT 1 FROM runtime WHERE name = ?", runtime):
                store.add("runtime", name=runtime, status="present", doc="")
            store.add("cell", workload=name, size=size, runtime=runtime, workers=workers, series=series, work=work)
            for block in range(blocks):
                store.add("sample", block=block, position=position, workload=name, size=size, runtime=runtime,
                          workers=workers, status="ok", output_ok=1, operations=operations, floor_ns=floor_ns,
                          region_ns=round(ms * 1e6 * (1 + block / 1000)))
    return path


def read(path, query):
    with compute.opened(path) as (database, _):
        return [dict(row) for row in database.execute(query)]


def row_of(path, query):
    (row,) = read(path, query)
    return row


@pytest.fixture
def path(tmp_path):
    return tmp_path / "bench.db"


def test_a_cell_has_its_median_its_mean_and_an_interval(path):
    fill(path, operations=10)
    row = row_of(path, "SELECT * FROM estimate WHERE runtime = 'snakefish' AND workers = 2")
    assert row["median_ns"] == pytest.approx(50.125e6) and row["mean_ns"] == pytest.approx(50.125e6)
    assert 50e6 <= row["low_ns"] < row["median_ns"] < row["high_ns"] <= 50.25e6 and row["blocks"] == 6


def test_a_comparison_is_times_as_fast_with_a_verdict(path):
    fill(path)
    row = row_of(path, "SELECT * FROM comparison WHERE base = 'multiprocessing' AND workers = 2")
    assert (row["runtime"], row["times_as_fast"], row["verdict"]) == ("snakefish", pytest.approx(1.2), "faster")
    assert row["base_ns"] / row["time_ns"] == pytest.approx(row["times_as_fast"])
    row = row_of(path, "SELECT * FROM comparison WHERE base = 'joblib'")
    assert (row["workers"], row["times_as_fast"]) == (2, pytest.approx(1.5))


def test_the_control_has_no_verdict_and_is_no_margin(path):
    fill(path)
    row = row_of(path, "SELECT * FROM comparison WHERE runtime = 'snakefish-again'")
    assert (row["times_as_fast"], row["verdict"], row["margin"]) == (pytest.approx(500 / 525), None, 0.03)
    noise = row_of(path, "SELECT * FROM noise WHERE kind = 'program'")
    assert (noise["largest"], noise["comparisons"], noise["different"]) == (pytest.approx(0.05), 1, 1)
    assert noise["margin"] == row_of(path, "SELECT * FROM noise WHERE kind = 'micro'")["margin"] == 0.03


def test_a_verdict_is_on_the_fastest_of_the_others_and_the_rest_is_compared_without_one(path):
    fill(path, {**PROGRAM, ("joblib", 1): 900, ("snakefish-executor", 2): 450, ("threading", 2): 990})
    rows = read(path, "SELECT * FROM comparison WHERE verdict IS NOT NULL ORDER BY runtime, workers")
    assert [(row["runtime"], row["base"], row["workers"], row["verdict"], row["family"]) for row in rows] == [
        ("snakefish", "joblib", 1, "slower", 3), ("snakefish", "multiprocessing", 2, "faster", 3),
        ("snakefish-executor", "multiprocessing", 2, "faster", 3)]
    rest = read(path, "SELECT * FROM comparison WHERE verdict IS NULL")
    assert {(row["runtime"], row["base"]) for row in rest} == {
        ("snakefish", "joblib"), ("snakefish", "multiprocessing"), ("snakefish", "threading"), ("snakefish-executor", "joblib"),
        ("snakefish-executor", "threading"), ("snakefish-again", "snakefish")}
    assert {(row["family"], row["more_blocks"]) for row in rest} == {(None, None)}


def test_verdicts_are_at_one_worker_and_at_all_cpus():
    assert comparisons.judged_counts({1, 2, 3, 4}, 2) == {1, 2}
    assert comparisons.judged_counts({1, 2, 4, 8}, 6) == {1, 4}
    assert comparisons.judged_counts({3}, 2) == {3} and comparisons.judged_counts({1}, 2) == {1}


def scatter(path, runtime, by, workload=""):
    """Makes every other sample of that runtime so much longer."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"UPDATE sample SET region_ns = region_ns * {1 + by} "
                         "WHERE runtime = ? AND block % 2 AND workload LIKE ?",
                         (runtime, f"{workload}%"))
        database.commit()


def test_what_is_inconclusive_says_what_it_could_have_seen_and_what_it_would_take(path):
    fill(path, {("multiprocessing", 2): 1030, ("snakefish", 2): 1000}, blocks=10)
    scatter(path, "snakefish", 0.2)
    row = row_of(path, "SELECT * FROM comparison")
    assert row["verdict"] == "inconclusive" and row["low"] < 1 < row["high"]
    assert 0.08 < row["detectable"] < 0.15 and row["more_blocks"] > 10
    scatter(path, "multiprocessing", 0.2)  # alike in both: the ratio has no noise
    row = row_of(path, "SELECT * FROM comparison")
    assert row["verdict"] != "inconclusive" and row["detectable"] < 0.001 and row["more_blocks"] is None


def test_a_quiet_seeming_program_borrows_the_noise_of_the_others_at_its_number_of_workers(path, tmp_path):
    cells = {("multiprocessing", 2): 1000, ("snakefish", 2): 1000}
    alone, among = fill(tmp_path / "alone.db", cells, blocks=8, name="quiet"), fill(path, cells, blocks=8, name="quiet")
    for each in (alone, among):
        scatter(each, "snakefish", 0.02)
    for k in range(4):
        fill(among, cells, blocks=8, name=f"noisy{k}")
    scatter(among, "snakefish", 0.05)  # the quiet one too, in both
    scatter(among, "multiprocessing", 0.05, "quiet")
    query = "SELECT high / low AS width FROM comparison WHERE workload = 'quiet'"
    assert row_of(alone, query)["width"] < row_of(among, query)["width"] < 1.1


def test_the_sessions_margin_decides_what_is_no_difference(path):
    fill(path, {("multiprocessing", 2): 1020, ("snakefish", 2): 1000})
    assert row_of(path, "SELECT * FROM comparison")["verdict"] == "no practical difference"
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE session SET margin = 0.01")
        database.commit()
    row = row_of(path, "SELECT * FROM comparison")
    assert (row["verdict"], row["margin"]) == ("faster", 0.01)


def test_the_mean_is_for_each_number_of_workers_and_for_all(path):
    fill(path)
    rows = read(path, "SELECT workers, times_as_fast, comparisons FROM overall WHERE base = 'multiprocessing' ORDER BY 1")
    assert [(row["workers"], row["comparisons"]) for row in rows] == [(None, 2), (1, 1), (2, 1)]
    assert [row["times_as_fast"] for row in rows] == pytest.approx([(1.1 * 1.2) ** 0.5, 1.1, 1.2])


def test_speedup_and_efficiency_are_of_the_sequential_time(path):
    fill(path)
    row = row_of(path, "SELECT * FROM speedup WHERE runtime = 'snakefish' AND workers = 2")
    assert (row["speedup"], row["efficiency"], row["base_ns"]) == pytest.approx((2, 1, 1002.5e6), rel=1e-5)
    assert row["base_ns"] / row["time_ns"] == pytest.approx(row["speedup"])
    assert row["efficiency_high"] == pytest.approx(row["high"] / 2)
    assert not read(path, "SELECT * FROM speedup WHERE runtime = 'sequential'")


def test_weak_efficiency_is_the_time_of_one_share_over_that_of_all(path):
    fill(path, {("sequential", 1): 100, ("snakefish", 1): 105}, series="both")
    fill(path, {("snakefish", 2): 125}, size=21, series="weak", work=2.1)
    rows = read(path, "SELECT * FROM weak_scaling ORDER BY workers")
    assert [(row["runtime"], row["workers"], row["size"]) for row in rows] == [("snakefish", 1, 9), ("snakefish", 2, 21)]
    assert [row["efficiency"] for row in rows] == pytest.approx([100 / 105, 1.05 * 100 / 125])


def test_a_sweep_has_its_break_even_in_the_table(path):
    for size in (10, 100, 1000):
        fill(path, {("sequential", 1): 2 * size, ("snakefish", 2): 50 + size, ("multiprocessing", 2): 5000,
                    ("joblib", 2): size}, name="sweep", kind="micro", size=size, series="sweep")
    rows = {row["runtime"]: row for row in read(path, "SELECT * FROM break_even")}
    assert 30 < rows["snakefish"]["size"] < 70 and (rows["snakefish"]["smallest"], rows["snakefish"]["largest"]) == (10, 1000)
    assert rows["multiprocessing"]["size"] == float("inf") and rows["joblib"]["size"] == 0
    assert "sequential" not in rows


def test_micro_benchmarks_are_held_against_peer_floor_and_target(path):
    fill(path, {("snakefish", 1): 2, ("multiprocessing", 1): 14, ("multiprocessing-simplequeue", 1): 13, ("floor", 1): 1},
         name="stream-int", kind="micro")
    rows = {row["base"]: row for row in read(path, "SELECT * FROM target")}
    assert set(rows) == {"multiprocessing", "multiprocessing-simplequeue", "floor"}
    assert (rows["multiprocessing"]["times_as_fast"], rows["multiprocessing"]["target"],
            rows["multiprocessing"]["state"]) == (pytest.approx(7), 6, "reached")
    assert rows["multiprocessing-simplequeue"]["best_peer"] == 1 and rows["multiprocessing"]["best_peer"] == 0
    assert rows["floor"]["times_as_fast"] == pytest.approx(0.5) and rows["floor"]["state"] is None
    assert rows["floor"]["what"].startswith("pickle")


def test_what_something_is_quicker_than_is_no_floor(path):
    fill(path, {("snakefish", 1): 2, ("multiprocessing", 1): 14, ("floor", 1): 1.999}, name="stream-int", kind="micro")
    assert row_of(path, "SELECT * FROM target WHERE base = 'floor'")["is_floor"] == 1
    assert row_of(path, "SELECT * FROM estimate WHERE runtime = 'floor'")["least_ns"] == 1.999e6
    fill(path, {("snakefish", 1): 2, ("multiprocessing", 1): 14, ("floor", 1): 2.02}, name="stream-dict", kind="micro")
    row = row_of(path, "SELECT * FROM target WHERE base = 'floor' AND workload = 'stream-dict'")
    assert row["is_floor"] == 0 and row["what"].startswith("pickle")
    assert read(path, "SELECT DISTINCT is_floor FROM target WHERE base <> 'floor'") == [{"is_floor": None}]


def test_a_floor_within_the_samples_is_compared_there_and_has_an_estimate(path):
    fill(path, {("snakefish", 1): 4}, name="spawn-join", kind="micro", floor_ns=3e6)
    assert row_of(path, "SELECT * FROM estimate WHERE runtime = 'floor'")["median_ns"] == 3e6
    row = row_of(path, "SELECT * FROM target WHERE base = 'floor'")
    assert row["times_as_fast"] == pytest.approx(0.75, rel=0.01)
    assert (row["target"], row["state"]) == (pytest.approx(1 / 1.1), "missed")


def test_block_by_block_the_view_agrees_with_the_samples(path):
    fill(path)
    rows = read(path, "SELECT * FROM comparison_block WHERE base = 'multiprocessing' AND workers = 2 ORDER BY block")
    assert [row["block"] for row in rows] == list(range(6))
    assert [row["times_as_fast"] for row in rows] == pytest.approx([1.2] * 6)
    rows = read(path, "SELECT * FROM speedup_block WHERE runtime = 'snakefish' AND workers = 2")
    assert [row["speedup"] for row in rows] == pytest.approx([2] * 6)


def test_twice_the_same_numbers(path):
    fill(path)
    tables = [read(path, f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4") for table in compute.TABLES]
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM computed")
        database.commit()
    assert tables == [read(path, f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4") for table in compute.TABLES]


def computed(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT samples, inputs_sha256 FROM computed").fetchall()


def test_a_run_leaves_the_results_in_its_database(bench, program):
    bench.add("workloads", "injected", program())
    bench.run("--quick", "--filter", "injected", "--runtimes", "sequential,multiprocessing", "--workers", 2)
    assert [row["samples"] for row in bench.rows("SELECT samples FROM computed")] == [4]
    before = bench.db.read_bytes()
    bench("show", bench.db)
    assert bench.db.read_bytes() == before  # nothing is left to compute


def test_a_reader_computes_what_is_missing_or_of_other_samples(path, capsys):
    fill(path)
    assert computed(path) == []
    show(path)
    (first,) = computed(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE sample SET region_ns = 2 * region_ns WHERE runtime = 'snakefish'")
        database.commit()
    show(path)
    (second,) = computed(path)
    assert first[0] == second[0] and first[1] != second[1]
    assert row_of(path, "SELECT * FROM comparison WHERE base = 'joblib'")["times_as_fast"] == pytest.approx(0.75)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM sample WHERE block = 5 AND runtime = 'joblib'")
        database.commit()
    assert row_of(path, "SELECT * FROM comparison WHERE base = 'joblib'")["blocks"] == 5


def test_another_target_is_seen_by_the_next_reader(path, monkeypatch):
    fill(path, {("snakefish", 1): 2, ("multiprocessing", 1): 14}, name="stream-int", kind="micro")
    assert row_of(path, "SELECT * FROM target WHERE target IS NOT NULL")["state"] == "reached"
    module = compute.targets.module_of("stream-int")
    monkeypatch.setattr(module, "targets", {"multiprocessing": 8})
    assert row_of(path, "SELECT * FROM target WHERE target IS NOT NULL")["state"] == "missed"


def test_a_run_that_is_writing_is_left_alone(path):
    fill(path)
    with Store(path):
        rows = read(path, "SELECT * FROM comparison")
        assert len(rows) == 4
        assert computed(path) == []
    assert read(path, "SELECT * FROM comparison") == rows and len(computed(path)) == 1


def test_a_database_that_cannot_be_written_is_computed_in_memory():
    with tempfile.TemporaryDirectory() as folder:
        path = fill(os.path.join(folder, "bench.db"))
        os.chmod(path, 0o444)
        os.chmod(folder, 0o555)
        before = Path(path).read_bytes()
        child = os.fork()
        if child == 0:  # as somebody who may read it, and no more
            try:
                if os.geteuid() == 0:
                    os.setresuid(65534, 65534, 65534)
                os._exit(0 if len(read(path, "SELECT * FROM comparison")) == 4 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert Path(path).read_bytes() == before and computed(path) == []
        os.chmod(folder, 0o755)


def test_the_report_gets_a_copy_of_what_cannot_be_written(path):
    fill(path)
    with Store(path), compute.files([path]) as (copy,):
        assert copy != path and copy.name == path.name
        with closing(sqlite3.connect(copy)) as database:
            assert database.execute("SELECT samples FROM computed").fetchone() == (42,)
    assert not copy.exists() and computed(path) == []
    with compute.files([path]) as found:
        assert found == [path] and len(computed(path)) == 1


def test_a_session_without_a_right_output_has_no_results(path):
    fill(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE sample SET status = 'wrong', output_ok = 0")
        database.commit()
    assert read(path, "SELECT * FROM estimate") == read(path, "SELECT * FROM comparison") == []
    assert len(computed(path)) == 1


def made_old(path):
    """Makes it what version 2 was: without the results, and the number of blocks of a cell."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("ALTER TABLE cell DROP COLUMN blocks")
        database.execute("ALTER TABLE session DROP COLUMN margin")
        for view in ("comparison_block", "speedup_block"):
            database.execute(f"DROP VIEW {view}")
        for table in (*compute.TABLES, "instruction_count"):
            database.execute(f"DROP TABLE {table}")
        database.execute("PRAGMA user_version = 2")
    return path


def test_a_database_of_version_2_is_read_and_left_as_it_is(path, tmp_path, capsys):
    new = fill(tmp_path / "new.db")
    old = made_old(Path(shutil.copy(new, path)))
    before = old.read_bytes()
    for query in ("SELECT * FROM comparison", "SELECT * FROM comparison_block", "SELECT * FROM sample"):
        assert read(old, query) == read(new, query)
    shown = []
    for each in (old, new):
        show(each, everything=True)
        shown.append(capsys.readouterr().out.replace(str(each), ""))
    assert shown[0] == shown[1]
    compare([str(old), str(new)])
    assert "7 no practical difference" in capsys.readouterr().out
    export(old)
    assert len(capsys.readouterr().out.splitlines()) == 1 + 42
    with compute.files([old, new]) as (copy, same):
        assert copy != old and same == new
        with closing(sqlite3.connect(copy)) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
            assert len(database.execute("SELECT * FROM comparison").fetchall()) == 4
    assert old.read_bytes() == before


def test_a_database_of_version_4_has_no_counts_and_is_read(path):
    fill(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE instruction_count")
        database.execute("PRAGMA user_version = 4")
    assert read(path, "SELECT * FROM instruction_count") == [] and len(read(path, "SELECT * FROM sample")) == 42


def test_a_database_of_version_2_is_not_written_to(path):
    old = made_old(fill(path))
    with pytest.raises(StoreError, match="of version 2, and this bench writes version 5: choose another path"):
        Store(old)


@pytest.mark.parametrize("version", (1, 6))
def test_other_versions_are_refused_in_one_sentence(path, version):
    fill(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StoreError, match=f"of version {version}, and this bench reads versions 2 to 5"), compute.opened(path):
        pass


def test_without_scipy_a_run_keeps_its_samples_and_a_reader_says_what_to_install(bench, program):
    bench.add("workloads", "injected", program())
    (bench.extra / "scipy.py").write_text("raise ImportError('there is no scipy')")
    os.environ["PYTHONPATH"], before = f"{bench.extra}:{os.environ.get('PYTHONPATH', '')}", os.environ.get("PYTHONPATH")
    try:
        _, err = bench.run("--quick", "--filter", "injected", "--runtimes", "sequential")
        assert "not stored yet: there is no scipy" in err
        assert "apt-get install python3-numpy python3-scipy" in bench("show", bench.db, code=2)[1]
        assert "injected" in bench("export", "--csv", bench.db)[0]
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    assert "injected, 2 tasks" in bench("show", "--all", bench.db)[0]
