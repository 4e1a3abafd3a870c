"""channel-round-trip: an int to another process and back, one at a time"""
from contextlib import contextmanager

size = 5000
check_size = 50
unit = operation = "round trip"
seconds = 0.3
needs = "echo"


@contextmanager
def ready(runtime):
    with runtime.echo() as (send, receive):
        send(-1)  # the other process is up when its first answer is here
        receive()

        def run(operations):
            total = 0
            for i in range(operations):
                send(i)
                total += receive()
            return b"%d\n" % total

        yield run


def expected(size):
    return b"%d\n" % (size * (size - 1) // 2)
