"""The programs, one file each; the file's name is the program's, with - for _.

A program states these, and every runtime runs the same:

    size, check_size     the default problem size, and a small one whose right output is published
    counted              the size at which `bench counts` counts its instructions; check_size where it states none
    official             the size of the Benchmarks Game's own measurements, where it is one of its programs
    check_output         the output at check_size, bytes (or check_sha256, its SHA-256 in hexadecimal)
    expected(size)       the right output at any size, where it can be computed independently
    unit                 what the size counts
    seconds              roughly what the region takes sequentially at the default size: for the plan only
    growth(size)         how the work grows with the size, in any unit
    prepare(size)        outside the region: makes what must be there before, such as an input file
    packages             {module: Debian's package} that it imports where it uses them; it is absent where one is missing
    fixed_workers        how many processes it takes under every runtime but the sequential one, where that is fixed
    same_tasks           True where neither tasks nor chunks depend on the number of workers: so a trace says how long the
                         program takes with more
    tasks(size, workers) the arguments of the work function, in order
    chunksize(size, workers)   how many of them a worker takes at a time; an even split where there is no such function
    work(task)           the work function: gets one task, returns its result
    combine(size, results)     the program's exact output, bytes

A program of several maps states `program(size, workers, map)` in place of the last four; `map(f, args)` returns the
results in order, and takes a third argument, the chunk size. By `needs` it may ask for another function than a map:

    needs = "fold"       program(size, workers, fold): `fold(f, args)` returns nothing, f changes globals of its module.
                         share says which, as snakefish takes it. For all other runtimes extract(globals) returns
                         what a chunk has changed, in the process where it ran, and merge(globals, extracted) brings
                         that into the program's globals. Where a chunk does not run in a fork of the program, carry()
                         returns what it needs of the program's globals, and begin(carried) sets the globals for the
                         chunk
    needs = "pipeline"   program(size, workers, pipeline): see bench/runtimes
"""
