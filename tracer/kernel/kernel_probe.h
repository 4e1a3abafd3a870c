/* Loads and attaches the kernel's side. Used by kernel.c only. */
#ifndef SF_TRACER_KERNEL_KERNEL_PROBE_H
#define SF_TRACER_KERNEL_KERNEL_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/output.h"

struct kernel_probe {
    struct kernel_bpf *bpf; /* the skeleton; its links hold the programs in the kernel; owned */
    bool faults;            /* page faults are counted */
    bool timed;             /* page faults are counted and timed */
    bool pages;             /* those of huge pages and of files can be told from others; the huge ones are timed */
};

/* Loads and attaches all programs that this kernel allows. root: see kernel_open. -errno and a sentence: it allows too
 * few. 0 and a sentence: it lacks some. Blocks for some tenths of a second. */
int kernel_probe_attach(struct kernel_probe *probe, pid_t root, struct sentence *why);

/* How often a program was not run because it was already running on that CPU. To be called before kernel_probe_detach.
 */
uint64_t kernel_probe_missed(const struct kernel_probe *probe);

/* Detaches the programs; what they recorded can still be read. */
void kernel_probe_detach(struct kernel_probe *probe);
void kernel_probe_free(struct kernel_probe *probe);

#endif
