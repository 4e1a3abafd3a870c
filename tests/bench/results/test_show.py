"""A session as it is printed: from samples whose times are known."""
import json
import sqlite3
from contextlib import closing

import pytest

from bench.results import show as show_module
from bench.run.store import Store


def show(path):
    return show_module.show(path, everything=True)


def fill(path, blocks, cells, workload="injected", kind="program"):
    with Store(path) as store:
        store.start_session(command="test", seed=1, blocks=blocks, samples=blocks * len(cells))
        store.add_machine({"cpu_model": "Test CPU", "cpus": 2, "effective_cpus": 2, "load1": 0.1, "dirty": 0})
        store.add("workload", name=workload, size=9, kind=kind, unit="tasks", operation="run", doc="")
        for runtime in dict.fromkeys(r for r, _ in cells):
            store.add("runtime", name=runtime, status="present", doc="")
        for runtime, workers in cells:
            store.add("cell", workload=workload, size=9, runtime=runtime, workers=workers, series="strong", work=1)
        for block in range(blocks):
            for position, ((runtime, workers), ms) in enumerate(cells.items()):
                store.add("sample", block=block, position=position, workload=workload, size=9, runtime=runtime,
                          workers=workers, status="ok", output_ok=1, operations=1,
                          region_ns=int(ms * 1e6 * (1 + block / 1000)))


CELLS = {("sequential", 1): 1000, ("multiprocessing", 2): 600, ("snakefish", 2): 500, ("snakefish-traced", 2): 501}


def test_table(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, CELLS)
    assert show(tmp_path / "bench.db") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1] == str(tmp_path / "bench.db")
    snakefish = next(line for line in lines if line.split()[:2] == ["snakefish", "2"])
    assert "2.00" in snakefish.split()  # speedup
    ratio = lines[lines.index("  snakefish, times as fast as multiprocessing") + 1]
    assert ratio.split()[2] == "1.200" and ratio.endswith("faster")
    assert lines[next(n for n, x in enumerate(lines) if "what tracing costs" in x) + 1].endswith("]")  # no verdict


def test_over_all_programs_the_geometric_mean_is_told(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, {**CELLS, ("multiprocessing", 1): 1200, ("snakefish", 1): 250})
    show(tmp_path / "bench.db")
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines[lines.index(next(x for x in lines if x.startswith("all programs"))):]
              if line.startswith("  snakefish, times as fast as multiprocessing ")]
    assert row.split()[6] == "2.400" and row.endswith("of 2")  # sqrt(600/500 * 1200/250)


def test_table_of_few_blocks_has_no_interval_and_says_so(tmp_path, capsys):
    fill(tmp_path / "bench.db", 3, CELLS)
    show(tmp_path / "bench.db")
    out = capsys.readouterr().out
    assert "Fewer than 6 blocks" in out and "[" not in out and "too few blocks" in out


MICRO = {("floor", 1): 1, ("snakefish", 1): 2, ("multiprocessing", 1): 14, ("multiprocessing-simplequeue", 1): 13}


def micro(tmp_path, capsys, blocks=8, **changed):
    cells = {key: changed.get(key[0], ms) for key, ms in MICRO.items() if changed.get(key[0], ms)}
    fill(tmp_path / "bench.db", blocks, cells, workload="stream-int", kind="micro")
    show(tmp_path / "bench.db")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 100
    at = next(n for n, line in enumerate(lines) if line.startswith("  snakefish, times as fast as "))
    return lines[at + 1:], next(line for line in lines if line.startswith("targets"))


def test_micro_is_held_against_the_best_peer_the_floor_and_its_target(tmp_path, capsys):
    rows, targets = micro(tmp_path, capsys)
    assert rows[0].startswith("  multiprocessing-simplequeue (best peer)") and rows[0].split()[3] == "6.500"
    assert rows[1].split()[:2] == ["multiprocessing", "7.000"] and rows[1].endswith(">= 6.000 reached")
    assert rows[2].startswith("  floor: pickle") and " 0.500 " in rows[2]
    assert targets == "targets: 1 of 1 reached"


def test_a_floor_is_the_least_of_its_samples_and_a_reference_is_called_so(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, MICRO, workload="stream-int", kind="micro")
    show(tmp_path / "bench.db")
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  floor (the least)")]
    assert row.split()[3:] == ["1", "8", "1.00", "ms"]
    fill(tmp_path / "other.db", 8, {**MICRO, ("snakefish", 1): 0.9}, workload="stream-int", kind="micro")
    show(tmp_path / "other.db")
    out = capsys.readouterr().out
    assert "  reference: pickle" in out and "\n  floor" not in out and "\n  reference  " in out


def test_a_target_that_is_missed_is_told_once_more_at_the_end(tmp_path, capsys):
    rows, targets = micro(tmp_path, capsys, snakefish=7)
    assert rows[1].endswith(">= 6.000 missed")
    assert targets == "targets: 0 of 1 reached, 1 missed; the others:"


def test_a_target_without_its_peer_is_not_measured(tmp_path, capsys):
    rows, targets = micro(tmp_path, capsys, multiprocessing=0)
    assert "not measured" in rows[1] and targets.startswith("targets: 0 of 0 reached, 1 not measured")


@pytest.mark.parametrize("status", ("wrong", "crash", "timeout"))
def test_failed_samples_are_told(tmp_path, capsys, status):
    fill(tmp_path / "bench.db", 1, {})
    with Store(tmp_path / "bench.db") as store:
        store.session = 1
        store.add("runtime", name="sequential", status="present", doc="")
        store.add("cell", workload="injected", size=9, runtime="sequential", workers=1, series="strong", work=1)
        store.add("sample", block=0, position=0, workload="injected", size=9, runtime="sequential", workers=1,
                  status=status, error="on purpose")
    show(tmp_path / "bench.db")
    out = capsys.readouterr().out
    assert f"1 {status}: injected 9 sequential x1: on purpose" in out and "nothing to compare" in out


def test_weak_scaling_is_held_against_one_share(tmp_path, capsys):
    path = tmp_path / "bench.db"
    with Store(path) as store:
        store.start_session(command="test", seed=1, blocks=6, samples=18)
        for size in (10, 21):
            store.add("workload", name="w", size=size, kind="program", unit="u", operation="run", doc="")
        for runtime in ("sequential", "snakefish", "joblib"):
            store.add("runtime", name=runtime, status="present", doc="")
        cells = {("sequential", 10, 1): (100, "both", 1), ("snakefish", 10, 1): (105, "both", 1),
                 ("snakefish", 21, 2): (125, "weak", 2.1), ("joblib", 10, 1): (130, "strong", 1)}
        for (runtime, size, workers), (_, series, work) in cells.items():
            store.add("cell", workload="w", size=size, runtime=runtime, workers=workers, series=series, work=work)
        for block in range(6):
            for position, ((runtime, size, workers), (ns, _, _)) in enumerate(cells.items()):
                store.add("sample", block=block, position=position, workload="w", size=size, runtime=runtime,
                          workers=workers, status="ok", output_ok=1, operations=1, region_ns=ns)
    show(path)
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.split()[:4] == ["w", "snakefish", "2", "21"])
    assert row.split()[4:] == ["0.84", "[0.84,", "0.84]"]  # 100 / 125 for 2.1 / 2 times the share
    assert not [line for line in out.splitlines() if line.split()[:2] == ["w", "joblib"]]
    assert out.count("the parallel region") == 1  # the larger size is of the weak series only


# -- in short

BOTH = {("snakefish", 1): 1000, ("multiprocessing", 1): 1200, ("snakefish", 2): 500, ("multiprocessing", 2): 720,
        ("snakefish-again", 2): 500}


def scattered(path, cells=BOTH, blocks=10, by=0.4, workers=2):
    """A session in which what two workers do is noise."""
    fill(path, blocks, cells)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"UPDATE sample SET region_ns = region_ns * (1 + {by} * (block % 3)), wall_ns = 2e9 "
                         f"WHERE runtime = 'snakefish' AND workers = {workers}")
        database.execute("UPDATE sample SET wall_ns = 2e9")
        database.commit()
    return path


def short(path, capsys):
    assert show_module.show(path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if str(path) not in line) <= 120
    parts, name = {}, "head"
    for line in lines:
        if line in ("Faster?", "How sure?", "What next?"):
            name = line
        parts.setdefault(name, []).append(line.strip())
    return parts


def test_in_short_it_says_whether_it_is_faster_how_sure_that_is_and_what_next(tmp_path, capsys):
    parts = short(scattered(tmp_path / "bench.db"), capsys)
    assert list(parts) == ["head", "Faster?", "How sure?", "What next?"]
    assert parts["Faster?"][1] == "2 comparisons, programs: faster in 1 of 1 decided; 1 inconclusive."
    assert parts["Faster?"][2].startswith("1.20 times as fast in injected x1, 1.0")
    rows = [line.split() for line in parts["Faster?"] if line.startswith("injected")]
    assert [row[1:3] + [row[-1]] for row in rows] == [
        ["1", "multiprocessing", "faster"], ["2", "multiprocessing", "inconclusive"]]
    assert any(line.startswith("snakefish against itself, programs: up to") for line in parts["How sure?"])
    assert any(line.startswith("With 2 workers a difference of ") for line in parts["How sure?"])


def test_what_is_undecided_says_how_many_blocks_how_long_and_with_what_command(tmp_path, capsys):
    path = scattered(tmp_path / "bench.db")
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        short(path, capsys)
        (row,) = database.execute("SELECT * FROM comparison WHERE verdict = 'inconclusive'").fetchall()
    parts = short(path, capsys)
    seconds = row["more_blocks"] * 2 * len(BOTH)
    took = f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"
    assert f"injected x2: {row['more_blocks']} more blocks, {took}" in parts["What next?"]
    assert f"python3 -m bench run --resume --blocks +{row['more_blocks']} -o {path}" in parts["What next?"]


def test_the_command_that_it_names_works(bench, program):
    bench.add("workloads", "injected", program("time.sleep(0.02 * (1 + os.getpid() % 2))"))
    bench.run("--quick", "--filter", "injected", "--runtimes", "snakefish,multiprocessing", "--workers", 2, "--blocks", 4)
    out, _ = bench("show", bench.db)
    (command,) = [line.split() for line in out.splitlines() if "--resume" in line]
    bench(*command[command.index("run"):])
    assert bench.rows("SELECT blocks FROM session") == [{"blocks": 6}]
    assert "Fewer than" not in bench("show", bench.db)[0]


def test_all_that_is_decided_asks_for_nothing(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, CELLS)
    parts = short(tmp_path / "bench.db", capsys)
    assert parts["What next?"][1] == "Everything is decided."


def test_without_another_library_it_says_what_a_verdict_takes(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, {("sequential", 1): 10, ("snakefish", 1): 10})
    assert any("Nothing has a verdict" in line for line in short(tmp_path / "bench.db", capsys)["Faster?"])


def test_json_has_the_comparisons_the_targets_and_the_warnings(tmp_path, capsys):
    path = scattered(tmp_path / "bench.db")
    with Store(path) as store:
        store.session = 1
        store.add("warning", text="The machine had other work.")
    assert show_module.show(path, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"comparisons", "targets", "warnings"} and found["targets"] == []
    assert found["warnings"][0] == "The machine had other work." and "not finished" in found["warnings"][1]
    by_key = {(row["runtime"], row["workers"]): row for row in found["comparisons"]}
    assert set(by_key) == {("snakefish", 1), ("snakefish", 2), ("snakefish-again", 2)}
    row = by_key["snakefish", 1]
    assert {"program", "workers", "runtime", "base", "times_as_fast", "low", "high", "blocks", "verdict",
            "detectable"} <= set(row)
    assert (row["program"], row["base"], row["verdict"], row["blocks"]) == ("injected", "multiprocessing", "faster", 10)
    assert row["times_as_fast"] == pytest.approx(1.2) and row["low"] <= row["times_as_fast"] <= row["high"]
    assert by_key["snakefish", 2]["verdict"] == "inconclusive" and by_key["snakefish", 2]["more_blocks"] > 0
    assert by_key["snakefish-again", 2]["verdict"] is None


def test_json_has_the_targets(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, MICRO, workload="stream-int", kind="micro")
    show_module.show(tmp_path / "bench.db", as_json=True)
    rows = {row["base"]: row for row in json.loads(capsys.readouterr().out)["targets"]}
    assert (rows["multiprocessing"]["program"], rows["multiprocessing"]["state"]) == ("stream-int", "reached")


def test_a_target_that_is_missed_is_told_in_short_too(tmp_path, capsys):
    fill(tmp_path / "bench.db", 8, {**MICRO, ("snakefish", 1): 7}, workload="stream-int", kind="micro")
    parts = short(tmp_path / "bench.db", capsys)
    assert "0 of 1 targets reached." in parts["Faster?"]
    assert "missed: stream-int, 2.00 times as fast as multiprocessing, to be 6.00" in parts["Faster?"]
