"""Programs whose tasks sleep: so 64 workers really work at once on 2 CPUs, and what is predicted for 64 can be measured.

    python3 tests/stress/sleepers.py PROGRAM WORKERS [SCALE]

Each is a function of the number of workers. What it does otherwise is the same with each number. Sleep stands for work: in
tasks, in the program's own part, in merges, and in what unpickling runs. SCALE: of all times; 1: some 100 s on one worker.
"""
import contextlib
import multiprocessing
import random
import sys
import time

import snakefish
from snakefish import Channel, Generator, Thread

SCALE = 1.0
PROGRAMS = {}


def program(f):
    PROGRAMS[f.__name__] = f
    return f


def nap(seconds):
    time.sleep(seconds * SCALE)
    return seconds


@contextlib.contextmanager
def running(*tasks):
    """Threads of these (function, arguments), started, and joined at the end."""
    threads = [Thread(f, args=args) for f, *args in tasks]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()


def drawn(seed, count, total, draw):
    """`count` times that sum to `total`."""
    source = random.Random(seed)
    times = [draw(source) for _ in range(count)]
    return [t * total / sum(times) for t in times]


# ---- tasks of all kinds ----

@program
def even(workers):
    snakefish.map(nap, [0.375] * 256, concurrency=workers)


@program
def even_with_chunks_of_four(workers):
    snakefish.map(nap, [0.1] * 1024, concurrency=workers, chunksize=4)


@program
def rising(workers):
    snakefish.map(nap, [0.003 * n for n in range(256)], concurrency=workers)


@program
def falling(workers):
    snakefish.map(nap, [0.003 * n for n in range(256, 0, -1)], concurrency=workers, chunksize=1)


@program
def heavy_tailed(workers):
    snakefish.map(nap, drawn(1, 400, 100, lambda r: r.lognormvariate(0, 1)), concurrency=workers)


@program
def heavy_tailed_in_chunks(workers):
    snakefish.map(nap, drawn(2, 1200, 100, lambda r: r.paretovariate(1.5)), concurrency=workers, chunksize=3)


@program
def one_long_task_in_the_end(workers):
    snakefish.map(nap, [0.3] * 255 + [4], concurrency=workers)


@program
def short_and_long(workers):
    snakefish.map(nap, drawn(3, 300, 100, lambda r: 1 if r.random() < 0.2 else 0.1), concurrency=workers, chunksize=1)


@program
def many_small_tasks(workers):
    snakefish.map(nap, drawn(4, 4000, 90, lambda r: r.uniform(1, 2)), concurrency=workers)


@program
def starmap_of_few(workers):
    snakefish.starmap(lambda a, b: nap(a + b), [(1, 0.5 + 0.01 * n) for n in range(60)], concurrency=workers)


# ---- serial parts ----

@program
def serial_part(workers):
    nap(2)
    snakefish.map(nap, [0.375] * 256, concurrency=workers)
    nap(1)


@program
def serial_between_maps(workers):
    for n in range(3):
        snakefish.map(nap, drawn(n, 100, 30, lambda r: r.uniform(1, 3)), concurrency=workers)
        nap(0.7)


@program
def many_maps(workers):
    for n in range(8):
        snakefish.map(nap, drawn(10 + n, 64, 14, lambda r: r.expovariate(1)), concurrency=workers)


# ---- results ----

class Slow:
    """What takes its reader a while to unpickle."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __reduce__(self):
        return slow, (self.seconds,)


def slow(seconds):
    nap(seconds)
    return Slow(seconds)


@program
def results_that_take_long(workers):
    snakefish.map(lambda n: nap(0.4) and Slow(0.02), range(250), concurrency=workers)


@program
def large_results(workers):
    snakefish.map(lambda n: nap(0.6) and bytes(1_000_000), range(192), concurrency=workers)


@program
def large_lists(workers):
    snakefish.map(lambda n: nap(0.6) and [float(i) for i in range(20_000)], range(192), concurrency=workers)


# ---- merges ----

total = 0


def count(seconds):
    global total
    total += nap(seconds)


def merge_total(g, extracted):
    nap(0.01)
    g["total"] += extracted


def extract_total(g):
    return g["total"]


@program
def a_process_for_each_chunk(workers):
    snakefish.map(count, [0.6] * 160, extract_total, merge_total, workers, 1)


@program
def merges_in_rounds(workers):
    snakefish.map(count, drawn(5, 128, 100, lambda r: r.uniform(1, 2)), extract_total, merge_total, workers, 1, rounds=True)


@program
def merges_of_an_even_split(workers):
    snakefish.map(count, [0.05] * 1920, extract_total, merge_total, workers)


@program
def shared_globals(workers):
    snakefish.map(count, [0.7] * 128, concurrency=workers, chunksize=1, share=["total"], on_conflict="child")


# ---- Channels, Threads, Generators ----

def collect(channel, messages, seconds):
    for _ in range(messages):
        channel.receive_pyobj()
        nap(seconds)


@program
def collector(workers):
    channel = Channel(1 << 20)
    with running((collect, channel, 240, 0.02)):
        snakefish.map(lambda n: channel.send_pyobj(nap(0.4)), range(240), concurrency=workers)


@program
def pipeline(workers):
    first, second = Channel(1 << 20), Channel(1 << 20)

    def stage():
        for _ in range(200):
            n = first.receive_pyobj()
            nap(0.01)
            second.send_pyobj(n)

    with running((stage,), (collect, second, 200, 0.015)):
        snakefish.map(lambda n: first.send_pyobj(nap(0.3 + 0.002 * n)), range(200), concurrency=workers)


@program
def nested_threads(workers):
    def task(n):
        with running((nap, 0.5), (nap, 0.7)):
            nap(0.3)

    snakefish.map(task, range(128), concurrency=workers)


@program
def map_in_a_thread(workers):
    with running((lambda: snakefish.map(nap, [0.6] * 160, concurrency=workers),)):
        nap(1)
    nap(0.5)


@program
def threads_beside_a_map(workers):
    with running(*((nap, 0.1 * n) for n in range(20))):
        snakefish.map(nap, [0.3] * 256, concurrency=workers)


@program
def generator_between_maps(workers):
    def batches():
        for n in range(4):
            nap(0.4)
            yield [0.2] * 100

    with Generator(batches) as source:
        source.start()
        for batch in source:
            snakefish.map(nap, batch, concurrency=workers, chunksize=1)


# ---- workers that stay ----

@program
def imap_of_even_tasks(workers):
    for _ in snakefish.imap(nap, [0.375] * 256, concurrency=workers):
        pass


@program
def imap_in_chunks_with_a_consumer(workers):
    for _ in snakefish.imap(nap, drawn(5, 600, 100, lambda r: r.uniform(1, 3)), concurrency=workers, chunksize=3):
        nap(0.003)


@program
def imap_unordered_heavy_tailed(workers):
    for _ in snakefish.imap_unordered(nap, drawn(6, 400, 100, lambda r: r.lognormvariate(0, 1)), concurrency=workers):
        pass


@program
def executor_submits(workers):
    with snakefish.Executor(workers) as executor:
        for future in [executor.submit(nap, t) for t in drawn(7, 300, 100, lambda r: r.expovariate(1))]:
            future.result()


@program
def executor_map(workers):
    with snakefish.Executor(workers) as executor:
        nap(1)
        list(executor.map(nap, drawn(8, 512, 100, lambda r: r.uniform(1, 2))))
        nap(1)


def pool(workers):
    snakefish.trace.instrument("multiprocessing")
    return multiprocessing.get_context("fork").Pool(workers)


@program
def pool_map(workers):
    with pool(workers) as of:
        of.map(nap, [0.1] * 1024)


@program
def pool_maps_with_chunks(workers):
    with pool(workers) as of:
        for n in range(3):
            of.map(nap, drawn(9 + n, 200, 33, lambda r: r.uniform(1, 3)), chunksize=1)
            nap(0.5)


@program
def pool_imap(workers):
    with pool(workers) as of:
        for _ in of.imap(nap, drawn(12, 400, 100, lambda r: r.lognormvariate(0, 1))):
            pass


@program
def pool_apply_async(workers):
    with pool(workers) as of:
        for result in [of.apply_async(nap, (0.375,)) for _ in range(256)]:
            result.get()


if __name__ == "__main__":
    SCALE = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    PROGRAMS[sys.argv[1]](int(sys.argv[2]))
