/* The members of kernel types that the kernel's side reads; their offsets are found when the programs are loaded
 * (CO-RE). */
#ifndef SF_TRACER_KERNEL_KERNEL_TYPES_BPF_H
#define SF_TRACER_KERNEL_KERNEL_TYPES_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/kernel_record.h"

#define CORE __attribute__((preserve_access_index))

struct signal_struct {
    struct {
        int counter;
    } live;
} CORE;

struct inode {
    unsigned short i_mode;
} CORE;

struct file {
    struct inode *f_inode;
} CORE;

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
} CORE;

struct files_struct {
    struct fdtable *fdt;
} CORE;

struct sched_entity {
    unsigned long long sum_exec_runtime;
} CORE;

struct task_struct {
    struct sched_entity se;
    int pid, tgid, exit_code;
    unsigned int __state;
    char comm[KERNEL_COMM_BYTES];
    struct signal_struct *signal;
    struct files_struct *files;
} CORE;

/* What rss_stat counts; the kernel's enum has no name. */
enum { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES };

#if defined __TARGET_ARCH_x86
struct pt_regs {
    unsigned long orig_ax, di;
} CORE;
#define SYSCALL_OF(regs) ((long)BPF_CORE_READ(regs, orig_ax))
#define FIRST_ARGUMENT(regs) BPF_CORE_READ(regs, di)
#else
struct pt_regs {
    unsigned long long orig_x0;
    int syscallno;
} CORE;
#define SYSCALL_OF(regs) ((long)BPF_CORE_READ(regs, syscallno))
#define FIRST_ARGUMENT(regs) BPF_CORE_READ(regs, orig_x0)
#endif

#endif
