"""A /dev/shm of one's own: what others do there meanwhile, another run of these tests too, is not seen."""
import ctypes
import os

CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x44000


def mount():
    """For this process, which has no other threads yet, and its children alone, if this user may. Whether it worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    return (os.geteuid() == 0 and libc.unshare(CLONE_NEWNS) == 0 and libc.mount(None, b"/", None, MS_REC_PRIVATE, None) == 0
            and libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, None) == 0)
