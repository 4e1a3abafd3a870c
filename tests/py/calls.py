"""Every public call once. None may leave anything behind: the tests for leaks repeat them."""
import os
import sys

import snakefish
from snakefish import Channel, Generator, Thread

CALLS = {
    "Thread": lambda: ended(Thread(len, args=[""], kwargs={}, name="n")).get_result(),
    "Thread that raises": lambda: refused(ended(Thread(len)).get_result),
    "Thread with a class of exceptions": lambda: refused(ended(Thread(refuse)).get_result),
    "Thread with a large result": lambda: ended(Thread(bytes, args=(3 << 20,))).get_result(),
    "Thread killed": lambda: refused(ended(Thread(os._exit, args=(3,))).get_result),
    "Thread states": lambda: [refused(call) for t in (Thread(len),) for call in (t.join, t.get_result, t.fileno, t.kill)],
    "Thread attributes": lambda: [(t.pid, t.name, repr(t), t.is_alive(), t.try_join(), t.get_exit_status())
                                  for t in (ended(Thread(len, args=[""])),)],
    "Thread that raises, unasked": lambda: unasked(ended(Thread(len))),
    "Thread killed, unasked": lambda: unasked(ended(Thread(os._exit, args=(3,)))),
    "Thread without a reference": lambda: (Thread(int).start(), snakefish.wait([], 0)),
    "Thread merge": lambda: ended(Thread(int, lambda g: [1], lambda g, e: None, globals={})),
    "Thread merge that raises": lambda: refused(lambda: ended(Thread(int, lambda g: [1], lambda g, e: g["no"]))),
    "Thread arguments": lambda: [refused(lambda: Thread(*a)) for a in ((), (5,), (len, 5, 5), (len, len))],
    "Generator": lambda: drained(Generator(three)),
    "Generator polled": lambda: drained(Generator(three), False),
    "Generator wrong": lambda: (refused(lambda: Generator(len)), refused(drained, Generator(three, args=(1,)))),
    "Generator unasked": lambda: ended(Generator(three)),
    "Channel": lambda: passed(b"x" * 100),
    "Channel that refuses": lambda: refused(passed, b"x" * 5000),
    "Channel unpicklable": lambda: refused(passed, lambda: 1),
    "Channel arguments": lambda: [refused(lambda: Channel(a)) for a in (0, "x", 1 << 100, 1 << 62)],
    "map": lambda: snakefish.map(abs, [-1, -2], 2),
    "starmap": lambda: snakefish.starmap(pow, [(1, 2)]),
    "map merge": lambda: snakefish.map(abs, [-1, -2], lambda g: [1], lambda g, e: None, 2),
    "map that raises": lambda: refused(snakefish.map, len, [1, 2], 2),
    "map merge that raises": lambda: refused(snakefish.map, len, [1, 2], lambda g: 1, lambda g, e: 1),
    "map killed": lambda: refused(snakefish.map, os._exit, [1, 2], 2),
    "map arguments": lambda: [refused(snakefish.map, *a) for a in ((1, 2), (len, 5), (len, [], -1), (len, [], "x", 5))],
    "imap": lambda: list(snakefish.imap(abs, [-1, -2, -3], 2, 2)),
    "imap of a generator": lambda: list(snakefish.imap_unordered(abs, three(), 2)),
    "imap that raises": lambda: refused(list, snakefish.imap(len, [1, 2], 2)),
    "imap killed": lambda: refused(list, snakefish.imap(os._exit, [1, 2], 2)),
    "imap left half-way": lambda: next(snakefish.imap(abs, three(), 2)),
    "imap unpicklable": lambda: (refused(list, snakefish.imap(abs, [lambda: 1])),
                                 refused(list, snakefish.imap(lambda x: three(), [1, 2], 1, 2))),
    "imap arguments": lambda: [refused(snakefish.imap, *a) for a in ((1, []), (len, 5), (len, [], -1), (len, [], 1, 0))],
    "trace": lambda: (refused(snakefish.trace.mark, 5), snakefish.trace.mark("x"), snakefish.trace.span("x").__enter__()),
    "clock": lambda: (snakefish.get_timestamp(), snakefish.timestamp_frequency(), snakefish.cpu_count()),
}


def ended(task):
    with task:
        task.start()
    return task


def unasked(task):
    """Drops it, in silence."""
    before, sys.unraisablehook = getattr(sys, "unraisablehook", None), lambda told: None
    try:
        task.dispose()
    finally:
        sys.unraisablehook = before


def refused(call, *arguments):
    try:
        call(*arguments)
    except Exception:
        return
    raise AssertionError("no exception")


class Refused(Exception):
    def __init__(self, what, why):
        super().__init__(what)
        self.lock = why


def refuse():
    raise Refused("door", lambda: 1)


def three():
    yield from range(3)


def drained(generator, block=True):
    with generator:
        generator.start()
        while True:
            try:
                generator.next(block)
            except StopIteration:
                return
            except IndexError:
                pass


def passed(thing):
    with Channel(4096) as channel:
        refused(channel.receive_pyobj, False)
        channel.send_pyobj(thing)
        return channel.receive_pyobj()
