"""The runtimes, one file each; the file's name is the runtime's, with - for _.

A runtime offers some of these. The region is the part of a sample whose time is compared.

    pool(workers)      a context manager, all of it in the region: yields map(f, args, chunksize) -> list
    warm(workers)      a context manager, outside the region: yields such a map, whose calls are in the region
    fold(module, workers, f, args, chunksize)   calls f for each, in processes, and brings back what it changes by
                       module.extract and module.merge; without it, bench/support/ready.py makes one of the map
    pipeline(source, args, stages)   a context manager: source(*args) and each of the stages, generators of which each
                       takes from the one before, run at the same time; yields the iterator of what the last one yields
    submit(workers)    a context manager, outside the region: yields submit(f, *args) -> future, whose calls are in the region
    lazy(workers)      a context manager, all of it in the region: yields imap(f, args) -> iterator of the results in order
    changing(make)     a context manager, outside the region: the program has a table, make() -> {int: int}; yields
                       (run, contents). run(change) calls change(table) in a new process, which returns what it has
                       changed, and brings that into the program's table; contents() -> dict is what the program has in it
    comparing(make)    a context manager, outside the region: the program has such a table; yields run() -> the changes since
                       the table was copied, for which it copies the table and compares it, with no other process
    counting()         a context manager, outside the region: the program has a counter; yields run(steps) -> counter: a new
                       process adds 1 to it so many times
    counting_tasks()   the same, but a task of a worker that is there does
    spawn_join(f)      runs f() in a new process, returns its result when that process is gone
    echo()             a context manager: a process that sends back what it gets; yields (send, receive)
    stream(produce, message_bytes)   a context manager: a process that calls produce(send); yields receive
    programs         {workload: run(size, workers) -> output}: whole programs, written for that runtime alone
    floor(workload, size, workers)   measures itself: returns (value, ns)
    copies(workload, size, workers)  runs as many sequential programs at once as workers: returns (output, ns)
    session()          a context manager around the region, which is not timed: such as a trace session. Where the sample
                       itself is to be traced, that takes its place
    instrument         the library that snakefish.trace.instrument records, in a trace of this runtime
    max_workers        1 for a runtime that cannot use more
    min_workers        of a runtime that makes no sense with fewer
    one_memory         True: its workers share their globals, so programs that change globals cannot run on it
    only               the workloads that it runs, or the kinds of them (program, micro), where it is not for all: such as one
                       that takes seconds to start
    own_chunks         True: its maps take None as chunksize, for the library's own default
    optional           True: runs only where --runtimes asks for it
    version            of the library behind it

A file that cannot be imported is an absent runtime; the exception's text is the reason.
"""
import importlib


def package(module, debian=None, pip=None):
    """That module; where it is missing, the exception says what to install: Debian's package, or one of the Python Package
    Index."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        install = f"apt-get install {debian}" if debian else f"pip install {pip}"
        raise ImportError(f"{error}; to have it: {install}") from error
