"""Thousands of Threads, Channels and Generators one after the other leave nothing behind.

    python3 tests/stress/many.py [--count 10000]

Afterwards there must be no more descriptors, mappings, children and files in /dev/shm than before. The resident memory
must not grow after the first part of them, which fills the allocators' caches. The last line: "N passed, N failed, N skipped".
"""
import argparse
import gc
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(os.environ.get("SF_BUILD", os.path.join(TOP, "build")), "lib"), HERE]

from snakefish import Channel, Generator, Thread  # noqa: E402
from trial import children  # noqa: E402

GROWTH_KIB = 1024  # a leak of 128 bytes for each of 10,000 is more
MAPPINGS = 2       # the allocator's own, which come and go


def a_thread(number):
    with Thread(lambda: number, lambda g: number, lambda g, extracted: None) as task:
        task.start()
    assert task.get_result() == number


def a_channel(number):
    with Channel() as channel:
        channel.send_pyobj((number, b"x" * 10000))
        assert channel.receive_pyobj()[0] == number


def numbers(first):
    while True:
        yield first
        first += 1


def a_generator(number):
    with Generator(numbers, args=(number,)) as generator:
        generator.start()
        assert generator.next() == number


def standing():
    """What must not grow."""
    gc.collect()
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    with open("/proc/self/maps") as maps:
        mappings = len(maps.readlines())
    return {"KiB resident": resident, "mappings": mappings, "descriptors": len(os.listdir("/proc/self/fd")),
            "children": len(children()), "in /dev/shm": len(os.listdir("/dev/shm"))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10000)
    count, failed = parser.parse_args().count, 0
    allowed = {"KiB resident": GROWTH_KIB, "mappings": MAPPINGS, "descriptors": 0, "children": 0, "in /dev/shm": 0}
    for make in (a_thread, a_channel, a_generator):
        started, before = time.monotonic(), None
        for number in range(count):
            if number == min(500, count // 4):
                before = standing()
            make(number)
        after = standing()
        # Other programs may use /dev/shm: only growth with the count counts as ours.
        allowed["in /dev/shm"] = count // 10
        grown = {what: after[what] - before[what] for what in after if after[what] - before[what] > allowed[what]}
        failed += bool(grown)
        print(f"{'FAIL' if grown else 'ok'} {make.__name__} {count} times: {time.monotonic() - started:.1f} s"
              + (f", grown: {grown}" if grown else ""), flush=True)
    print(f"{3 - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
