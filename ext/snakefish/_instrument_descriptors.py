"""trace.instrument: descriptors that reach processes which do not count messages. Internal.

A pipe whose end is passed on to such a process is no longer counted (ext/core/log/pipe_numbers.h). What is wrapped here is
how multiprocessing and the standard library pass descriptors on, and what makes one inheritable, which is for a program that
is exec'ed. There are other ways, such as socket.sendmsg(); then the counts notice it when that process has written or read
something.

A replacement gets the original first, then its arguments. It never refuses an argument: that is left to the original.
"""

import os
import socket
import subprocess
import threading

import _posixsubprocess
from multiprocessing import context, popen_forkserver, popen_spawn_posix, reduction

from snakefish._snakefish import (
    _instrument_counts as counts,
    _instrument_pass_on as pass_on,
)

_sending = threading.local()  # .to_a_counter: this thread sends a descriptor to a process that counts


def _duplicate_for_child(original, self, fd):
    pass_on(fd, False)
    return original(self, fd)


def _dup_fd(original, fd):
    if context.get_spawning_popen() is not None:
        pass_on(fd, False)
    return original(fd)


def _send_handle(original, conn, handle, destination_pid):
    before = getattr(_sending, "to_a_counter", False)
    _sending.to_a_counter = counts(destination_pid)
    try:
        return original(conn, handle, destination_pid)
    finally:
        _sending.to_a_counter = before


def _sendfds(original, sock, fds):
    if not getattr(_sending, "to_a_counter", False):
        pass_on(fds, False)
    return original(sock, fds)


def _send_fds(original, sock, buffers, fds, *args, **kwargs):
    pass_on(fds, False)
    return original(sock, buffers, fds, *args, **kwargs)


def _fork_exec(original, *args, **kwargs):
    """args: the program and its arguments, whether descriptors are closed, those to keep, ..., at 6 to 11 the standard streams.
    Those that the caller has as its own standard streams are kept, too."""
    pass_on([0, 1, 2, *args[3:4], *args[6:12]], not (len(args) > 2 and args[2]))
    return original(*args, **kwargs)


def _posix_spawn(original, *args, **kwargs):
    pass_on(kwargs.get("file_actions"), True)  # an action is a tuple with its descriptors
    return original(*args, **kwargs)


def _set_inheritable(original, *args, **kwargs):
    if not (args[1:] == (False,) or kwargs.get("inheritable") is False):  # by name: only PyPy allows that
        pass_on([*args[:1], kwargs.get("fd")], False)
    return original(*args, **kwargs)


def _dup2(original, *args, **kwargs):
    if not (args[2:] == (False,) or kwargs.get("inheritable") is False):
        pass_on([*args[:1], kwargs.get("fd")], False)
    return original(*args, **kwargs)


METHODS = [
    (popen_forkserver.Popen, "duplicate_for_child", _duplicate_for_child),
    (popen_spawn_posix.Popen, "duplicate_for_child", _duplicate_for_child),
    (reduction, "DupFd", _dup_fd),
    (reduction, "send_handle", _send_handle),
    (reduction, "sendfds", _sendfds),
] + [
    (owner, name, within)
    for owner, name, within in [
        (socket, "send_fds", _send_fds),
        (subprocess, "_fork_exec", _fork_exec),
        (_posixsubprocess, "fork_exec", _fork_exec),
        (os, "set_inheritable", _set_inheritable),
        (os, "dup2", _dup2),
        (os, "posix_spawn", _posix_spawn),
        (os, "posix_spawnp", _posix_spawn),
    ]
    if name in vars(owner)  # they differ between versions
]
