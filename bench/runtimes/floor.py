"""floor: what the machine alone needs for each micro-benchmark; not a runtime, but what runtimes are compared with"""
from bench.support import measuring_programs

version = None
measuring_programs.program("bench-floor")  # absent where it is not built


def floor(workload, size, workers):
    return workload.module.floor(size, workers)
