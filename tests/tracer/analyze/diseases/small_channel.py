"""Sender and receiver work in turns, in bursts of 50 messages; the Channel has room for one. Cure: a larger Channel."""
import sys

import snakefish

channel = snakefish.Channel(10_000_000 if "cured" in sys.argv else 6000)


def work(n):
    return sum(k * k % 7 for k in range(n))


def send():
    for burst in range(12):
        work(400_000)
        for _ in range(50):
            channel.send_bytes(bytes(5000), block=True)


thread = snakefish.Thread(send)
thread.start()
for burst in range(12):
    for _ in range(50):
        channel.receive_bytes()
        work(8000)
thread.join()
