/* What a blocked thread waits for, by the system call that it is in. No program has to run at system calls for this:
 * the registers with which the thread entered the kernel are on its kernel stack. */
#ifndef SF_TRACER_KERNEL_KERNEL_WAIT_BPF_H
#define SF_TRACER_KERNEL_KERNEL_WAIT_BPF_H

#include <asm/unistd.h>

#include "kernel/kernel_types.bpf.h"

static __u16 pipe_or_socket(struct task_struct *task, __u64 fd, bool writes)
{
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    if (fd >= BPF_CORE_READ(table, max_fds))
        return KERNEL_OTHER;
    struct file **files = BPF_CORE_READ(table, fd), *file = NULL;
    bpf_probe_read_kernel(&file, sizeof file, files + fd);
    switch (BPF_CORE_READ(file, f_inode, i_mode) & 0170000) {
    case 0010000:
        return writes ? KERNEL_FULL_PIPE : KERNEL_PIPE;
    case 0140000:
        return writes ? KERNEL_FULL_SOCKET : KERNEL_SOCKET;
    default:
        return KERNEL_OTHER;
    }
}

static __u16 what_for(struct task_struct *task)
{
    struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
    switch (SYSCALL_OF(regs)) {
    case -1:
        return KERNEL_FAULT;
    case __NR_futex:
#ifdef __NR_futex_waitv
    case __NR_futex_waitv:
#endif
        return KERNEL_FUTEX;
    case __NR_flock:
    case __NR_fcntl:
        return KERNEL_FILE_LOCK;
    case __NR_read:
    case __NR_readv:
        return pipe_or_socket(task, FIRST_ARGUMENT(regs), false);
    case __NR_write:
    case __NR_writev:
        return pipe_or_socket(task, FIRST_ARGUMENT(regs), true);
    case __NR_recvfrom:
    case __NR_recvmsg:
    case __NR_recvmmsg:
    case __NR_accept:
    case __NR_accept4:
    case __NR_connect:
        return KERNEL_SOCKET;
    case __NR_sendto:
    case __NR_sendmsg:
    case __NR_sendmmsg:
        return KERNEL_FULL_SOCKET;
#ifdef __NR_poll
    case __NR_poll:
    case __NR_select:
    case __NR_epoll_wait:
#endif
    case __NR_ppoll:
    case __NR_pselect6:
    case __NR_epoll_pwait:
#ifdef __NR_epoll_pwait2
    case __NR_epoll_pwait2:
#endif
        return KERNEL_POLL;
    case __NR_wait4:
    case __NR_waitid:
        return KERNEL_CHILD;
    case __NR_nanosleep:
    case __NR_clock_nanosleep:
        return KERNEL_SLEEP;
    default:
        return KERNEL_OTHER;
    }
}

#endif
