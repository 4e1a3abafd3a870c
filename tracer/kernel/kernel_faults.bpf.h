/* Page faults. They are by far the most frequent events, so they are counted in their CPU's entry. The counts become a
 * record when the thread leaves the CPU: each record belongs to one slice. */
#ifndef SF_TRACER_KERNEL_KERNEL_FAULTS_BPF_H
#define SF_TRACER_KERNEL_KERNEL_FAULTS_BPF_H

#include "kernel/kernel_maps.bpf.h"

static void put_faults(struct kernel_cpu *c, __u64 now)
{
    c->faults.end_ns = now;
    struct kernel_faults_record *r = bpf_ringbuf_reserve(&records, sizeof *r, 0);
    if (r) {
        r->type = KERNEL_FAULTS;
        r->pid = c->pid;
        r->tid = c->tid;
        r->unused = 0;
        r->faults = c->faults;
        bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
    } else {
        count_loss(KERNEL_LOST_FAULTS);
    }
    __builtin_memset(&c->faults, 0, sizeof c->faults);
}

/* From now on this CPU's faults are counted for another thread. */
static __noinline int count_for(struct kernel_cpu *c, __u32 tid)
{
    struct kernel_thread *t = thread_of(tid);
    if (c->faults.first_ns)
        put_faults(c, bpf_ktime_get_ns()); /* of a thread that was not seen to leave this CPU */
    c->tid = tid;
    c->pid = t ? t->pid : 0;
    return 0;
}

/* Called at the first fault of a slot and at the first after a tick of the timer: only then can the slot be over. */
static __noinline int keep_slot(struct kernel_cpu *c)
{
    __u64 now = bpf_ktime_get_ns();
    if (c->faults.first_ns && now - c->faults.first_ns >= KERNEL_SLOT_NS)
        put_faults(c, now);
    if (!c->faults.first_ns)
        c->faults.first_ns = now;
    c->ticks = bpf_jiffies64();
    return 0;
}

static __always_inline int fault(__u64 address, __u64 error_code, int mode)
{
    struct kernel_cpu *c = this_cpu();
    __u32 tid = bpf_get_current_pid_tgid();
    if (!c)
        return 0;
    if (c->tid != tid)
        count_for(c, tid);
    if (!c->pid || (__s64)address < 0) /* an address of the kernel */
        return 0;
    if (!c->faults.first_ns || c->ticks != bpf_jiffies64())
        keep_slot(c);
    c->fault_class = mode * KERNEL_FAULT_KINDS + (error_code & (KERNEL_OF_FILE - 1));
    c->counted = 0;
    c->faults.count[c->fault_class & (KERNEL_FAULT_CLASSES - 1)]++;
    return 0;
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(on_user_fault, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
    return fault(address, error_code, KERNEL_USER);
}

SEC("tp_btf/page_fault_kernel")
int BPF_PROG(on_kernel_fault, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
    return fault(address, error_code, KERNEL_KERNEL);
}

/* Huge pages and those of files, where faults are not timed one by one. To clear one takes as long as hundreds of small
 * ones, or thousands where a hypervisor has to find the memory first; so these are always timed. The kernel takes a
 * page: if it is a huge one, the fault that is being handled is one of a huge page. Who has slept meanwhile is not
 * known any more, and the fault counts as a small one. */
SEC("tp_btf/mm_page_alloc")
int BPF_PROG(on_page, void *page, unsigned int order)
{
    if (order != KERNEL_HUGE_ORDER)
        return 0;
    struct kernel_cpu *c = this_cpu();
    if (!c || !c->pid || c->tid != (__u32)bpf_get_current_pid_tgid())
        return 0;
    __u32 fault_class = c->fault_class & (KERNEL_FAULT_CLASSES - 1);
    if (fault_class % KERNEL_FAULT_KINDS != KERNEL_FIRST_WRITE || !c->faults.count[fault_class])
        return 0;
    c->faults.count[fault_class]--;
    c->faults.huge[fault_class / KERNEL_FAULT_KINDS & (KERNEL_MODES - 1)]++;
    c->huge_ns = bpf_ktime_get_ns();
    return 0;
}

static __always_inline void count_as_file(struct kernel_cpu *c)
{
    __u32 fault_class = c->fault_class & (KERNEL_FAULT_CLASSES - 1);
    if (fault_class & KERNEL_OF_FILE || !c->faults.count[fault_class])
        return;
    c->faults.count[fault_class]--;
    c->faults.count[(fault_class | KERNEL_OF_FILE) & (KERNEL_FAULT_CLASSES - 1)]++;
}

/* The page counts as the process's, as one of a file or not, and a huge one is cleared. (A read of memory that nobody
 * has written maps the one page of zeros, which does not count.) */
SEC("tp_btf/rss_stat")
int BPF_PROG(on_page_counted, void *mm, int member)
{
    struct kernel_cpu *c = this_cpu();
    if (!c || c->counted)
        return 0;
    if (c->tid == (__u32)bpf_get_current_pid_tgid()) {
        if (c->huge_ns)
            c->faults.huge_ns[c->fault_class / KERNEL_FAULT_KINDS & (KERNEL_MODES - 1)] +=
                bpf_ktime_get_ns() - c->huge_ns;
        else if (member == MM_FILEPAGES || member == MM_SHMEMPAGES)
            count_as_file(c);
    }
    c->huge_ns = 0;
    c->counted = 1;
    return 0;
}

/* The cost of faults, where the kernel allows functions to be traced. A fault may sleep and end in a later slice than
 * it began in; then its cost is in the record of the later one. */
SEC("fentry/handle_mm_fault")
int BPF_PROG(on_fault_begin)
{
    struct kernel_cpu *c = this_cpu();
    struct kernel_thread *t = thread_of(bpf_get_current_pid_tgid());
    if (c && t) {
        t->fault_class = c->fault_class;
        t->fault_ns = bpf_ktime_get_ns();
    }
    return 0;
}

SEC("fexit/handle_mm_fault")
int BPF_PROG(on_fault_end)
{
    __u32 tid = bpf_get_current_pid_tgid();
    struct kernel_cpu *c = this_cpu();
    struct kernel_thread *t = thread_of(tid);
    if (!c || !t || !t->fault_ns)
        return 0;
    __u64 now = bpf_ktime_get_ns();
    if (c->tid != tid)
        count_for(c, tid);
    if (!c->faults.first_ns)
        c->faults.first_ns = now;
    c->faults.cost_ns[t->fault_class & (KERNEL_FAULT_CLASSES - 1)] += now - t->fault_ns;
    t->fault_ns = 0;
    return 0;
}

#endif
