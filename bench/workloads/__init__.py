"""The programs, one file each; the file's name is the program's, with - for _.

A program states once what every runtime then runs the same way:

    size, check_size     the default problem size, and a small one whose right output is published
    check_output         that output, bytes (or check_sha256, its SHA-256 in hexadecimal)
    unit                 what the size counts
    seconds              what the region takes sequentially at the default size, roughly: for the plan only
    tasks(size, workers) the arguments of the work function, in order
    chunksize(size, workers)   how many of them a worker takes at a time; an even split where there is no such function
    work(task)           the work function: gets one task, returns its result
    combine(size, results)     the program's exact output, bytes

A program of several maps states `program(size, workers, map)` in place of the last four; `map(f, args)` returns the
results in order, and takes a third argument, the chunk size.
"""
