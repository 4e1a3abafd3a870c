/* How many CPUs this process may use. */
#ifndef SF_CORE_OS_CPUS_H
#define SF_CORE_OS_CPUS_H

/* The CPUs of the affinity mask, or fewer if a cgroup quota allows less (v2 cpu.max or v1 cpu.cfs_quota_us, of this
 * process's group or of one above it), rounded up to whole CPUs. At least 1. Reads some small files. */
int sf_cpus_count(void);

#endif
