"""Thousands of Threads, Channels, Generators and Executors one after the other, and tens of thousands of tasks of one
Executor, leave nothing behind.

    python3 tests/stress/many.py [--count 10000] [--tasks 100000]

Afterwards there must be no more descriptors, mappings, children and files in /dev/shm than before. The resident memory
must not grow after the first part of them, which fills the allocators' caches; nor may that of workers that stay.
The last line: "N passed, N failed, N skipped".
"""
import argparse
import contextlib
import gc
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(os.environ.get("SF_BUILD", os.path.join(TOP, "build")), "lib"), HERE]

from snakefish import Channel, Executor, Generator, Thread  # noqa: E402
from trial import children  # noqa: E402

GROWTH_KIB = 1024  # a leak of 128 bytes for each of 10,000 is more
MAPPINGS = 2       # the allocator's own, which come and go
OF_A_ROUND = 100   # tasks


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


def an_executor(number):
    with Executor(2) as executor:
        assert executor.submit(abs, -number).result() == number


@contextlib.contextmanager
def tasks_for_workers_that_stay():
    """OF_A_ROUND tasks of one Executor at each call."""
    with Executor(2) as executor:
        numbers = list(range(OF_A_ROUND))
        workers = []

        def run(number):
            kind = number % 3
            if kind == 0:
                futures = [executor.submit(abs, -n) for n in numbers]
                assert [future.result() for future in futures] == numbers
            elif kind == 1:
                assert sum(map(len, executor.map(bytes, [5000] * OF_A_ROUND))) == 5000 * OF_A_ROUND
            else:
                futures = [executor.submit(int, "x") for n in numbers]
                assert all(isinstance(future.exception(), ValueError) for future in futures)
            if number > 2:  # by then both are there
                workers[:] = workers or sorted(children())
                assert sorted(children()) == workers, "they did not stay"

        yield run


@contextlib.contextmanager
def tasks_for_workers_forked_anew():
    """Each call has a function of its own, and kills a worker, so that all are replaced."""
    with Executor(2) as executor:

        def run(number):
            assert list(executor.map(lambda n: n + number, range(OF_A_ROUND))) == list(range(number, number + OF_A_ROUND))
            if number % 8 == 0:
                assert executor.submit(os._exit, 3).exception().exit_status == 3
            end = time.monotonic() + 10
            while len(children()) > 2:
                assert time.monotonic() < end, "old workers are still there"
                time.sleep(0.001)

        yield run


def resident_kib(pid="self"):
    with open(f"/proc/{pid}/status") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmRSS")), 0)


def standing():
    """What must not grow."""
    gc.collect()
    with open("/proc/self/maps") as maps:
        mappings = len(maps.readlines())
    return {"KiB resident": resident_kib(), "mappings": mappings, "descriptors": len(os.listdir("/proc/self/fd")),
            "children": len(children()), "in /dev/shm": len(os.listdir("/dev/shm")),
            "KiB in a child": max(map(resident_kib, children()), default=0)}


def grown(before, after, count):
    allowed = {"KiB resident": GROWTH_KIB, "mappings": MAPPINGS, "KiB in a child": GROWTH_KIB,
               "in /dev/shm": count // 10}  # other programs may use /dev/shm: only growth with the count counts as ours
    return {what: after[what] - before[what] for what in after if after[what] - before[what] > allowed.get(what, 0)}


def repeat(making, count):
    """What has grown after the first part of them, and what is left of the whole."""
    outside = standing()
    with making as make:
        for number in range(count):
            if number == min(500, count // 4):
                before = standing()
            make(number)
        found = grown(before, standing(), count)
    left = grown(outside, {**standing(), "KiB resident": 0, "mappings": 0}, count)  # a Python thread's arena and stack stay
    return {**found, **{what + " left": amount for what, amount in left.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--tasks", type=int, default=100000)
    options, failed = parser.parse_args(), 0
    rounds = options.tasks // OF_A_ROUND
    plan = [(make.__name__, contextlib.nullcontext(make), options.count) for make in (a_thread, a_channel, a_generator)]
    plan += [("an_executor", contextlib.nullcontext(an_executor), options.count // 10),
             ("rounds of tasks_for_workers_that_stay", tasks_for_workers_that_stay(), rounds),
             ("rounds of tasks_for_workers_forked_anew", tasks_for_workers_forked_anew(), rounds)]
    for name, making, count in plan:
        started = time.monotonic()
        found = repeat(making, count)
        failed += bool(found)
        print(f"{'FAIL' if found else 'ok'} {name} {count} times: {time.monotonic() - started:.1f} s"
              + (f", grown: {found}" if found else ""), flush=True)
    print(f"{len(plan) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
