"""What a child leaves: it needs no descriptor, little memory and address space, and arrives under every limit or is told."""
import math
import os
import pickle
import subprocess

import pytest
from conftest import PYPY

from snakefish import ChildDied, Generator, Thread

MIB = 1 << 20


class OutOfBand:
    """Its bytes travel beside the pickle."""

    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, protocol):
        return type(self), (pickle.PickleBuffer(self.data),)

    def __eq__(self, other):
        return bytes(self.data) == bytes(other.data)


VALUES = [
    None, True, 0, 1 << 200, 1.5, -math.inf, "", "text", "\udc80", b"", b"few", bytes(range(256)) * (20 << 10), bytearray(),
    bytearray(b"few"), bytearray(3 * MIB), [], list(range(200_000)), (1, "a", None), {"a": [1, 2]}, {1, 2}, range(3), "x" * 4000,
    b"x" * 4023, b"x" * 4024, b"x" * 4025, b"x" * (MIB - 72), b"x" * (MIB - 71),
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_every_value_comes_out_as_it_was(number):
    value = VALUES[number]
    extracted = VALUES[-1 - number]
    merged = []
    with Thread(lambda: value, lambda g: extracted, lambda g, x: merged.append(x)) as task:
        task.start()
    got = task.get_result()
    assert type(got) is type(value) and got == value
    assert type(merged[0]) is type(extracted) and merged[0] == extracted
    assert task.get_result() is got


@pytest.mark.parametrize("bytes_", [0, 100, 5 * MIB + 1])
def test_buffers_beside_a_pickle_come_out_and_can_be_written_to(bytes_):
    value = [OutOfBand(bytearray(os.urandom(bytes_))), "between", OutOfBand(bytearray(b"few"))]
    with Thread(lambda: value) as task:
        task.start()
    got = task.get_result()
    assert got == value
    memoryview(got[2].data)[0] = 7


@pytest.mark.skipif(PYPY, reason="PyPy frees when it likes")
@pytest.mark.parametrize("make", ["b'x' * n", "Beside(bytearray(n))"])
def test_a_large_result_is_in_the_parents_memory_once(make, check_program):
    peak = check_program("""
        import pickle, sys, snakefish
        class Beside:
            def __init__(self, data): self.data = data
            def __reduce_ex__(self, protocol): return Beside, (pickle.PickleBuffer(self.data),)
        def peak(): return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) >> 10
        n = 64 << 20
        before = peak()
        with snakefish.Thread(lambda: eval(sys.argv[1])) as task:
            task.start()
        kept = task.get_result()
        print(peak() - before)
    """, make)
    assert 60 <= int(peak) <= 76


def test_a_running_task_keeps_no_descriptor_of_its_result():
    go_on, tell = os.pipe()
    with Thread(lambda: os.read(go_on, 1)) as task:
        task.start()
        links = subprocess.run(["ls", "-l", f"/proc/{os.getpid()}/fd"], stdout=subprocess.PIPE, text=True).stdout
        os.write(tell, b"x")
    os.close(go_on)
    os.close(tell)
    assert "pipe:" in links and "memfd" not in links
    assert task.get_result() == b"x"


@pytest.mark.diagonal
@pytest.mark.parametrize("who", ["parent", "child", "both"])
@pytest.mark.parametrize("size", [10, 5 * MIB])
def test_a_result_arrives_though_all_descriptors_are_closed_and_become_files(who, size, check_program):
    check_program("""
        import os, sys, tempfile, snakefish
        who, size = sys.argv[1], int(sys.argv[2])
        file = tempfile.NamedTemporaryFile(delete=False)
        def take_all_descriptors():
            os.closerange(3, 1024)
            return [os.open(file.name, os.O_RDWR) for _ in range(16)]
        def work():
            if who != "parent": take_all_descriptors()
            return b"x" * size
        task = snakefish.Thread(work, lambda g: "extracted", lambda g, x: merged.append(x))
        merged = []
        task.start()
        if who != "child": take_all_descriptors()
        task.join()
        assert task.get_result() == b"x" * size and merged == ["extracted"]
        assert os.path.getsize(file.name) == 0
        os.unlink(file.name)
        os._exit(0)
    """, who, size)


@pytest.mark.parametrize("limit", [0, 4095, 100_000])
def test_a_limit_of_file_sizes_leaves_small_results_alone_and_is_named_for_large_ones(limit, check_program):
    check_program("""
        import resource, signal, sys, snakefish
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        def result(f):
            with snakefish.Thread(f, lambda g: 1, lambda g, x: None) as task:
                task.start()
            return task.get_result()
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
        assert result(lambda: None) is None and result(lambda: "text" * 100) == "text" * 100
        try:
            result(lambda: 1 / 0)
            raise SystemExit("nothing was raised")
        except ZeroDivisionError:
            pass
        try:
            result(lambda: bytes(1 << 20))
            raise SystemExit("nothing was raised")
        except snakefish.ChildDied as died:
            assert "RLIMIT_FSIZE" in str(died) and "ulimit -f" in str(died) and "its result of 1048" in str(died), died
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert len(result(lambda: bytes(1 << 20))) == 1 << 20
    """, limit)


@pytest.mark.skipif(PYPY, reason="PyPy's C layer aborts where memory ends")
def test_a_result_needs_little_more_address_space_than_its_bytes(check_program):
    check_program("""
        import resource, snakefish
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (112 << 20), resource.RLIM_INFINITY))
        with snakefish.Thread(lambda: b"x" * (100 << 20)) as task:
            task.start()
        result = task.get_result()
        assert len(result) == result.count(b"x") == 100 << 20
    """)


def killed_while_it_writes(data):
    """A Thread that was killed while it wrote this result; None: it was faster."""
    def mapped_kib():
        with open(f"/proc/{task.pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("RssShmem")), None)

    task = Thread(lambda: data)
    task.start()
    before = now = mapped_kib()
    while now is not None and now < before + 512:  # its window on the result has a MiB
        now = mapped_kib()
    task.kill()
    task.join()
    return task if task.get_exit_status() == -9 else None


def test_a_child_killed_while_it_writes_its_result_is_told():
    data = bytes(128 * MIB)
    task = next(filter(None, (killed_while_it_writes(data) for _ in range(100))))
    with pytest.raises(ChildDied, match="killed by signal 9"):
        task.get_result()


def test_a_process_that_f_forked_does_not_write_the_result():
    def f():
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            return "the child's"
        return "not the child's"

    with Thread(f) as task:
        task.start()
    assert task.get_result() == "the child's"


def test_what_a_generator_extracts_takes_the_same_way():
    merged = []

    def items():
        yield 1

    with Generator(items, lambda g: bytes(5 * MIB), lambda g, x: merged.append(len(x))) as generator:
        generator.start()
        assert generator.next() == 1
    assert merged == [5 * MIB]
