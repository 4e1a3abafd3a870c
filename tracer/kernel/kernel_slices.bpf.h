/* Slices: which thread is on which CPU, and which process woke it.
 *
 * A switch to a thread may not be seen: some kernels run no probes while certain tasks are current. Then, when the
 * thread leaves the CPU, the start of its slice follows from the CPU time that the scheduler counts for it.
 *
 * Wake-ups come from sched_waking, which runs in the context of the waker. A wake-up may come while the thread is being
 * switched off its CPU, and is then earlier than the end of the slice. It is the last one before the next slice, and is
 * taken to have come at that end. */
#ifndef SF_TRACER_KERNEL_KERNEL_SLICES_BPF_H
#define SF_TRACER_KERNEL_KERNEL_SLICES_BPF_H

#include "kernel/kernel_faults.bpf.h"
#include "kernel/kernel_interrupts.bpf.h"
#include "kernel/kernel_maps.bpf.h"
#include "kernel/kernel_wait.bpf.h"

/* Writes a slice's record. The collector polls the buffer and need not be woken. */
static void put_slice(const struct kernel_thread *t, __u32 tid, __u64 end_ns, __u16 state)
{
    struct kernel_slice *r = bpf_ringbuf_reserve(&records, sizeof *r, 0);
    if (!r) {
        count_loss(KERNEL_LOST_SLICES);
        return;
    }
    *r = (struct kernel_slice){.type = KERNEL_SLICE,
                               .pid = t->pid,
                               .tid = tid,
                               .cpu = t->cpu,
                               .start_ns = t->start_ns,
                               .end_ns = end_ns,
                               .wake_ns = t->wake_ns,
                               .blocked_ns = t->blocked_ns,
                               .waker = t->waker,
                               .state = state,
                               .what = t->what};
    bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

static __u16 state_after(bool preempt, unsigned int state)
{
    if (preempt || !state) /* its time was up, another thread has priority, or it yielded; it is not known which */
        return KERNEL_PREEMPTED;
    if (state & 0xb0) /* dead, or a zombie */
        return KERNEL_EXITED;
    if (state & 0x0c) /* stopped, also by a debugger */
        return KERNEL_STOPPED;
    return state & 2 ? KERNEL_UNINTERRUPTIBLE : KERNEL_BLOCKED;
}

/* A slice begins. The last wake-up ended the wait before it, unless that wake-up is older than the last slice: then the
 * one that ended the wait was not seen. */
static void begin_slice(struct kernel_thread *t, __u64 now)
{
    t->blocked_ns = t->wake_ns = 0;
    t->waker = t->what = 0;
    if (t->off_state == KERNEL_PREEMPTED) {
        t->wake_ns = t->off_ns;
    } else {
        if (t->off_state) { /* not a new thread, which was woken by its fork */
            t->blocked_ns = t->off_ns;
            t->what = t->off_what;
        }
        if (t->waking_ns > t->before_ns) {
            t->wake_ns = t->waking_ns > t->off_ns ? t->waking_ns : t->off_ns;
            t->waker = t->waking_by;
        }
    }
    t->cpu = bpf_get_smp_processor_id();
    t->start_ns = now;
}

/* A slice ends whose beginning was not seen: derives when it began. */
static void begin_slice_late(struct kernel_thread *t, struct task_struct *task, __u64 now)
{
    if (t->runtime_ns == KERNEL_UNKNOWN)
        return;
    __u64 least_ns = t->off_ns > t->waking_ns ? t->off_ns : t->waking_ns;
    __u64 start_ns = now - (task->se.sum_exec_runtime - t->runtime_ns);
    begin_slice(t, start_ns > least_ns && start_ns <= now ? start_ns : least_ns);
}

static void end_slice(struct kernel_thread *t, struct task_struct *task, bool preempt, __u64 now)
{
    __u32 tid = task->pid;
    __u16 state = state_after(preempt, task->__state);
    if (!t->start_ns)
        begin_slice_late(t, task, now);
    if (t->start_ns)
        put_slice(t, tid, now, state);
    if (state == KERNEL_EXITED) {
        bpf_map_delete_elem(&threads, &tid);
        return;
    }
    t->off_state = state;
    t->off_what = state > KERNEL_PREEMPTED ? what_for(task) : KERNEL_NOTHING;
    t->before_ns = t->start_ns ? t->start_ns : t->off_ns;
    t->off_ns = now;
    t->runtime_ns = task->se.sum_exec_runtime;
    t->start_ns = 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    struct kernel_thread *from = thread_of(prev->pid), *to = thread_of(next->pid);
    struct kernel_cpu *c = this_cpu();
    __u64 now = 0; /* read only if needed: it is half of the cost, and most switches are of other threads */
    if (c) {
        if (c->faults.first_ns)
            put_faults(c, now = bpf_ktime_get_ns());
        c->tid = 0;
    }
    if (from) {
        now = now ? now : bpf_ktime_get_ns();
        end_slice(from, prev, preempt, now);
    }
    if (to)
        begin_slice(to, now ? now : bpf_ktime_get_ns());
    return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *task)
{
    struct kernel_thread *t = thread_of(task->pid);
    if (!t)
        return 0;
    t->waking_by = in_interrupt() ? 0 : bpf_get_current_pid_tgid() >> 32;
    t->waking_ns = bpf_ktime_get_ns();
    return 0;
}

#endif
