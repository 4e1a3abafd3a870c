"""Facts about the machine, from files of our own making."""
import os

from bench.run import machine


def group(monkeypatch, tmp_path, lines, files):
    """Puts this process in a made-up cgroup: /proc/self/cgroup and the files under the mount."""
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    real = machine.read
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine, "read", lambda p: lines if str(p) == "/proc/self/cgroup" else real(p))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def test_no_cgroup_limits_nothing(monkeypatch, tmp_path):
    group(monkeypatch, tmp_path, "0::/\n", {})
    assert machine.cgroup_cpus() == "none"
    assert (machine.effective_cpus(), machine.effective_cpus_because()) == (8, "online")


def test_quota_of_version_2_is_the_tightest_on_the_way_up(monkeypatch, tmp_path):
    group(monkeypatch, tmp_path, "0::/a/b\n",
          {"a/b/cpu.max": "max 100000", "a/cpu.max": "250000 100000", "cpu.max": "400000 100000"})
    assert machine.cgroup_cpus() == 2.5
    assert (machine.effective_cpus(), machine.effective_cpus_because()) == (3, "cgroup")


def test_quota_of_version_1(monkeypatch, tmp_path):
    group(monkeypatch, tmp_path, "4:memory:/m\n3:cpu,cpuacct:/not/here\n",
          {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000",
           "memory/m/memory.limit_in_bytes": "1073741824", "memory/memory.limit_in_bytes": "9223372036854771712"})
    assert machine.effective_cpus() == 1
    assert machine.cgroup_memory_bytes() == 1 << 30


def test_affinity_limits(monkeypatch, tmp_path):
    group(monkeypatch, tmp_path, "0::/\n", {})
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3})
    assert (machine.effective_cpus(), machine.effective_cpus_because()) == (2, "affinity")


def test_a_fact_that_fails_is_unknown(monkeypatch, capsys):
    def odd():
        raise ValueError("odd")

    monkeypatch.setattr(machine, "FACTS", (odd, machine.cpus))
    assert machine.facts() == {"odd": None, "cpus": os.cpu_count()}
    assert "odd is unknown" in capsys.readouterr().err


def test_facts_of_this_machine():
    facts = machine.facts()
    assert facts["effective_cpus"] >= 1 and facts["python"] and facts["kernel"]
    assert not [f for f in facts.values() if isinstance(f, str) and "/" in f]
