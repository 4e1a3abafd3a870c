"""A Pool, whose arguments and results are pickled in threads of their own. Cure: send numbers, return numbers."""
import multiprocessing
import sys

CURED = "cured" in sys.argv


def work(numbers):
    return sum(numbers) if CURED else [n + 1.0 for n in numbers]


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        lists = [range(i, i + 300_000) if CURED else list(map(float, range(i, i + 300_000))) for i in range(10)]
        print(sum(r if CURED else len(r) for r in pool.imap(work, lists, chunksize=1)))
