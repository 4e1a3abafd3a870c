"""All work is done under one lock of a Manager, which no work needs. Cure: add up first, and take the lock once."""
import multiprocessing
import sys

import snakefish


def work(lock, total, shares):
    own = 0
    for _ in range(shares):
        if "cured" in sys.argv:
            own += sum(k * k % 7 for k in range(2000))
        else:
            with lock:
                total.value += sum(k * k % 7 for k in range(2000))
    if own:
        with lock:
            total.value += own


with multiprocessing.get_context("fork").Manager() as manager:
    lock, total = manager.Lock(), manager.Value("i", 0)
    threads = [snakefish.Thread(work, args=(lock, total, 400)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(total.value)
