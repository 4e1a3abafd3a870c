"""Each task changes an inherited array of 30 MB in place: the kernel copies its pages. Cure: read only."""
import sys

import snakefish

big = bytearray(30_000_000)


def work(i):
    for page in range(0, len(big), 4096):
        if "cured" not in sys.argv:
            big[page] = i
    return len(big)


threads = []
for i in range(4):
    threads = [snakefish.Thread(work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
