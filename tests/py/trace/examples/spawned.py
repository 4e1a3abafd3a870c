"""A multiprocessing program with spawn: images are smoothed.

    python3 spawned.py processes|pool [IMAGES]

processes: one for each image. pool: two, which stay.
"""
import multiprocessing
import sys


def smooth(seed):
    row = [(seed * 7919 + n * 104729) % 256 for n in range(20_000)]
    for _ in range(10):
        row = [(a + b + c) // 3 for a, b, c in zip(row, row[1:] + row[:1], row[-1:] + row[:-1])]
    return sum(row)


def put(queue, seed):
    queue.put(smooth(seed))


def with_processes(context, images):
    total = 0
    for first in range(0, images, 2):
        queue = context.SimpleQueue()
        workers = [context.Process(target=put, args=(queue, seed)) for seed in range(first, min(first + 2, images))]
        for worker in workers:
            worker.start()
        total += sum(queue.get() for _ in workers)
        for worker in workers:
            worker.join()
    return total


def with_pool(context, images):
    with context.Pool(2) as pool:
        return sum(pool.map(smooth, range(images), chunksize=1))


if __name__ == "__main__":
    how = {"processes": with_processes, "pool": with_pool}[sys.argv[1]]
    print(how(multiprocessing.get_context("spawn"), int((sys.argv[2:] or [24])[0])))
