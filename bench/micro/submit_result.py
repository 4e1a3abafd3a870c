"""submit-result: a task of nothing for an executor that is there: submit it, and wait for its result"""
import os
import time
from contextlib import contextmanager

size = 2000
check_size = 20
unit = operation = "submit and result"
seconds = 0.4
needs = "submit"
floor_is = "a byte to another process and back, by pipes"
targets = {"concurrent-futures": 4}


def same(x):
    return x


@contextmanager
def ready(runtime, size, workers):
    with runtime.submit(workers) as submit:
        submit(same, 0).result()  # its worker is there

        def run():
            return b"%d\n" % sum(submit(same, i).result() == i for i in range(size))

        yield run


def floor(size, workers):
    to_read, to_write = os.pipe()
    back_read, back_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(to_write)
        while byte := os.read(to_read, 1):
            os.write(back_write, byte)
        os._exit(0)
    start = time.perf_counter_ns()
    right = 0
    for i in range(size):
        os.write(to_write, b"%c" % (i % 256))
        right += os.read(back_read, 1)[0] == i % 256
    ns = time.perf_counter_ns() - start
    for fd in (to_write, to_read, back_read, back_write):
        os.close(fd)
    os.waitpid(pid, 0)
    return b"%d\n" % right, ns


def expected(size):
    return b"%d\n" % size
