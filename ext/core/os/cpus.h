/* How many CPUs this process may use. */
#ifndef SF_CORE_OS_CPUS_H
#define SF_CORE_OS_CPUS_H

#include <stdint.h>

/* The CPUs of the affinity mask, or fewer if a cgroup quota allows less (v2 cpu.max or v1 cpu.cfs_quota_us, of this
 * process's group or of one above it), rounded up to whole CPUs. At least 1. Reads some small files. */
int sf_cpus_count(void);

/* This process is one of so many that work at the same time, and so are the processes that it forks. Once more in one
 * of these: then it is one of so many of these. */
void sf_cpus_share_among(int64_t processes);

/* Its share of the CPUs, rounded down, at least 1: all of them, where sf_cpus_share_among was never called. */
int sf_cpus_share(void);

#endif
