/* Forks, execs and exits of the traced processes. */
#ifndef SF_TRACER_KERNEL_KERNEL_TREE_BPF_H
#define SF_TRACER_KERNEL_KERNEL_TREE_BPF_H

#include "kernel/kernel_maps.bpf.h"

static void put_process(__u32 type, struct task_struct *task, __u32 parent, int exit_status, __u64 ns)
{
    struct kernel_process *r = bpf_ringbuf_reserve(&records, sizeof *r, 0);
    if (!r) {
        count_loss(KERNEL_LOST_PROCESSES);
        return;
    }
    r->type = type;
    r->pid = task->tgid;
    r->parent = parent;
    r->exit_status = exit_status;
    r->ns = ns;
    bpf_probe_read_kernel(r->comm, sizeof r->comm, task->comm);
    bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
    __u32 parent_pid = parent->tgid, pid = child->tgid, tid = child->pid;
    if (!bpf_map_lookup_elem(&processes, &parent_pid)) {
        if (parent_pid != root_parent || pid == parent_pid || root_found)
            return 0;
        root_found = true;
    }
    __u64 now = bpf_ktime_get_ns();
    struct kernel_thread fresh = {.pid = pid, .waking_ns = now, .waking_by = parent_pid};
    if (pid != parent_pid) {
        put_process(KERNEL_FORK, child, parent_pid, 0, now);
        if (bpf_map_update_elem(&processes, &pid, &pid, BPF_ANY))
            count_loss(KERNEL_LOST_THREADS);
    }
    if (bpf_map_update_elem(&threads, &tid, &fresh, BPF_ANY))
        count_loss(KERNEL_LOST_THREADS);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_tid)
{
    __u32 pid = task->tgid, tid = task->pid, old = old_tid;
    if (!bpf_map_lookup_elem(&processes, &pid))
        return 0;
    put_process(KERNEL_EXEC, task, 0, 0, bpf_ktime_get_ns());
    if (old != tid) { /* a thread that execs gets the tid of the first; from when on is not known */
        __u64 now = bpf_ktime_get_ns();
        struct kernel_thread fresh = {.pid = pid, .cpu = bpf_get_smp_processor_id(), .start_ns = now, .wake_ns = now};
        struct kernel_cpu *c = this_cpu();
        if (c)
            c->tid = 0;
        bpf_map_delete_elem(&threads, &old);
        if (bpf_map_update_elem(&threads, &tid, &fresh, BPF_ANY))
            count_loss(KERNEL_LOST_THREADS);
    }
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
    __u32 pid = task->tgid;
    if (task->signal->live.counter != 0 || bpf_map_delete_elem(&processes, &pid))
        return 0;
    int code = task->exit_code;
    put_process(KERNEL_EXIT, task, 0, code & 0x7f ? -(code & 0x7f) : code >> 8 & 0xff, bpf_ktime_get_ns());
    return 0;
}

#endif
