/* The kernel's side of the kernel's view: who was on which CPU and who woke it, page faults, and the lives of the
 * traced processes.
 *
 * Invariants: `processes` holds the traced tree and nothing else: its root, then what is forked from it; `threads`
 * holds their threads, until each leaves its CPU for ever. A thread's entry is written by the CPU that it runs on,
 * except waking_ns and waking_by, which its waker writes. What finds no room is counted in `lost`. The types below
 * are what we read of the kernel's own, found by name when the programs are loaded (CO-RE).
 *
 * A switch to a thread may go unseen: there are kernels that run no probe while certain tasks are current. Then the
 * scheduler's account of what it used says, when it leaves, since when it ran.
 *
 * Page faults are the most frequent events by far: they are counted in their CPU's own entry, which is handed on
 * when the thread leaves the CPU, so that a record of faults is of one slice.
 *
 * Wake-ups are taken from sched_waking, which runs in the waker's context. One that comes while the thread is on
 * its way off the CPU is stamped before the slice's end: then it is the last one before the next slice, and counts
 * as having come at that end. */
#include <asm/unistd.h>
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel_record.h"

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

/* Set before loading. The next process that this one forks becomes the root; 0: the collector puts it in itself. */
const volatile __u32 adopter;

__u64 lost[KERNEL_LOST];
bool adopted;

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
    __uint(max_entries, 1 << 23); /* the collector asks for less where this is refused */
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

/* Hands a slice on as it stands; the collector polls, so nobody is woken. */
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

/* Does an interrupt run on this CPU, so that the current task has nothing to do with what happens? */
static bool in_interrupt(void)
{
    struct kernel_cpu *c = this_cpu();
    return c && c->interrupts > 0;
}

static int step_interrupts(int by)
{
    struct kernel_cpu *c = this_cpu();
    if (c && (by > 0 || c->interrupts > 0))
        c->interrupts += by;
    return 0;
}

/* Programs are attached in their order here: with the ends first, an interrupt that runs meanwhile does not count
 * as one that never ends. */
SEC("tp_btf/hrtimer_expire_exit")
int BPF_PROG(on_timer_end)
{
    return step_interrupts(-1);
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(on_soft_interrupt_end)
{
    return step_interrupts(-1);
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(on_interrupt_end)
{
    return step_interrupts(-1);
}

SEC("tp_btf/hrtimer_expire_entry")
int BPF_PROG(on_timer)
{
    return step_interrupts(1);
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(on_soft_interrupt)
{
    return step_interrupts(1);
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(on_interrupt)
{
    return step_interrupts(1);
}

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

/* What a thread that blocks is waiting for. Nothing has to run at each system call for this: the registers with
 * which it entered the kernel are on its stack. */
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

static __u16 state_after(bool preempt, unsigned int state)
{
    if (preempt || !state) /* its time is up, another one goes before, or it gave its turn away: no telling */
        return KERNEL_PREEMPTED;
    if (state & 0xb0) /* dead, or a zombie */
        return KERNEL_EXITED;
    if (state & 0x0c) /* stopped, or by a debugger */
        return KERNEL_STOPPED;
    return state & 2 ? KERNEL_UNINTERRUPTIBLE : KERNEL_BLOCKED;
}

/* A slice begins. The last wake-up is what ended the wait before it, unless it came before the slice before: then
 * that one went unseen. */
static void begin(struct kernel_thread *t, __u64 now)
{
    t->blocked_ns = t->wake_ns = 0;
    t->waker = t->what = 0;
    if (t->off_state == KERNEL_PREEMPTED) {
        t->wake_ns = t->off_ns;
    } else {
        if (t->off_state) { /* not a new thread, which its fork has woken */
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

/* The thread whose slice ends was not seen to come. */
static void begin_late(struct kernel_thread *t, struct task_struct *task, __u64 now)
{
    if (t->runtime_ns == KERNEL_UNKNOWN)
        return;
    __u64 least_ns = t->off_ns > t->waking_ns ? t->off_ns : t->waking_ns;
    __u64 start_ns = now - (task->se.sum_exec_runtime - t->runtime_ns);
    begin(t, start_ns > least_ns && start_ns <= now ? start_ns : least_ns);
}

static void leave(struct kernel_thread *t, struct task_struct *task, bool preempt, __u64 now)
{
    __u32 tid = task->pid;
    __u16 state = state_after(preempt, task->__state);
    if (!t->start_ns)
        begin_late(t, task, now);
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
    __u64 now = 0; /* the clock is half of what this costs, and most switches are of others */
    if (c) {
        if (c->faults.first_ns)
            put_faults(c, now = bpf_ktime_get_ns());
        c->tid = 0;
    }
    if (from) {
        now = now ? now : bpf_ktime_get_ns();
        leave(from, prev, preempt, now);
    }
    if (to)
        begin(to, now ? now : bpf_ktime_get_ns());
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

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
    __u32 parent_pid = parent->tgid, pid = child->tgid, tid = child->pid;
    if (!bpf_map_lookup_elem(&processes, &parent_pid)) {
        if (parent_pid != adopter || pid == parent_pid || adopted)
            return 0;
        adopted = true;
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
    if (old != tid) { /* a thread that execs becomes the first one; under which tid it ran meanwhile, nobody said */
        __u64 now = bpf_ktime_get_ns();
        struct kernel_thread fresh = {
            .pid = pid, .cpu = bpf_get_smp_processor_id(), .start_ns = now, .wake_ns = now};
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

/* The thread that runs on this CPU is not the one whose faults were counted last. */
static __noinline int count_for(struct kernel_cpu *c, __u32 tid)
{
    struct kernel_thread *t = thread_of(tid);
    if (c->faults.first_ns)
        put_faults(c, bpf_ktime_get_ns()); /* of a thread that was not seen to leave */
    c->tid = tid;
    c->pid = t ? t->pid : 0;
    return 0;
}

/* The first fault since the timer ticked last: only then may a slot begin or be over. */
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
    if (!c->pid || (__s64)address < 0) /* the kernel's own half */
        return 0;
    if (!c->faults.first_ns || c->ticks != bpf_jiffies64())
        keep_slot(c);
    c->sort = mode * KERNEL_FAULT_KINDS + (error_code & (KERNEL_FAULT_KINDS - 1));
    c->faults.count[c->sort & (KERNEL_FAULT_SORTS - 1)]++;
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

/* The cost of faults, where the kernel lets functions be traced. One may sleep, and end in another slice than it
 * began in: then its cost is in the later record. */
SEC("fentry/handle_mm_fault")
int BPF_PROG(on_fault_begin)
{
    struct kernel_cpu *c = this_cpu();
    struct kernel_thread *t = thread_of(bpf_get_current_pid_tgid());
    if (c && t) {
        t->sort = c->sort;
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
    c->faults.cost_ns[t->sort & (KERNEL_FAULT_SORTS - 1)] += now - t->fault_ns;
    t->fault_ns = 0;
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
