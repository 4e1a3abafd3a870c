/* How many CPUs this process may use. */
#ifndef SF_CORE_OS_CPUS_H
#define SF_CORE_OS_CPUS_H

/* The CPUs of the affinity mask, or fewer where a cgroup quota (v2 cpu.max or v1 cpu.cfs_quota_us, of this process's
 * group or one above it) allows less, rounded up to whole CPUs. At least 1. Reads some small files. */
int sf_cpus_count(void);

#endif
