"""snakefish-channels: Threads started once, tasks and results through Channels

A pool that a program makes itself, whose messages are in the trace: `bench run --trace` records it.
"""
from contextlib import ExitStack, contextmanager

from bench.runtimes.snakefish import snakefish, version  # noqa: F401

optional = True
CHANNEL_BYTES = 1 << 26


def serve(tasks, results):
    """A worker: takes chunks until there are no more. What f raises ends the worker, and join raises it."""
    while (task := tasks.receive_pyobj()) is not None:
        place, f, chunk = task
        with snakefish.trace.span(f.__name__):
            done = [f(x) for x in chunk]
        results.send_pyobj((place, done), block=True)


@contextmanager
def pool(workers):
    with ExitStack() as stack:
        tasks, results = (stack.enter_context(snakefish.Channel(CHANNEL_BYTES)) for _ in range(2))
        threads = [stack.enter_context(snakefish.Thread(serve, args=(tasks, results))) for _ in range(workers)]
        for thread in threads:
            thread.start()

        def map(f, args, chunksize):
            places = range(0, len(args), chunksize)
            for place in places:
                tasks.send_pyobj((place, f, args[place:place + chunksize]), block=True)
            done = dict(results.receive_pyobj() for _ in places)
            return [x for place in places for x in done[place]]

        yield map
        for _ in threads:
            tasks.send_pyobj(None, block=True)
