"""os.fork and os.waitpid alone: what the kernel needs for a process. Imports no multiprocessing, which children would reset."""
import os


def fork_wait(f):
    """Runs f() in a new process. Returns None where f returned, else the exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            f()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return None if status == 0 else status
