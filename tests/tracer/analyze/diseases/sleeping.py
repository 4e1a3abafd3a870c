"""Tasks that sleep, as those that wait for the network do, on two workers. Cure: more workers."""
import sys
import time

import snakefish


def work(i):
    time.sleep(0.04)
    return i


print(sum(snakefish.map(work, range(48), 16 if "cured" in sys.argv else 2, 1)))
