"""Warnings: what is wrong with a machine or a session, and what to do."""
import pytest

from bench.run import advice, disturbance
from bench.run.store import Store

QUIET = {"cpus": 2, "cgroup_cpus": "none", "load1": 0.1, "governor": None, "turbo": None}


def warnings(tmp_path, blocks=6, first=1.0, facts=(), **disturbed):
    with Store(tmp_path / "bench.db") as store:
        store.start_session(command="test", seed=1, blocks=blocks, samples=blocks)
        store.add_machine({**QUIET, **dict(facts)})
        store.add("workload", name="w", size=1, kind="program", unit="u", operation="run", doc="")
        store.add("runtime", name="r", status="present", doc="")
        store.add("cell", workload="w", size=1, runtime="r", workers=4, series="strong", work=1)
        for block in range(blocks):
            row = {"steal_ns": 0, "throttled_ns": None, "thermal_throttles": 0, **disturbed}
            store.add("sample", block=block, position=0, workload="w", size=1, runtime="r", workers=4, status="ok",
                      output_ok=1, wall_ns=10**9, region_ns=int(1e8 * (first if block == 0 else 1)), **row)
        return advice.of_session(store)


def test_a_quiet_machine_has_none(tmp_path):
    assert warnings(tmp_path) == []


@pytest.mark.parametrize("case, words", (
    ({"facts": {"load1": 1.5}}, "other work when the session started (load 1.50): run it again"),
    ({"facts": {"cgroup_cpus": 2.5}}, "quota is 2.5 CPUs, fewer than the 4 workers: compare up to 2 workers"),
    ({"steal_ns": 10**8}, "gave 5% of the CPUs' time to others: use"),
    ({"throttled_ns": 5}, "stopped 6 of 6 samples for a while: raise"),
    ({"thermal_throttles": 1}, "slowed down by its heat during 6 of 6 samples: cool"),
    ({"facts": {"turbo": "on"}}, "Turbo is on"),
    ({"facts": {"governor": "powersave"}}, "governor is powersave: set"),
    ({"first": 1.5}, "first block took 1.50 times as long"),
))
def test_what_is_wrong_is_told_with_what_to_do(tmp_path, case, words):
    (sentence,) = warnings(tmp_path, **case)
    assert words in sentence


def test_counters_go_up_by_what_happened_in_between(monkeypatch):
    readings = iter([5, 12])
    counter = lambda: next(readings)  # noqa: E731
    counter.__name__ = "steal_ns"
    unknown = lambda: None  # noqa: E731
    unknown.__name__ = "throttled_ns"
    monkeypatch.setattr(disturbance, "COUNTERS", (counter, unknown))
    assert disturbance.Disturbance().since() == {"steal_ns": 7, "throttled_ns": None}


def test_counters_of_a_made_up_machine(monkeypatch, tmp_path):
    files = {"/proc/stat": "cpu  1 2 3 4 5 6 7 9 0 0\ncpu0 ...",
             "/proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=42\nfull total=1",
             str(tmp_path / "cpu.stat"): "nr_throttled 3\nthrottled_usec 17"}
    monkeypatch.setattr(disturbance, "read", lambda path: files.get(str(path)))
    monkeypatch.setattr(disturbance, "cgroup_paths", lambda controller: [] if controller else [tmp_path])
    monkeypatch.setattr(disturbance, "THERMAL", tmp_path)
    assert disturbance.steal_ns() == 9 * disturbance.TICK_NS
    assert disturbance.pressure_ns() == 42_000
    assert disturbance.throttled_ns() == 17_000
    assert disturbance.thermal_throttles() is None
    files.clear()
    assert (disturbance.steal_ns(), disturbance.pressure_ns(), disturbance.throttled_ns()) == (None, None, None)
