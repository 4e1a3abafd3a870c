"""get_timestamp and its frequency, cpu_count."""
import os
import time

import pytest
import snakefish
from snakefish import Thread, cpu_count, get_timestamp, get_timestamp_serialized, timestamp_frequency


def test_timestamps_of_both_kinds_are_one_counter_that_does_not_decrease():
    last = 0
    for _ in range(20000):
        for read in (get_timestamp, get_timestamp_serialized):
            now = read()
            assert type(now) is int and now >= last
            last = now


def test_the_frequency_turns_ticks_into_seconds():
    hz = timestamp_frequency()
    assert hz == timestamp_frequency() and 1e6 < hz < 1e11
    clock, ticks = time.monotonic(), get_timestamp_serialized()
    time.sleep(0.3)
    ticks, clock = get_timestamp_serialized() - ticks, time.monotonic() - clock
    assert abs(ticks / hz - clock) < 0.003


def test_counter_and_frequency_are_the_childs_too():
    before, hz = get_timestamp_serialized(), timestamp_frequency()
    with Thread(lambda: (get_timestamp_serialized(), timestamp_frequency())) as task:
        task.start()
    at, child_hz = task.get_result()
    assert before < at < get_timestamp_serialized() and child_hz == hz


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this interpreter cannot ask for or set the affinity")
def test_cpu_count_follows_the_affinity():
    assert 1 <= cpu_count() <= len(os.sched_getaffinity(0))

    def on_one():
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        return cpu_count(), len(set(snakefish.map(lambda _: os.getpid(), range(8))))

    with Thread(on_one) as task:
        task.start()
    assert task.get_result() == (1, 1)
