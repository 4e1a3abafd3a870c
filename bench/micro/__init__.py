"""The micro-benchmarks, one file each: one operation of a runtime, many times in one sample.

    size        how many operations a sample makes by default; check_size: few, to try it out
    counted     the size at which `bench counts` counts its instructions; without it they are not counted
    operation   what one operation is; unit: what the size counts
    operations(size)   how many operations a sample of that size makes, where it is not the size
    seconds     roughly what the region takes: for the plan only
    needs       the function that a runtime must offer (see bench/runtimes), pool where none is stated
    packages    {module: Debian's package} that it imports where it uses them; it is absent where one is missing
    parallel    True: runs with as many workers as there are CPUs; else with one, the process at the other end
    own_chunks  True: gives the maps None as chunksize, and each runtime cuts the tasks as it does by default; for those
                runtimes that have own_chunks
    ready(runtime, size, workers)   a context manager, outside the region: sets up, yields run() -> value
    timed(runtime, size, workers)   in place of ready, where a program in C measures the time itself: (value, ns, ns of
                its floor in the same program, or None where floor measures that)
    output(value, size)   outside the region: the output as bytes, where the value is something else
    expected(size)   the right output

What `bench show` compares it with:

    floor_is    what the machine alone needs for it, in a few words
    floor(size, workers)   measures that: (value, ns); what the runtime `floor` runs
    by_turns(runtime, size, workers)   in place of ready and floor, where the operation differs from its floor by less
                than two processes differ: a context manager, yields (run, floor, rounds). run() -> value is one
                operation, floor() -> ns is its floor. Every sample alternates them `rounds` times; output gets the
                list of the values
    targets     {runtime: number}: snakefish is to be at least so many times as fast as that runtime; of the floor 1 / 2
                means at most twice its time

    also        runtimes that a standard run takes for it, too, besides those of `targets`
    sizes       in all of these it runs in a full run, each compared on its own; other runs take `size` alone
    full_only   True: a standard run leaves it out
    traced      False: a standard run does not take it under snakefish-traced, because events cost nothing beside what it does

One that states sweep = (sizes) runs in all of them, and `bench show --all` says from which on a runtime beats sequential.
"""
