"""A pipeline over ProcessPoolExecutor: lines are parsed, and what they have is summed by key.

    python3 pipeline.py lines|chunks [LINES]

lines: each line is a task. chunks: 500 lines are one.
"""
import collections
import sys
from concurrent.futures import ProcessPoolExecutor


def parse(line):
    key, _, numbers = line.partition(":")
    return key, sum(int(number) for number in numbers.split())


def lines(count):
    for n in range(count):
        yield f"key{n % 10}: " + " ".join(str(n * k % 1000) for k in range(60))


def run(how, count):
    sums = collections.Counter()
    with ProcessPoolExecutor(2) as executor:
        for key, value in executor.map(parse, lines(count), chunksize=1 if how == "lines" else 500):
            sums[key] += value
    return sums


if __name__ == "__main__":
    print(sorted(run(sys.argv[1], int((sys.argv[2:] or [10_000])[0])).items())[:3])
