/* Stores the records of the kernel's side (kernel.bpf.c) in the database.
 *
 * Invariants: in the buffer, the records of a process come in this order: fork, others, exit, its threads' last slices.
 * So a pid always means the process that was forked last with it, and entries of `processes` need not be removed. If
 * the fork record was lost, a process gets its row with its first other record. Times in records are CLOCK_MONOTONIC;
 * the session's clock has its value at the start, so the difference is the time in the session. */
#include "kernel/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kernel/kernel_cost.h"
#include "kernel/kernel_probe.h"
#include "kernel/kernel_record.h"

#include "kernel/kernel.skel.h"

enum { PIDS = 1 << 22 }; /* the kernel's own limit */

struct process {
    int64_t row; /* its id in the database; 0: the pid was not seen */
    int32_t exit_status;
    bool over;
};

struct kernel {
    struct kernel_probe probe;
    struct store *store;
    struct ring_buffer *ring;
    struct process *processes; /* by pid; pages that are not used take no memory */
    size_t alive, polled_bytes, capacity_bytes;
    int64_t start_ns; /* of the session, by CLOCK_MONOTONIC */
    int64_t cost_ns[KERNEL_FAULT_KINDS];
    uint64_t lost[KERNEL_LOST]; /* as they are stored */
    pid_t root;                 /* the root process, which describe() stores; 0: it is not known */
    bool described;             /* whether describe() was called */
};

static const char *const states[KERNEL_STATES] = {
    [KERNEL_RUNNING] = "running", [KERNEL_PREEMPTED] = "preempted",
    [KERNEL_BLOCKED] = "blocked", [KERNEL_UNINTERRUPTIBLE] = "uninterruptible",
    [KERNEL_STOPPED] = "stopped", [KERNEL_EXITED] = "exited"};

static const char *const wait_names[KERNEL_WHATS] = {
    [KERNEL_FUTEX] = "futex",         [KERNEL_FILE_LOCK] = "file lock", [KERNEL_PIPE] = "pipe",
    [KERNEL_FULL_PIPE] = "full pipe", [KERNEL_SOCKET] = "socket",       [KERNEL_FULL_SOCKET] = "full socket",
    [KERNEL_POLL] = "poll",           [KERNEL_CHILD] = "child",         [KERNEL_SLEEP] = "sleep",
    [KERNEL_FAULT] = "fault",         [KERNEL_OTHER] = "other"};

static const char *const fault_kinds[KERNEL_FAULT_KINDS] = {
    [KERNEL_FIRST_READ] = "first-read",   [KERNEL_READ_AGAIN] = "first-read",
    [KERNEL_FIRST_WRITE] = "first-write", [KERNEL_COPY_ON_WRITE] = "copy-on-write",
    [KERNEL_FILE_READ] = "file-read",     [KERNEL_FILE_READ_AGAIN] = "file-read",
    [KERNEL_FILE_WRITE] = "file-write",   [KERNEL_FILE_COPY] = "copy-on-write"};
static const char huge_kind[] = "huge-first-write";

static const char *const modes[KERNEL_MODES] = {[KERNEL_USER] = "user", [KERNEL_KERNEL] = "kernel"};

static int64_t session_ns(const struct kernel *k, uint64_t ns)
{
    return (int64_t)ns - k->start_ns;
}

static int64_t row_of(const struct kernel *k, uint32_t pid)
{
    return pid < PIDS ? k->processes[pid].row : 0;
}

static int64_t add_process(struct kernel *k, uint32_t pid, uint32_t parent, const char *comm, uint64_t ns)
{
    char name[KERNEL_COMM_BYTES + 1];
    if (pid >= PIDS)
        return 0;
    if (comm)
        text_clean(name, sizeof name, comm, KERNEL_COMM_BYTES);
    struct process *p = &k->processes[pid];
    k->alive += !p->row || p->over;
    *p = (struct process){
        .row = store_kernel_process(k->store, pid, row_of(k, parent), comm ? name : NULL, session_ns(k, ns))};
    return p->row;
}

/* The process's row; it is made if this is the first record that names the process. */
static int64_t known_process(struct kernel *k, uint32_t pid, uint64_t ns)
{
    int64_t row = row_of(k, pid);
    return row ? row : add_process(k, pid, 0, NULL, ns);
}

static void take_process(struct kernel *k, const struct kernel_process *r)
{
    char name[KERNEL_COMM_BYTES + 1];
    if (r->type == KERNEL_FORK) {
        add_process(k, r->pid, r->parent, r->comm, r->ns);
        return;
    }
    int64_t row = known_process(k, r->pid, r->ns);
    text_clean(name, sizeof name, r->comm, sizeof r->comm);
    store_kernel_name(k->store, row, name);
    if (r->type == KERNEL_EXIT && row) {
        struct process *p = &k->processes[r->pid];
        k->alive -= !p->over;
        p->over = true;
        p->exit_status = r->exit_status;
        store_kernel_end(k->store, row, session_ns(k, r->ns), r->exit_status, false);
    }
}

static void take_slice(struct kernel *k, const struct kernel_slice *r)
{
    int64_t row = known_process(k, r->pid, r->start_ns);
    if (!row || r->state >= KERNEL_STATES || r->what >= KERNEL_WHATS)
        return;
    struct store_slice slice = {.process = row,
                                .tid = r->tid,
                                .cpu = r->cpu,
                                .start_ns = session_ns(k, r->start_ns),
                                .end_ns = session_ns(k, r->end_ns),
                                .state = states[r->state],
                                .waker = row_of(k, r->waker),
                                .woken = r->wake_ns != 0,
                                .wake_ns = session_ns(k, r->wake_ns)};
    store_slice(k->store, &slice);
    if (r->blocked_ns && wait_names[r->what])
        store_kernel_wait(k->store, row, r->tid, wait_names[r->what], session_ns(k, r->blocked_ns),
                          session_ns(k, r->wake_ns ? r->wake_ns : r->start_ns));
    if (r->state == KERNEL_EXITED && k->processes[r->pid].over) /* the process ended after its exit record */
        store_kernel_end(k->store, row, slice.end_ns, k->processes[r->pid].exit_status, false);
}

static void take_faults(struct kernel *k, uint32_t pid, uint32_t tid, const struct kernel_faults *f)
{
    struct store_fault fault = {.process = known_process(k, pid, f->first_ns),
                                .tid = tid,
                                .start_ns = session_ns(k, f->first_ns),
                                .end_ns = session_ns(k, f->end_ns),
                                .estimate = !k->probe.timed};
    for (unsigned fault_class = 0; fault.process && fault_class < KERNEL_FAULT_CLASSES; fault_class++) {
        unsigned kind = fault_class % KERNEL_FAULT_KINDS;
        fault.kind = fault_kinds[kind];
        fault.mode = modes[fault_class / KERNEL_FAULT_KINDS];
        fault.count = f->count[fault_class];
        fault.cost_ns = k->probe.timed ? (int64_t)f->cost_ns[fault_class] : k->cost_ns[kind] * fault.count;
        if (fault.count || fault.cost_ns)
            store_fault(k->store, &fault);
    }
    fault.kind = huge_kind;
    fault.estimate = false;
    for (unsigned mode = 0; fault.process && mode < KERNEL_MODES; mode++) {
        fault.mode = modes[mode];
        fault.count = f->huge[mode];
        fault.cost_ns = (int64_t)f->huge_ns[mode];
        if (fault.count || fault.cost_ns)
            store_fault(k->store, &fault);
    }
}

static int take_record(void *arg, void *data, size_t size)
{
    struct kernel *k = arg;
    uint32_t type = *(uint32_t *)data;
    k->polled_bytes += size + 8; /* with the buffer's header */
    if (type == KERNEL_SLICE) {
        take_slice(k, data);
    } else if (type == KERNEL_FAULTS) {
        struct kernel_faults_record *r = data;
        take_faults(k, r->pid, r->tid, &r->faults);
    } else {
        take_process(k, data);
    }
    return 0;
}

/* The kernel numbers processes as its first pid namespace does. Does this process, too? */
static bool is_in_first_namespace(void)
{
    enum { FIRST = 0xeffffffc }; /* the inode of /proc/<pid>/ns/pid: PROC_PID_INIT_INO */
    struct stat st;
    return stat("/proc/self/ns/pid", &st) || st.st_ino == (ino_t)FIRST;
}

int kernel_open(struct kernel **out, struct store *store, const struct clock *clock, pid_t root, struct sentence *why)
{
    *out = NULL;
    if (!is_in_first_namespace())
        return output_explain(why, -EPERM,
                              "no kernel's view: this process is in a pid namespace of its own, as in a "
                              "container; record from outside of it");
    struct kernel *k = calloc(1, sizeof *k);
    if (!k)
        return output_explain(why, -ENOMEM, "no kernel's view: no memory");
    k->store = store;
    k->start_ns = clock->first.monotonic_ns;
    k->root = root;
    k->processes = mmap(NULL, PIDS * sizeof *k->processes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int error = 0;
    if (k->processes == MAP_FAILED)
        error = output_explain(why, -errno, "no kernel's view: %s", strerror(errno));
    if (!error) { /* costs first: probes would add to them, and would take the child that measures for the root */
        kernel_cost_measure(k->cost_ns, clock->open.ns_per_tick);
        error = kernel_probe_attach(&k->probe, root, why);
    }
    if (!error) {
        struct bpf_map *records = k->probe.bpf->maps.records;
        k->capacity_bytes = bpf_map__max_entries(records);
        k->ring = ring_buffer__new(bpf_map__fd(records), take_record, k, NULL);
        if (!k->ring)
            error = output_explain(why, -errno, "no kernel's view: cannot map its buffer: %s", strerror(errno));
    }
    if (error) {
        k->store = NULL;
        kernel_close(k);
    } else {
        *out = k;
    }
    return error;
}

/* Stores the root process, and in meta what the kernel's view has. */
static void describe(struct kernel *k)
{
    char path[64], comm[KERNEL_COMM_BYTES + 1] = "";
    if (k->root) {
        snprintf(path, sizeof path, "/proc/%d/comm", (int)k->root);
        FILE *f = fopen(path, "re");
        if (f && fgets(comm, sizeof comm, f))
            comm[strcspn(comm, "\n")] = '\0';
        if (f)
            fclose(f);
        add_process(k, (uint32_t)k->root, 0, comm, (uint64_t)k->start_ns); /* 0 in the session: it was there before */
    }
    store_meta_text(k->store, "kernel_view", "running");
    store_meta_text(k->store, "kernel_faults", !k->probe.faults ? "none" : k->probe.timed ? "measured" : "estimated");
    for (unsigned kind = 0; k->probe.faults && !k->probe.timed && kind < KERNEL_FAULT_KINDS; kind++) {
        char key[64];
        snprintf(key, sizeof key, "kernel_%s_ns", fault_kinds[kind]);
        store_meta_number(k->store, key, k->cost_ns[kind]);
    }
    store_meta_number(k->store, "kernel_buffer_bytes", (int64_t)k->capacity_bytes);
    k->described = true;
}

static void store_losses(struct kernel *k)
{
    static const char *const names[KERNEL_LOST] = {[KERNEL_LOST_SLICES] = "kernel_lost_slices",
                                                   [KERNEL_LOST_FAULTS] = "kernel_lost_faults",
                                                   [KERNEL_LOST_PROCESSES] = "kernel_lost_processes",
                                                   [KERNEL_LOST_THREADS] = "kernel_lost_threads"};
    for (int i = 0; i < KERNEL_LOST; i++) {
        uint64_t lost = __atomic_load_n(&k->probe.bpf->bss->lost[i], __ATOMIC_RELAXED); /* only a count */
        if (lost != k->lost[i] || !k->described)
            store_meta_number(k->store, names[i], (int64_t)lost);
        k->lost[i] = lost;
    }
}

double kernel_poll(struct kernel *k)
{
    if (!k)
        return 0;
    store_losses(k);
    if (!k->described)
        describe(k);
    k->polled_bytes = 0;
    ring_buffer__consume(k->ring);
    return (double)k->polled_bytes / (double)k->capacity_bytes;
}

size_t kernel_alive(const struct kernel *k)
{
    return k ? k->alive : 0;
}

static void take_remaining_faults(struct kernel *k, uint64_t now)
{
    int count = libbpf_num_possible_cpus();
    struct kernel_cpu *cpus = count > 0 ? calloc((size_t)count, sizeof *cpus) : NULL;
    __u32 zero = 0;
    if (cpus &&
        bpf_map__lookup_elem(k->probe.bpf->maps.cpus, &zero, sizeof zero, cpus, (size_t)count * sizeof *cpus, 0) == 0)
        for (int i = 0; i < count; i++)
            if (cpus[i].faults.first_ns) {
                cpus[i].faults.end_ns = now;
                take_faults(k, cpus[i].pid, cpus[i].tid, &cpus[i].faults);
            }
    free(cpus);
}

/* Stores what the kernel's side still holds: the slices and waits of threads that have not ended. Processes that have
 * not end at `stop`: what follows is the time that detaching the probes takes. */
static void take_remaining(struct kernel *k, uint64_t stop, uint64_t now)
{
    struct bpf_map *threads = k->probe.bpf->maps.threads;
    __u32 tid, *at = NULL;
    while (bpf_map__get_next_key(threads, at, &tid, sizeof tid) == 0) {
        struct kernel_thread t;
        at = &tid;
        if (bpf_map__lookup_elem(threads, &tid, sizeof tid, &t, sizeof t, 0))
            continue;
        struct kernel_slice slice = {.pid = t.pid, .tid = tid, .cpu = t.cpu, .end_ns = now, .state = KERNEL_RUNNING};
        if (t.start_ns) {
            slice.start_ns = t.start_ns;
            slice.wake_ns = t.wake_ns;
            slice.blocked_ns = t.blocked_ns;
            slice.waker = t.waker;
            slice.what = t.what;
            take_slice(k, &slice);
        } else if (t.off_state > KERNEL_PREEMPTED && t.off_what < KERNEL_WHATS && wait_names[t.off_what]) {
            store_kernel_wait(k->store, known_process(k, t.pid, t.off_ns), tid, wait_names[t.off_what],
                              session_ns(k, t.off_ns), session_ns(k, now));
        }
    }
    take_remaining_faults(k, now);
    struct bpf_map *processes = k->probe.bpf->maps.processes;
    for (at = NULL; bpf_map__get_next_key(processes, at, &tid, sizeof tid) == 0; at = &tid)
        store_kernel_end(k->store, known_process(k, tid, now), session_ns(k, stop), 0, true);
}

void kernel_close(struct kernel *k)
{
    if (!k)
        return;
    if (k->store) {
        store_meta_number(k->store, "kernel_lost_calls", (int64_t)kernel_probe_missed(&k->probe));
        struct clock_snapshot stop = clock_take(0);
        kernel_probe_detach(&k->probe);
        struct clock_snapshot now = clock_take(0);
        kernel_poll(k);
        take_remaining(k, (uint64_t)stop.monotonic_ns, (uint64_t)now.monotonic_ns);
        store_losses(k);
        store_meta_text(k->store, "kernel_view", "complete");
    }
    ring_buffer__free(k->ring);
    kernel_probe_free(&k->probe);
    if (k->processes != MAP_FAILED)
        munmap(k->processes, PIDS * sizeof *k->processes);
    free(k);
}
