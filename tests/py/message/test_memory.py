"""The memory of a Channel: what it takes, and when it gives it back."""
import time

import pytest

import snakefish

MIB = 1 << 20


def shared_mib():
    """Of shared memory that this process has touched and that exists."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssShmem")) >> 10


@pytest.fixture
def channel():
    with snakefish.Channel() as channel:
        yield channel


def grow(channel, mib=100):
    for _ in range(mib):
        channel.send_bytes(bytes(MIB))
    assert shared_mib() >= mib


def test_a_channel_takes_no_memory_before_it_is_used(channel):
    before = shared_mib()
    channels = [snakefish.Channel() for _ in range(30)]
    assert shared_mib() - before < 3
    for one in channels:
        one.dispose()


def test_a_drained_backlog_gives_its_memory_back(channel):
    before = shared_mib()
    for _ in range(2):
        grow(channel)
        time.sleep(0.6)  # had it been received at once, it would be kept for a while: it might be a stream
        for _ in range(100):
            channel.receive_bytes()
        assert shared_mib() - before <= 9


def test_a_receive_that_finds_nothing_gives_the_memory_of_a_large_message_back(channel):
    before = shared_mib()
    channel.send_bytes(bytes(100 * MIB))
    channel.receive_bytes()
    deadline = time.monotonic() + 20
    while shared_mib() - before > 9 and time.monotonic() < deadline:
        with pytest.raises(IndexError):
            channel.receive_bytes(False)
        time.sleep(0.05)
    assert shared_mib() - before <= 9


def test_a_receive_that_waits_gives_memory_back(channel):
    before = shared_mib()
    channel.send_bytes(bytes(100 * MIB))
    channel.receive_bytes()
    with snakefish.Thread(time.sleep, args=(6,)) as other, pytest.raises(TimeoutError):  # which could send
        other.start()
        channel.receive_bytes(timeout=5)
    assert shared_mib() - before <= 9


def test_messages_are_whole_after_memory_was_given_back(channel):
    for number in range(1, 4):
        grow(channel, 30)
        time.sleep(0.4)
        assert all(channel.receive_bytes() == bytes(MIB) for _ in range(30))
        for size in (100, 5000, MIB, 20 * MIB):
            channel.send_pyobj((number, bytes([number]) * size))
        for size in (100, 5000, MIB, 20 * MIB):
            assert channel.receive_pyobj() == (number, bytes([number]) * size)
