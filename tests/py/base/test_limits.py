"""Limits of the machine: each gives a clear exception, and the program goes on. Limits of a process: test_faults.py."""
import os

import pytest

from test_faults import LIMITS

FULL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x20000) or libc.mount(None, b"/", None, 0x44000, None) or libc.mount(
        b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=64k"):
    print("skip", os.strerror(ctypes.get_errno()))
    sys.exit()
with open("/dev/shm/fills_it", "wb") as file:
    try:
        file.write(bytes(1 << 20))
        file.flush()
    except OSError:
        pass
    try:
        file.close()
    except OSError:
        pass
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a /dev/shm of one's own needs root")
def test_a_full_dev_shm_is_no_trouble_without_a_trace(check_program):
    """Channels and results use anonymous memory, so a full /dev/shm does not matter to them."""
    out = check_program(LIMITS + FULL + """
assert everything() == right
with snakefish.Thread(lambda: bytes(10 << 20)) as t:
    t.start()
print(len(t.get_result()), os.listdir("/dev/shm"))
""")
    if out.startswith("skip"):
        pytest.skip(out)
    assert out == f"{10 << 20} ['fills_it']\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="a /dev/shm of one's own needs root")
def test_with_a_full_dev_shm_a_trace_is_refused_or_counts_its_losses(run_program, tmp_path):
    """No signal and no hang; the traced program computes the right result, and losses are reported."""
    import sqlite3
    db = tmp_path / "run.db"
    ended = run_program(LIMITS + FULL + """
try:
    snakefish.trace.start(sys.argv[1])
except (RuntimeError, OSError, MemoryError) as error:
    print("refused", error)
assert everything() == right
if snakefish.trace._snakefish._trace_directory():
    snakefish.trace.stop()
    print("traced")
assert everything() == right
""", db)
    assert ended.status == 0, ended
    if ended.stdout.startswith("skip"):
        pytest.skip(ended.stdout)
    if ended.stdout == "traced\n":
        losses = sqlite3.connect(db).execute("SELECT sum(value) FROM stats WHERE severity = 'loss'").fetchone()
        assert losses[0] > 0
    else:
        assert ended.stdout.startswith("refused ") and "o space" in ended.stdout, ended.stdout


def test_a_result_of_256_mib_is_joined_before_it_is_read(check_program):
    free_kib = int(next(line for line in open("/proc/meminfo") if line.startswith("MemAvailable")).split()[1])
    if free_kib < 2 << 20:
        pytest.skip("less than 2 GiB of memory are free")
    assert check_program("""
        import snakefish
        pattern = bytes(range(256)) * 4096
        with snakefish.Thread(lambda: pattern * 256) as t:
            t.start()
        result = t.get_result()
        print(len(result) >> 20, all(result.startswith(pattern, at) for at in range(0, len(result), len(pattern))))
        """, limit_s=55) == "256 True\n"
