/* The kernel's side, loaded and attached. Only the kernel's view uses it. */
#ifndef SF_TRACER_KERNEL_KERNEL_PROBE_H
#define SF_TRACER_KERNEL_KERNEL_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/output.h"

struct kernel_probe {
    struct kernel_bpf *bpf; /* the skeleton; its links hold the programs in the kernel; owned */
    bool faults;            /* are page faults counted, */
    bool timed;             /* and timed? */
};

/* Loads and attaches what this kernel allows. root: whose tree; 0: that of the next process that the caller forks.
 * -errno and a sentence: it allows too little; 0 and a sentence: it lacks something. Blocks for some tenths of a
 * second. */
int kernel_probe_attach(struct kernel_probe *probe, pid_t root, struct sentence *why);

/* How often a program could not run because it was running on that CPU already. Before the detaching. */
uint64_t kernel_probe_missed(const struct kernel_probe *probe);

/* Takes the programs out of the kernel; what they recorded can still be read. */
void kernel_probe_detach(struct kernel_probe *probe);
void kernel_probe_free(struct kernel_probe *probe);

#endif
