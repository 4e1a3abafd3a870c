"""threading: a pool of threads, made for the run; a thread for each stage of a pipeline"""
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from queue import Queue
from threading import Thread

from bench.runtimes.multiprocessing import version  # noqa: F401

one_memory = True
QUEUED = 16


@contextmanager
def pool(workers):
    with ThreadPool(workers) as threads:
        yield threads.map


@contextmanager
def pipeline(source, args, stages):
    def put(items, queue):
        for item in items:
            queue.put(item)
        queue.put(None)

    items, threads = source(*args), []
    for stage in (*stages, iter):
        queue = Queue(QUEUED)
        threads.append(Thread(target=put, args=(items, queue)))
        items = stage(iter(queue.get, None))
    for thread in threads:
        thread.start()
    yield items
    for thread in threads:
        thread.join()
