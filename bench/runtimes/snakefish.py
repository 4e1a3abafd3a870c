"""snakefish: map forks its workers for each call, Thread, Generator, Channel"""
import os
import tempfile
from contextlib import ExitStack, contextmanager

import snakefish

from bench.support.measuring_programs import events  # noqa: F401

version = getattr(snakefish, "__version__", None)
own_chunks = True
CHANNEL_BYTES = 1 << 20
PIPELINE_BYTES = 1 << 24
PREFETCH = 16

table, counter = {}, 0  # globals that processes share


@contextmanager
def pool(workers):
    def map(f, args, chunksize):
        return snakefish.map(f, args, concurrency=workers, chunksize=chunksize)

    yield map


@contextmanager
def lazy(workers):
    yield lambda f, args: snakefish.imap(f, args, workers)


@contextmanager
def submit(workers):
    with snakefish.Executor(workers) as executor:
        yield executor.submit


def fold(module, workers, f, args, chunksize):
    snakefish.map(f, args, workers, chunksize, share=module.share)


@contextmanager
def pipeline(source, args, stages):
    def taken(channel):
        while (item := channel.receive_pyobj()) is not None:
            yield item

    def passed_on(items, channel):
        for item in items:
            channel.send_pyobj(item, block=True)
        channel.send_pyobj(None, block=True)
        yield from ()  # which makes it a generator function

    def handed_over(items):
        yield from items

    with ExitStack() as stack:
        def start(f, *args, prefetch):
            generator = stack.enter_context(snakefish.Generator(f, args=args, prefetch=prefetch))
            generator.start()
            return generator

        items = source(*args)
        for stage in stages:
            channel = stack.enter_context(snakefish.Channel(PIPELINE_BYTES))
            start(passed_on, items, channel, prefetch=1)  # with prefetch it begins before the first next()
            items = stage(taken(channel))
        yield start(handed_over, items, prefetch=PREFETCH)


def spawn_join(f):
    with snakefish.Thread(f) as thread:
        thread.start()
        thread.join()
        return thread.get_result()


@contextmanager
def echo():
    with snakefish.Channel(CHANNEL_BYTES) as there, snakefish.Channel(CHANNEL_BYTES) as back:

        def send_back():
            while (message := there.receive_pyobj()) is not None:
                back.send_pyobj(message)

        with snakefish.Thread(send_back) as thread:
            thread.start()
            yield there.send_pyobj, back.receive_pyobj
            there.send_pyobj(None)
            thread.join()


@contextmanager
def stream(produce, message_bytes):
    with snakefish.Channel(CHANNEL_BYTES + 2 * message_bytes) as channel:
        send_pyobj = channel.send_pyobj

        def send(message):  # a partial with block=True takes 0.2 us longer
            send_pyobj(message, True)

        with snakefish.Thread(produce, args=(send,)) as thread:
            thread.start()
            yield channel.receive_pyobj
            thread.join()


@contextmanager
def changing(make):
    global table
    table = make()

    def run(change):
        with snakefish.Thread(lambda: change(table), share=["table"]) as thread:
            thread.start()

    yield run, table.copy


@contextmanager
def comparing(make):
    global table
    table = make()

    def run():
        extract, _ = snakefish.merge.three_way(["table"])
        return extract(None)

    yield run


def count(steps):
    global counter
    for _ in range(steps):
        counter += 1


@contextmanager
def counting():
    def run(steps):
        with snakefish.Thread(count, args=(steps,), share=["counter"]) as thread:
            thread.start()
        return counter

    yield run


@contextmanager
def counting_tasks():
    with snakefish.Executor(1) as executor:
        executor.submit(abs, 0).result()

        def run(steps):
            executor.submit(count, steps, share=["counter"]).result()
            return counter

        yield run


@contextmanager
def tracing():
    """Traces into a database that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="bench-trace-") as folder:
        with snakefish.trace.session(os.path.join(folder, "trace.db")):
            yield snakefish.trace
