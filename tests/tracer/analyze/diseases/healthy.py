"""Nothing is wrong: two workers, equal long tasks, small results."""
import snakefish


def work(n):
    return sum(k * k % 7 for k in range(n))


print(sum(snakefish.map(work, [1_500_000] * 8, 2, 1)))
