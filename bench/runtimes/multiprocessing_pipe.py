"""multiprocessing-pipe: Processes with a Pipe each; a free worker gets the next chunk; start method fork"""
from contextlib import contextmanager
from multiprocessing.connection import wait

from bench.runtimes.multiprocessing import fork, version  # noqa: F401


def serve(pipe):
    """A worker: a chunk in, its results out, until there is no more."""
    while (task := pipe.recv()) is not None:
        f, chunk = task
        pipe.send([f(x) for x in chunk])


@contextmanager
def pool(workers):
    pipes, processes = [], []
    for _ in range(workers):
        here, there = fork.Pipe()
        processes.append(fork.Process(target=serve, args=(there,)))
        processes[-1].start()
        there.close()
        pipes.append(here)

    def map(f, args, chunksize):
        places, busy, done = iter(range(0, len(args), chunksize)), {}, {}

        def hand_out(pipe):
            place = next(places, None)
            if place is not None:
                pipe.send((f, args[place:place + chunksize]))
                busy[pipe] = place

        for pipe in pipes:
            hand_out(pipe)
        while busy:
            for pipe in wait(list(busy)):
                done[busy.pop(pipe)] = pipe.recv()
                hand_out(pipe)
        return [x for place in sorted(done) for x in done[place]]

    yield map
    for pipe, process in zip(pipes, processes):
        pipe.send(None)
        process.join()


def pump(items, pipe):
    for item in items:
        pipe.send(item)
    pipe.send(None)


@contextmanager
def pipeline(source, args, stages):
    items, processes = source(*args), []
    for stage in (*stages, iter):
        receiver, sender = fork.Pipe(duplex=False)
        processes.append(fork.Process(target=pump, args=(items, sender)))
        processes[-1].start()
        sender.close()
        items = stage(iter(receiver.recv, None))
    yield items
    for process in processes:
        process.join()
