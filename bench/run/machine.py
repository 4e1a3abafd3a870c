"""The machine and the build: each fact is a function without arguments, which returns None where it is unknown.

facts() collects them for the table `machine`. Nothing here names the host, a user or a path.
"""
import os
import platform
import re
import shlex
import subprocess
import sys
import sysconfig
from hashlib import sha256
from importlib import metadata
from math import ceil
from pathlib import Path

from bench.run import surroundings
from bench.support.paths import TOP, library

CGROUPS = Path("/sys/fs/cgroup")


def read(path):
    """A file's text, stripped; None where it cannot be read."""
    try:
        return Path(path).read_text(errors="replace").strip() or None
    except OSError:
        return None


def cpu_model():
    for line in (read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return None


def cpus():
    """CPUs that are online."""
    return os.cpu_count()


def affinity_cpus():
    """CPUs that this process may be scheduled on."""
    return len(os.sched_getaffinity(0))


def cgroup_paths(controller):
    """The folders of this process's cgroup and its ancestors; controller '' is version 2."""
    for line in (read("/proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            mounts = ("", "unified") if controller == "" else (controllers, controller)
            # In a container the path may be the host's while only its root is mounted here, so all ancestors are tried.
            inner = Path(path.lstrip("/"))
            return [CGROUPS / mount / p for mount in dict.fromkeys(mounts) for p in [inner, *inner.parents]]
    return []


def cgroup_v2_quota():
    """CPUs by the tightest cpu.max on the way up; None: no limit."""
    limits = []
    for folder in cgroup_paths(""):
        quota, _, period = (read(folder / "cpu.max") or "max").partition(" ")
        if quota != "max":
            limits.append(int(quota) / int(period or 100000))
    return min(limits, default=None)


def cgroup_v1_quota():
    """CPUs by the tightest cpu.cfs_quota_us on the way up; None: no limit."""
    limits = []
    for folder in cgroup_paths("cpu"):
        quota, period = read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")
        if quota and period and int(quota) > 0:
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def cgroup_cpus():
    """The CPU quota, in CPUs; 'none' where there is no limit."""
    quotas = [q for q in (cgroup_v1_quota(), cgroup_v2_quota()) if q is not None]
    return min(quotas, default="none")


def cgroup_memory_bytes():
    """The memory limit; 'none' where there is no limit."""
    limits = []
    for folder in cgroup_paths(""):
        limits.append(read(folder / "memory.max"))
    for folder in cgroup_paths("memory"):
        limits.append(read(folder / "memory.limit_in_bytes"))
    # Version 1 says "no limit" by a number near 2^63.
    numbers = [int(text) for text in limits if text and text.isdigit() and int(text) < 1 << 60]
    return min(numbers, default="none")


def effective_cpus():
    """The CPUs that can be used at the same time: affinity, or a cgroup's quota rounded up."""
    quota = cgroup_cpus()
    return affinity_cpus() if quota == "none" else max(1, min(affinity_cpus(), ceil(quota)))


def effective_cpus_because():
    """What limits effective_cpus: online | affinity | cgroup."""
    if effective_cpus() < affinity_cpus():
        return "cgroup"
    return "affinity" if affinity_cpus() < cpus() else "online"


def memory_bytes():
    match = re.search(r"MemTotal:\s+(\d+) kB", read("/proc/meminfo") or "")
    return int(match[1]) * 1024 if match else None


def governor():
    return read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def turbo():
    """on | off."""
    no_turbo = read("/sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = read("/sys/devices/system/cpu/cpufreq/boost")
    if no_turbo is not None:
        return "off" if no_turbo == "1" else "on"
    return {"0": "off", "1": "on"}.get(boost)


def smt():
    """on | off | forceoff | notsupported | notimplemented, in the kernel's words."""
    return read("/sys/devices/system/cpu/smt/control")


def hypervisor():
    """Whether the CPU reports a hypervisor: yes | no."""
    flags = re.search(r"^flags\s*:(.*)$", read("/proc/cpuinfo") or "", re.M)
    return None if not flags else "yes" if "hypervisor" in flags[1].split() else "no"


def kernel():
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def clocksource():
    return read("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def libc():
    return " ".join(platform.libc_ver()).strip() or None


def python():
    return f"{platform.python_implementation()} {platform.python_version()}"


def python_compiler():
    return platform.python_compiler() or None


def python_build_flags():
    """How the interpreter was configured and compiled, without words that hold a path."""
    configured = [w for w in shlex.split(sysconfig.get_config_var("CONFIG_ARGS") or "") if w.startswith("--")]
    compiled = (sysconfig.get_config_var("CFLAGS") or "").split()
    return " ".join(dict.fromkeys(w for w in configured + compiled if "/" not in w)) or None


def extension():
    """The bytes of snakefish's extension, b'' where it is not built."""
    for file in sorted((library() / "snakefish").glob("_snakefish*.so")):
        return file.read_bytes()
    return b""


def extension_sha256():
    """Identifies the build of snakefish: the first half of its extension's SHA-256."""
    return sha256(extension()).hexdigest()[:32] if extension() else None


def code_sha256():
    """Identifies the Python code of the package and of the bench: the first half of the SHA-256 of all files."""
    files = [*(library() / "snakefish").glob("*.py"), *(TOP / "bench").rglob("*.py")]
    return sha256(b"".join(sha256(file.read_bytes()).digest() for file in sorted(files))).hexdigest()[:32]


def numpy_version():
    return package_version("numpy")


def joblib_version():
    return package_version("joblib")


def package_version(name):
    """The version of an installed package; 'absent' where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def cgroup_version():
    """1 | 2: the version of the cgroup hierarchy that holds this process's CPU limits."""
    return 2 if (CGROUPS / "cgroup.controllers").exists() else 1 if (CGROUPS / "cpu").exists() else None


def cpu_mhz():
    """The clock of the first CPU when the session starts."""
    found = re.search(r"^cpu MHz\s*:\s*([\d.]+)", read("/proc/cpuinfo") or "", re.M)
    return float(found[1]) if found else None


def extension_compiler():
    """What the compiler wrote about itself into the extension."""
    found = re.search(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", extension())
    return found[0].decode() if found else None


def extension_flags():
    """The compiler's options, from the extension's debugging information."""
    found = re.search(rb"GNU C\d+ [\d.]+ ([^\0]+)", extension())
    return " ".join(w for w in found[1].decode().split() if "/" not in w) if found else None


def git(*arguments):
    """What git prints about the checkout; None where it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              timeout=10, text=True)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit():
    return git("rev-parse", "HEAD")


def dirty():
    """1 when a file of the commit was changed, 0 when none was."""
    changed = git("status", "--porcelain", "--untracked-files=no")
    return None if changed is None else int(bool(changed))


def load1():
    """The load average of the last minute, when the session starts."""
    return round(os.getloadavg()[0], 2)


def aslr():
    """Randomised address space: 0 off, 1 partly, 2 fully."""
    return read("/proc/sys/kernel/randomize_va_space")


def transparent_hugepages():
    found = re.search(r"\[(\w+)\]", read("/sys/kernel/mm/transparent_hugepage/enabled") or "")
    return found[1] if found else None


def environment_left_out():
    """The variables of the caller that samples do not get, because they would change the results."""
    return " ".join(surroundings.left_out())


def environment_passed_on():
    """The variables that samples get and that may matter, as a shell would set them."""
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in surroundings.passed_on().items())


FACTS = (
    cpu_model, cpus, affinity_cpus, effective_cpus, effective_cpus_because, cgroup_cpus, cgroup_memory_bytes,
    memory_bytes, governor, turbo, smt, hypervisor, kernel, clocksource, libc, aslr, transparent_hugepages, load1,
    cpu_mhz, cgroup_version, python, python_compiler, python_build_flags, numpy_version, joblib_version,
    extension_sha256, code_sha256, extension_compiler, extension_flags, commit, dirty, environment_left_out,
    environment_passed_on,
)


def shown(value):
    """A fact as the database stores it."""
    return "unknown" if value is None else value


def facts():
    """{name: value}; a fact is None where it cannot be found out, for whatever reason."""
    found = {}
    for fact in FACTS:
        try:
            found[fact.__name__] = fact()
        except Exception as error:  # one unexpected file must not end the session
            print(f"bench: {fact.__name__} is unknown: {error}", file=sys.stderr)
            found[fact.__name__] = None
    return found
