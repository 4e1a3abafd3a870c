"""floor: what the machine alone needs, by each micro-benchmark's own measure; no runtime, but what they are held against"""
from bench.support import measuring_programs

version = None
measuring_programs.program("bench-floor")  # absent where it is not built


def floor(workload, size, workers):
    return workload.module.floor(size, workers)
