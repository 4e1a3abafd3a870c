/* What the parts of the kernel's side share.
 *
 * Invariants: `processes` holds the traced tree only: its root and all that was forked from it. `threads` holds their
 * threads, each until it has left its CPU for the last time. A thread's entry is written by the CPU that it runs on;
 * waking_ns and waking_by are written by the thread that wakes it. `cpus` has one entry for each CPU, written by that
 * CPU only. Records and entries for which there is no room are counted in `lost`. */
#ifndef SF_TRACER_KERNEL_KERNEL_MAPS_BPF_H
#define SF_TRACER_KERNEL_KERNEL_MAPS_BPF_H

#include "kernel/kernel_types.bpf.h"

/* Set before loading. The next process that this pid forks becomes the root; 0: the collector adds the root itself. */
const volatile __u32 root_parent;

__u64 lost[KERNEL_LOST];
bool root_found;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, __u32);
    __type(value, __u32); /* the pid again */
} processes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, __u32);
    __type(value, struct kernel_thread);
} threads SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct kernel_cpu);
} cpus SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 23); /* where this is refused, the collector asks for less */
} records SEC(".maps");

static void count_loss(int what)
{
    __sync_fetch_and_add(&lost[what], 1);
}

static struct kernel_thread *thread_of(__u32 tid)
{
    return bpf_map_lookup_elem(&threads, &tid);
}

static struct kernel_cpu *this_cpu(void)
{
    __u32 zero = 0;
    return bpf_map_lookup_elem(&cpus, &zero);
}

#endif
