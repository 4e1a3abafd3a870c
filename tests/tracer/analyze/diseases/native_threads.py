"""Four workers, each with four native threads, on two CPUs, that wait for each other after each small step. Cure: one thread."""
import sys
import threading
import zlib

import snakefish

data, many = bytes(range(256)) * 400, 1 if "cured" in sys.argv else 4


def work(i):
    barrier = threading.Barrier(many)

    def part():
        for _ in range(160 // many):
            zlib.crc32(zlib.compress(data, 1))
            barrier.wait()

    threads = [threading.Thread(target=part) for _ in range(many - 1)]
    for thread in threads:
        thread.start()
    part()
    for thread in threads:
        thread.join()
    return i


print(sum(snakefish.map(work, range(4), 4, 1)))
