"""Eight times through 64 MB, that no cache holds. With few workers the memory is fast enough; with many they wait for it, which
two runs show. Cure: small blocks, each eight times."""
import sys

import snakefish

BLOCK = 1 << (16 if "cured" in sys.argv else 26)
numbers = memoryview(bytearray(1 << 26))
copy = memoryview(bytearray(BLOCK))


def work(i):
    for at in range(0, len(numbers), BLOCK):
        for _ in range(8):
            copy[:] = numbers[at:at + BLOCK]
    return i


workers = next((int(word) for word in sys.argv[1:] if word.isdigit()), snakefish.cpu_count())
print(sum(snakefish.map(work, range(8), workers, 1)))
