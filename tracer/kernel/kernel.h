/* The kernel's view of the traced processes, recorded by eBPF: when each thread ran, what it waited for and which
 * process woke it, page faults, starts and ends. Nothing is pinned: when the collector dies, however it dies, the
 * kernel removes its programs. In a build without clang, bpftool and libbpf, kernel_open fails and says so. */
#ifndef SF_TRACER_KERNEL_KERNEL_H
#define SF_TRACER_KERNEL_KERNEL_H

#include <stddef.h>
#include <sys/types.h>

#include "base/clock.h"
#include "store/store.h"

struct kernel;

/* Watches process `root` and all that it forks from now on; root 0: the next process that the caller forks. When it
 * returns, after some tenths of a second, all probes are attached. The store must exist longer. -errno: there is no
 * kernel's view, and `why` says what is missing and how to get it. 0 with a sentence in `why`: a part of it is missing.
 */
int kernel_open(struct kernel **out, struct store *store, const struct clock *clock, pid_t root, struct sentence *why);

/* Stores what has been recorded; must be called in a transaction. Returns how full the buffer was, 0 to 1. `kernel` may
 * be NULL, here and below. */
double kernel_poll(struct kernel *kernel);

/* How many processes of the tree have not ended, as of the last poll. */
size_t kernel_alive(const struct kernel *kernel);

/* Detaches the probes, stores the remaining records and how many were lost, and frees; in a transaction. */
void kernel_close(struct kernel *kernel);

#endif
