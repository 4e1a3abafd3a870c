/* See kernel_probe.h. If something is missing, it is found before loading, or the kernel refuses to load; either way
 * one sentence says what. The scheduler's tracepoints are required. Those of page faults, and the tracing of functions,
 * are used where they exist. */
#include "kernel/kernel_probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/kernel_record.h"

#include "kernel/kernel.skel.h"

enum { RECORDS_BYTES = 8 << 20, RECORDS_LEAST_BYTES = 256 << 10 };

static const char btf_path[] = "/sys/kernel/btf/vmlinux";

/* Are we in another pid namespace than the initial one? Records have the pids of that one, logs have ours. */
static bool is_contained(void)
{
    static const char initial[] = "pid:[4026531836]";
    char name[64];
    ssize_t n = readlink("/proc/self/ns/pid", name, sizeof name - 1);
    return n > 0 && ((size_t)n != strlen(initial) || memcmp(name, initial, (size_t)n) != 0);
}

static bool has_capability(int number)
{
    char line[256];
    unsigned long long effective = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "CapEff: %llx", &effective) == 1)
            break;
    if (f)
        fclose(f);
    return effective >> number & 1;
}

static bool is_privileged(void)
{
    enum { SYS_ADMIN = 21, PERFMON = 38, BPF = 39 };
    return has_capability(SYS_ADMIN) || (has_capability(BPF) && has_capability(PERFMON));
}

static int refused(int error, struct sentence *why)
{
    if (error == -EPERM && !is_privileged())
        return output_explain(why, error,
                              "no kernel's view: it needs root, or a collector with the capabilities for it (setcap "
                              "cap_bpf,cap_perfmon+ep snakefish-trace)");
    return output_explain(why, error,
                          "no kernel's view: the kernel refuses its probes, which need Linux 5.15 or later: %s",
                          strerror(-error));
}

static bool has_tracepoint(const struct btf *btf, const char *name)
{
    char type[64];
    snprintf(type, sizeof type, "btf_trace_%s", name);
    return btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

/* Checks what can be checked before loading. */
static int check_system(struct kernel_probe *probe, struct sentence *why)
{
    static const char *const needed[] = {"sched_switch",       "sched_waking",       "sched_process_fork",
                                         "sched_process_exec", "sched_process_exit", "hrtimer_expire_entry",
                                         "softirq_entry",      "irq_handler_entry"};
    if (access(btf_path, R_OK))
        return output_explain(
            why, -ENOENT, "no kernel's view: this kernel does not describe its types (%s, of CONFIG_DEBUG_INFO_BTF)",
            btf_path);
    if (is_contained())
        return output_explain(
            why, -ENOTSUP,
            "no kernel's view: this is a container with pids of its own; trace outside it, or give it "
            "the host's (--pid=host)");
    if (!is_privileged())
        return refused(-EPERM, why);
    struct btf *btf = btf__parse_raw(btf_path);
    if (!btf)
        return output_explain(why, -errno, "no kernel's view: cannot read %s: %s", btf_path, strerror(errno));
    int error = 0;
    for (size_t i = 0; i < sizeof needed / sizeof *needed && !error; i++)
        if (!has_tracepoint(btf, needed[i]))
            error = output_explain(why, -ESRCH, "no kernel's view: this kernel lacks the tracepoint %s", needed[i]);
    probe->faults = has_tracepoint(btf, "page_fault_user") && has_tracepoint(btf, "page_fault_kernel");
    probe->pages = probe->faults && has_tracepoint(btf, "mm_page_alloc") && has_tracepoint(btf, "rss_stat");
    btf__free(btf);
    return error;
}

/* Loads the programs, with as large a buffer as is allowed, and attaches them. */
static int load(struct kernel_probe *probe, pid_t root, bool timed)
{
    int error = -ENOMEM;
    for (unsigned bytes = RECORDS_BYTES; error == -ENOMEM && bytes >= RECORDS_LEAST_BYTES; bytes /= 2) {
        struct kernel_bpf *bpf = kernel_bpf__open();
        if (!bpf)
            return -errno;
        bpf->rodata->root_parent = root ? 0 : (__u32)getpid();
        bpf_map__set_max_entries(bpf->maps.records, bytes);
        bpf_program__set_autoload(bpf->progs.on_user_fault, probe->faults);
        bpf_program__set_autoload(bpf->progs.on_kernel_fault, probe->faults);
        bpf_program__set_autoload(bpf->progs.on_page, probe->pages && !timed);
        bpf_program__set_autoload(bpf->progs.on_page_counted, probe->pages && !timed);
        bpf_program__set_autoload(bpf->progs.on_fault_begin, timed);
        bpf_program__set_autoload(bpf->progs.on_fault_end, timed);
        error = kernel_bpf__load(bpf);
        if (!error)
            error = kernel_bpf__attach(bpf);
        if (error)
            kernel_bpf__destroy(bpf);
        else
            probe->bpf = bpf;
    }
    return error;
}

/* Adds a root that is already running, and its threads. */
static int add_root(struct kernel_probe *probe, pid_t root)
{
    __u32 pid = (__u32)root;
    char path[64];
    if (bpf_map__update_elem(probe->bpf->maps.processes, &pid, sizeof pid, &pid, sizeof pid, BPF_ANY))
        return -errno;
    snprintf(path, sizeof path, "/proc/%d/task", (int)root);
    DIR *dir = opendir(path);
    if (!dir)
        return 0; /* it has ended */
    int error = 0;
    for (struct dirent *entry; (entry = readdir(dir)) && !error;) {
        __u32 tid = (__u32)strtoul(entry->d_name, NULL, 10);
        struct kernel_thread thread = {.pid = pid, .runtime_ns = KERNEL_UNKNOWN};
        /* Threads forked since the probes were attached have an entry, which is better. */
        if (tid &&
            bpf_map__update_elem(probe->bpf->maps.threads, &tid, sizeof tid, &thread, sizeof thread, BPF_NOEXIST) &&
            errno != EEXIST)
            error = -errno;
    }
    closedir(dir);
    return error;
}

int kernel_probe_attach(struct kernel_probe *probe, pid_t root, struct sentence *why)
{
    *probe = (struct kernel_probe){0};
    why->text[0] = '\0';
    int error = check_system(probe, why);
    if (error)
        return error;
    libbpf_set_print(NULL); /* no messages of libbpf: they are for its developers */
    probe->timed = probe->faults && load(probe, root, true) == 0;
    if (!probe->timed)
        error = load(probe, root, false);
    if (!error && root)
        error = add_root(probe, root);
    if (error) {
        kernel_probe_free(probe);
        return refused(error, why);
    }
    if (!probe->faults)
        output_explain(why, 0,
                       "the kernel's view has no page faults: this kernel lacks the tracepoints page_fault_user "
                       "and page_fault_kernel");
    return 0;
}

uint64_t kernel_probe_missed(const struct kernel_probe *probe)
{
    struct bpf_program *program;
    uint64_t missed = 0;
    bpf_object__for_each_program(program, probe->bpf->obj)
    {
        struct bpf_prog_info info = {0};
        __u32 size = sizeof info;
        int fd = bpf_program__fd(program); /* negative if it was not loaded */
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
            missed += info.recursion_misses;
    }
    return missed;
}

void kernel_probe_detach(struct kernel_probe *probe)
{
    kernel_bpf__detach(probe->bpf);
}

void kernel_probe_free(struct kernel_probe *probe)
{
    kernel_bpf__destroy(probe->bpf);
    probe->bpf = NULL;
}
