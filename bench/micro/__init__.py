"""The micro-benchmarks, one file each: one operation of a runtime, many times in one sample.

    size        how many operations a sample makes by default; check_size: few, to try it out
    operation   what one operation is; unit: what the size counts
    operations(size)   how many operations a sample of that size makes, where it is not the size
    seconds     roughly what the region takes: for the plan only
    needs       the function that a runtime offers for it (see bench/runtimes), pool where none is stated; a runtime
                without it has no such sample
    packages    {module: Debian's package} that it imports where it uses them; without one of them it is absent
    parallel    True: runs with as many workers as there are CPUs; else with one, the process at the other end
    ready(runtime, size, workers)   a context manager, outside the region: sets up, yields run() -> value
    timed(runtime, size, workers)   in place of ready, where a program in C looks at the clock itself: (value, ns,
                ns of its floor in the same program; None where floor measures that)
    output(value, size)   outside the region: the output, bytes, of a value that is none yet
    expected(size)   the right output

What it is held against, by `bench show`:

    floor_is    what the machine alone needs for it, in a few words
    floor(size, workers)   measures that: (value, ns); what the runtime `floor` runs
    by_turns(runtime, size, workers)   in place of ready and floor, where the floor is so near that two processes differ
                by more: a context manager, yields (run, floor, rounds). run() -> value is one operation, floor() -> ns
                its floor; both are done so many times by turns, in every sample; output gets the list of the values
    targets     {runtime: number}: snakefish is to be at least so many times as fast as that runtime; of the floor 1 / 2
                means at most twice its time

One that states sweep = (sizes) runs in all of them, and `bench show` says from which on a runtime beats sequential.
"""
