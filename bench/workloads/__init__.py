"""The programs, one file each; the file's name is the program's, with - for _.

A program states once what every runtime then runs the same way:

    size, check_size     the default problem size, and a small one whose right output is published
    official             the size of the Benchmarks Game's own measurements, where it is one of its programs
    check_output         the output at check_size, bytes (or check_sha256, its SHA-256 in hexadecimal)
    expected(size)       the right output at any size, where there is an independent way to it
    unit                 what the size counts
    seconds              what the region takes sequentially at the default size, roughly: for the plan only
    growth(size)         how the work grows with the size, in any unit
    prepare(size)        outside the region: what must be there before, such as an input file
    packages             {module: Debian's package} that it imports where it uses them; without one of them it is absent
    fixed_workers        how many processes every runtime but the sequential one takes for it, where that is its own affair
    tasks(size, workers) the arguments of the work function, in order
    chunksize(size, workers)   how many of them a worker takes at a time; an even split where there is no such function
    work(task)           the work function: gets one task, returns its result
    combine(size, results)     the program's exact output, bytes

A program of several maps states `program(size, workers, map)` in place of the last four; `map(f, args)` returns the
results in order, and takes a third argument, the chunk size. By `needs` it may ask for another function than a map:

    needs = "fold"       program(size, workers, fold): `fold(f, args)` returns nothing, f changes globals of its module.
                         What a chunk has changed is taken by extract(globals) where it ran, and brought into the
                         program's own by merge(globals, extracted). begin(carried) sets the globals as a chunk finds
                         them where no fork has brought them along, carry() says what it needs of the program's
    needs = "pipeline"   program(size, workers, pipeline): see bench/runtimes
"""
