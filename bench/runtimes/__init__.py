"""The runtimes, one file each; the file's name is the runtime's, with - for _.

A runtime offers what it can of

    pool(workers)      a context manager, all of it in the region: yields map(f, args, chunksize) -> list
    spawn_join(f)      runs f() in a new process, returns its result when that process is gone
    echo()             a context manager: a process that sends back what it gets; yields (send, receive)
    session(path=None) a context manager around the region, outside of it: what belongs to the run, not to the work
    max_workers        1 for a runtime that cannot use more
    optional           True: runs only where --runtimes asks for it
    version            of the library behind it

A file that cannot be imported is an absent runtime; the exception's text is the reason.
"""
