"""A byte to another process and back, by pipes: what the kernel needs for a task and its result."""
import os
import time


def echo_bytes(count, work=int):
    """For each byte the other process calls work(). Returns (how many came back right, ns)."""
    to_read, to_write = os.pipe()
    back_read, back_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(to_write)
        while byte := os.read(to_read, 1):
            work()
            os.write(back_write, byte)
        os._exit(0)
    start = time.perf_counter_ns()
    right = 0
    for i in range(count):
        os.write(to_write, b"%c" % (i % 256))
        right += os.read(back_read, 1)[0] == i % 256
    ns = time.perf_counter_ns() - start
    for fd in (to_write, to_read, back_read, back_write):
        os.close(fd)
    os.waitpid(pid, 0)
    return right, ns
