"""Programs with one cost each, and with the change that takes it away: what_if.py compares what a trace foretells of the
change with what it does.

    python3 tests/stress/changes.py PROGRAM [changed]

Each is a function of whether it is changed, with the questions of `what if` that the change answers. All else that a program
does is the same with the change and without it. The program says how many seconds it took. Where nothing but the order of the
work matters, sleep stands for work, so that other programs' work changes little.
"""
import os
import sys
import time

import snakefish
from snakefish import Channel, Generator, Thread

PROGRAMS = {}  # name -> (function, the questions that its change answers)


def program(*questions):
    def add(f):
        PROGRAMS[f.__name__] = f, questions
        return f
    return add


def work(n):
    return sum(k * k % 7 for k in range(n))


def nap(seconds):
    time.sleep(seconds)
    return seconds


def in_pairs(threads):
    for a, b in zip(threads[::2], threads[1::2]):
        a.start(), b.start()
        a.join(), b.join()


# ---- remove the merge ----

def merge_slowly(g, value):
    nap(0.03)


@program("merge")
def merge_of_threads(changed):
    in_pairs([Thread(nap, *() if changed else (lambda g: None, merge_slowly), args=(0.06,)) for _ in range(10)])


def count(i):
    global counts
    counts = {(i, k): k for k in range(20_000)}
    return work(400_000)


def unite(g, counts):
    for key, value in counts.items():
        g["united"][key] = g["united"].get(key, 0) + value + work(10)


united = {}


@program("merge")
def merge_of_map(changed):
    if changed:
        snakefish.map(count, range(8), concurrency=2, chunksize=1)
    else:
        snakefish.map(count, range(8), lambda g: g["counts"], unite, concurrency=2, chunksize=1)


table = {k: k for k in range(80_000)}


def change_table(i):
    for k in range(i, 80_000, 100):
        table[k] += 1
    return work(400_000)


@program("merge")
def shared_table(changed):
    in_pairs([Thread(change_table, args=(i,), share=None if changed else ["table"]) for i in range(6)])


# ---- send a number instead of a list ----

def numbers(i):
    return list(map(float, range(i, i + 300_000)))


def results(i, changed):
    found = numbers(i)
    return sum(found) if changed else found


@program("transfer")
def results_of_map(changed):
    snakefish.starmap(results, [(i, changed) for i in range(10)], concurrency=2, chunksize=1)


def send_all(channel, changed):
    for i in range(6):
        channel.send_pyobj(results(i, changed))


@program("transfer")
def messages(changed):
    channel = Channel()
    senders = [Thread(send_all, args=(channel, changed)) for _ in range(2)]
    for sender in senders:
        sender.start()
    for _ in range(12):
        channel.receive_pyobj()
        work(100_000)
    for sender in senders:
        sender.join()


def items(changed):
    for i in range(8):
        work(200_000)
        yield results(i, changed)


@program("transfer")
def items_of_generators(changed):
    generator = Generator(items, args=(changed,))
    generator.start()
    for _ in generator:
        work(100_000)


# ---- balance the work ----

@program("imbalance")
def uneven_chunks(changed):
    times = [0.004] * 60 + [0.016] * 60
    snakefish.map(nap, times[::2] + times[1::2] if changed else times, concurrency=2, chunksize=60)


def works(sizes):
    return [work(size) for size in sizes]


@program("imbalance")
def uneven_threads(changed):
    for times in 3 * [[0.2, 0.2] if changed else [0.3, 0.1]]:
        in_pairs([Thread(nap, args=(seconds,)) for seconds in times])


# ---- fewer forks ----

@program("processes")
def small_threads(changed):
    forks = 2 if changed else 80
    in_pairs([Thread(works, args=([20_000] * (80 // forks),)) for _ in range(forks)])


@program("processes", "fork")
def large_forks(changed):
    """Each fork copies the page tables of what the program holds."""
    large = bytearray(os.urandom(1000)) * 200_000
    forks = 2 if changed else 40
    started = time.perf_counter()
    in_pairs([Thread(works, args=([50_000] * (40 // forks),)) for _ in range(forks)])
    del large
    return time.perf_counter() - started


def main():
    _, name, *words = sys.argv
    started = time.perf_counter()
    own = PROGRAMS[name][0]("changed" in words)
    print(own or time.perf_counter() - started)


if __name__ == "__main__":
    main()
