"""spawn-join: a process for an empty function: start, result, end"""
from contextlib import contextmanager

size = 200
check_size = 5
unit = operation = "spawn, result and join"
seconds = 0.2
needs = "spawn_join"


def empty():
    return None


@contextmanager
def ready(runtime):
    def run(operations):
        spawn_join = runtime.spawn_join
        returned = 0
        for _ in range(operations):
            returned += spawn_join(empty) is None
        return b"%d\n" % returned

    yield run


def expected(size):
    return b"%d\n" % size
