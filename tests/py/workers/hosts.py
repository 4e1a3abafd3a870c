"""Two hosts for the tests: network namespaces, joined by a wire that delays each packet. Each has a name, a boot id and a
CLOCK_MONOTONIC of its own, so that nothing but exchanged messages tells how their clocks differ. The timestamp counter is one
and the same in both: by it a test knows what is true.

The wire is a process with a TUN device in each namespace, since not every kernel has netem.
"""
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ADDRESSES = "10.77.0.1", "10.77.0.2"

WIRE = """
import fcntl, heapq, os, select, struct, subprocess, sys, time
TUNSETIFF, TUN_WITHOUT_HEADER = 0x400454ca, 0x1001
names, delays_s, devices = sys.argv[1:3], [float(s) for s in sys.argv[3:5]], []
for name, mine, other in zip(names, *(sys.argv[5:7], sys.argv[6:4:-1])):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), TUN_WITHOUT_HEADER))
    devices.append(device)
    for words in (f"link set {name} netns {name}", f"-n {name} link set lo up",
                  f"-n {name} addr add {mine} peer {other} dev {name}", f"-n {name} link set {name} up"):
        subprocess.run(["ip", *words.split()], check=True)
print("up", flush=True)
under_way = []
while True:
    wait_s = max(0, under_way[0][0] - time.monotonic()) if under_way else None
    for device in select.select(devices, [], [], wait_s)[0]:
        from_first = device == devices[0]
        packet = os.read(device, 65536)
        heapq.heappush(under_way, (time.monotonic() + delays_s[not from_first], len(under_way), packet, devices[from_first]))
    while under_way and under_way[0][0] <= time.monotonic():
        _, _, packet, to = heapq.heappop(under_way)
        try:
            os.write(to, packet)
        except OSError:
            pass  # as a wire that is pulled out
"""

# $1: its name, $2: a file with its boot id; the rest is the command
BECOME = 'hostname "$1" && mount --bind "$2" /proc/sys/kernel/random/boot_id && shift 2 && exec "$@"'


def why_not():
    """Why there can be no such hosts here, None if there can be."""
    if os.geteuid():
        return "network namespaces need root"
    for program in ("ip", "unshare"):
        if not shutil.which(program):
            return f"{program} is not installed"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    tried = subprocess.run(["unshare", "-n", "-u", "-m", "-T", "--monotonic", "1", "--fork", "sh", "-c",
                            "hostname x && mount --bind /dev/null /proc/sys/kernel/random/boot_id"],
                           capture_output=True, text=True)
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else None


class Host:
    """on(command): the words of a command that runs there."""

    def __init__(self, name, address, namespace, boot, ahead_s):
        self.name, self.address, self._namespace, self._boot, self._ahead_s = name, address, namespace, boot, ahead_s

    def on(self, command):
        return ["ip", "netns", "exec", self._namespace, "unshare", "-u", "-m", "-T", "--monotonic", str(self._ahead_s), "--fork",
                "--kill-child", "sh", "-c", BECOME, "sh", self.name, str(self._boot), *command]


@contextlib.contextmanager
def two_hosts(folder: Path, delays_s, ahead_s):
    """delays_s: of packets from the first to the second, and back. ahead_s: by how much each one's clock is ahead."""
    namespaces = [f"sf{side}{os.getpid()}" for side in "ab"]
    wire = None
    try:
        for namespace in namespaces:
            subprocess.run(["ip", "netns", "add", namespace], check=True)
        wire = subprocess.Popen([sys.executable, "-c", WIRE, *namespaces, *map(str, delays_s), *ADDRESSES],
                                stdout=subprocess.PIPE, text=True)
        assert wire.stdout.readline() == "up\n"
        hosts = []
        for side, namespace, address, ahead in zip("ab", namespaces, ADDRESSES, ahead_s):
            boot = folder / f"boot-{side}"
            boot.write_text(f"0000000{side}-0000-4000-8000-000000000000\n")
            hosts.append(Host(f"host-{side}", address, namespace, boot, ahead))
        yield hosts
    finally:
        if wire is not None:
            wire.kill()
            wire.wait()
            wire.stdout.close()
        for namespace in namespaces:
            subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL)
