"""Two Threads send to one Channel; who takes from it works longer on each message. Cure: the senders do that work."""
import sys

import snakefish

CURED = "cured" in sys.argv
channel = snakefish.Channel(4096, name="results")


def work(n):
    return sum(k * k % 7 for k in range(n))


def send(messages):
    for _ in range(messages):
        channel.send_pyobj(work(1000) + (work(20_000) if CURED else 0), block=True)


threads = [snakefish.Thread(send, args=(300,)) for _ in range(2)]
for thread in threads:
    thread.start()
total = 0
for _ in range(600):
    total += channel.receive_pyobj()
    if not CURED:
        total += work(20_000)
for thread in threads:
    thread.join()
print(total)
