"""The micro-benchmarks, one file each: one operation of a runtime, many times in one sample.

    size        how many operations a sample makes by default; check_size: few, to try it out
    operation   what one operation is; unit: what the size counts
    seconds     roughly what the region takes: for the plan only
    needs       the function that a runtime offers for it (see bench/runtimes); one without it has no such sample
    ready(runtime)   a context manager, outside the region: sets up, yields run(operations) -> output
    expected(size)   the right output

They run with one worker: the process at the other end.
"""
