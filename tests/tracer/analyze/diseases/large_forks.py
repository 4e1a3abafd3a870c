"""100 Threads of a program that holds some 200 MB: each fork copies its page tables. Cure: two Threads that share the work."""
import sys

import snakefish

big = [bytearray(b"x") * 1_000_000 for _ in range(200)]
much = 2 if "cured" in sys.argv else 100


def work(first):
    return sum(len(big[i % 200]) for i in range(first, 100, much))


total = 0
for first in range(0, much, 2):
    threads = [snakefish.Thread(work, args=(first + i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
        total += thread.get_result()
print(total)
