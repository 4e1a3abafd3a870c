"""Counters of what disturbs a sample from outside, read before and after it. None where the machine has no such one."""
import os
import re
from pathlib import Path

from bench.run.machine import cgroup_paths, read

TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
THERMAL = Path("/sys/devices/system/cpu")


def steal_ns():
    """CPU time that the hypervisor gave to other virtual machines, over all CPUs."""
    fields = (read("/proc/stat") or "").partition("\n")[0].split()
    return int(fields[8]) * TICK_NS if len(fields) > 8 else None


def pressure_ns():
    """Time in which something waited for a CPU."""
    found = re.search(r"^some .*total=(\d+)", read("/proc/pressure/cpu") or "", re.M)
    return int(found[1]) * 1000 if found else None


def throttled_ns():
    """Time in which this process's cgroup was over its CPU quota."""
    for controller, name, scale in (("", "throttled_usec", 1000), ("cpu", "throttled_time", 1)):
        for folder in cgroup_paths(controller):
            found = re.search(rf"^{name} (\d+)", read(folder / "cpu.stat") or "", re.M)
            if found:
                return int(found[1]) * scale
    return None


def thermal_throttles():
    """How often a core was slowed down because it was hot."""
    counts = [read(path) for path in THERMAL.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    return sum(map(int, filter(None, counts))) if counts else None


COUNTERS = (steal_ns, pressure_ns, throttled_ns, thermal_throttles)


class Disturbance:
    """Columns of the table `sample`: by how much each counter grew since this object was made."""

    def __init__(self):
        self.before = {counter: counter() for counter in COUNTERS}

    def since(self):
        now = {counter: counter() for counter in COUNTERS}
        return {counter.__name__: None if None in (now[counter], before) else now[counter] - before
                for counter, before in self.before.items()}
