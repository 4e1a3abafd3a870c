"""What a process has: children, descriptors, shared mappings, values. Before and after a case it has to be the same."""
import contextlib
import os

from snakefish import Thread

from . import values, world

FORGOTTEN_WITHIN_S = 3


def children():
    found = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{task}/children") as listed:
            found += listed.read().split()
    return found


def descriptors():
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found


def shared_mappings():
    with open("/proc/self/maps") as maps:
        return [line for line in map(str.strip, maps) if line.split()[1][3] == "s"]


def bytes_of(mappings):
    ends = [line.split()[0].split("-") for line in mappings]
    return sum(int(end, 16) - int(begin, 16) for begin, end in ends)


def kept_threads_have_gone(before):
    """A Thread that nobody refers to is kept by the library until its process has ended, and reaped at a later start."""
    for _ in range(3):
        with Thread(int) as thread:
            thread.start()
    return not set(children()) - set(before)


def now():
    return children(), descriptors(), bytes_of(shared_mappings())


def since(before, forgotten):
    """What there is now and was not before, a text each. forgotten: whether the library may still keep a Thread."""
    old_children, old_descriptors, old_bytes = before
    if forgotten:
        world.wait_until(lambda: kept_threads_have_gone(old_children), FORGOTTEN_WITHIN_S)
    found = [f"children {children()}"] if set(children()) - set(old_children) else []
    new = {fd: to for fd, to in descriptors().items() if old_descriptors.get(fd) != to}
    found += [f"descriptors {new}"] if new else []
    found += ["mappings\n" + "\n".join(shared_mappings())] if bytes_of(shared_mappings()) > old_bytes else []
    return found + ([f"{len(values.live)} values"] if values.live else [])
