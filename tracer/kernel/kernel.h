/* The kernel's view of the traced processes: when each ran, what it waited for and who woke it, its page faults,
 * its life; by eBPF. Nothing is pinned: when the collector dies, however it dies, its programs are gone from the
 * kernel. In a build without clang, bpftool and libbpf kernel_open says so and gives none. */
#ifndef SF_TRACER_KERNEL_KERNEL_H
#define SF_TRACER_KERNEL_KERNEL_H

#include <stddef.h>
#include <sys/types.h>

#include "base/clock.h"
#include "store/store.h"

struct kernel;

/* Watches process `root` and what it forks from now on; 0: the next process that the caller forks. All probes are in
 * place when it returns, after some tenths of a second. The store must outlive it. -errno: there is no view, and `why`
 * says what is missing and how to get it; 0 with a sentence in `why`: something is missing from it. */
int kernel_open(struct kernel **out, struct store *store, const struct clock *clock, pid_t root, struct sentence *why);

/* Stores what has been recorded. Returns how full the buffer was, 0 to 1. NULL: none. In a transaction. */
double kernel_poll(struct kernel *kernel);

/* Processes of the tree that have not ended yet, as of the last poll. NULL: none. */
size_t kernel_alive(const struct kernel *kernel);

/* Takes the probes away, stores what is left and what was lost, and frees. NULL: nothing. In a transaction. */
void kernel_close(struct kernel *kernel);

#endif
