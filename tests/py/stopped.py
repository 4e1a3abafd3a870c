"""What the tests of stopped processes share: a process that is stopped while it holds a Channel's lock.

To stop a process between two given instructions would need a debugger. So the process is stopped anywhere, and its tag is
written into the lock's word by the test: for all others that is the same."""
import ctypes
import os
import re
import signal
import time
from contextlib import contextmanager

import snakefish

# ext/core/ring/ring_internal.h and holders.h
SLOT_BYTES, SLOTS_AT, TAG_BIT, INDEX_BITS = 40, 16, 1 << 30, 15


def shared_mappings():
    with open("/proc/self/maps") as maps:
        found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw-s .* /dev/zero", maps.read(), re.M)
    return {int(begin, 16): int(end, 16) for begin, end in found}


def new_channel(size=1 << 16):
    """A Channel, and the address of its ring's memory."""
    before = shared_mappings()
    channel = snakefish.Channel(size)
    (address,) = set(shared_mappings()) - set(before)
    return channel, address


def word(kind, address):
    return kind.from_address(address)


def holders_of(address):
    """The address of the table of holders: after the words before it, each group on cache lines of its own."""
    return address + 4 * 64


def tag_of(address, pid):
    table = holders_of(address)
    for index in range(word(ctypes.c_uint32, table).value):
        slot = word(ctypes.c_uint64, table + SLOTS_AT + index * SLOT_BYTES).value
        if slot >> 32 == pid and slot & 3:
            return TAG_BIT | (slot >> 2 & (1 << 30 - INDEX_BITS) - 1) << INDEX_BITS | index
    raise LookupError(f"process {pid} does not hold the ring")


def await_state(pid, states):
    for _ in range(5000):
        with open(f"/proc/{pid}/stat") as stat:
            if stat.read().rsplit(")", 1)[1].split()[0] in states:
                return
        time.sleep(0.001)
    raise TimeoutError(f"process {pid} is not in state {states}")


@contextmanager
def stopped_owner(address):
    """A process that holds the lock of the ring at this address, and is stopped. Yields its pid."""
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    lock = word(ctypes.c_uint32, address)
    try:
        await_state(pid, "T")
        assert lock.value == 0
        lock.value = tag_of(address, pid)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)  # then the lock is taken over
        os.waitpid(pid, 0)
