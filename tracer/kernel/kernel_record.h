/* What the kernel's side (kernel.bpf.c) hands to the collector (kernel.c) through the BPF ring buffer: one record
 * per time on a CPU, per slot of page faults, and per fork, exec and exit. Both are compiled from this file, by
 * different compilers: fixed widths only, no holes. Times are CLOCK_MONOTONIC, 0 where unknown; pids and tids are
 * those of the initial namespace. */
#ifndef SF_TRACER_KERNEL_KERNEL_RECORD_H
#define SF_TRACER_KERNEL_KERNEL_RECORD_H

#include <linux/types.h>

enum {
    KERNEL_COMM_BYTES = 16,
    /* Page faults of a thread within one slice and so long are one record; the clock, which costs as much as all
     * the rest of a fault, is read at the first one after a tick of the timer only. */
    KERNEL_SLOT_NS = 2000000,
};

enum kernel_record_type { KERNEL_SLICE = 1, KERNEL_FAULTS, KERNEL_FORK, KERNEL_EXEC, KERNEL_EXIT };

/* How a time on a CPU ended. */
enum kernel_state {
    KERNEL_RUNNING, /* it has not */
    KERNEL_PREEMPTED,
    KERNEL_BLOCKED,
    KERNEL_UNINTERRUPTIBLE,
    KERNEL_STOPPED,
    KERNEL_EXITED,
    KERNEL_STATES
};

/* What a thread that blocked was waiting for, by the system call that it was in. */
enum kernel_what {
    KERNEL_NOTHING, /* it was not blocked, or nobody knows */
    KERNEL_FUTEX,
    KERNEL_FILE_LOCK,
    KERNEL_PIPE, /* to read */
    KERNEL_FULL_PIPE,
    KERNEL_SOCKET,
    KERNEL_FULL_SOCKET,
    KERNEL_POLL,
    KERNEL_CHILD,
    KERNEL_SLEEP,
    KERNEL_FAULT, /* no system call: a page */
    KERNEL_OTHER,
    KERNEL_WHATS
};

/* By the processor's error code: bit 0, the page was there; bit 1, it was to be written. */
enum kernel_fault_kind {
    KERNEL_FIRST_READ,
    KERNEL_READ_AGAIN,
    KERNEL_FIRST_WRITE,
    KERNEL_COPY_ON_WRITE,
    KERNEL_FAULT_KINDS
};
enum { KERNEL_USER, KERNEL_KERNEL, KERNEL_MODES };
enum { KERNEL_FAULT_SORTS = KERNEL_MODES * KERNEL_FAULT_KINDS }; /* a sort is mode * KERNEL_FAULT_KINDS + kind */

struct kernel_slice {
    __u32 type, pid, tid, cpu;
    __u64 start_ns, end_ns;
    __u64 wake_ns;    /* runnable since */
    __u64 blocked_ns; /* blocked until then, since; 0: it was not */
    __u32 waker;      /* pid of who ended that, 0: unknown, or an interrupt */
    __u16 state;      /* enum kernel_state */
    __u16 what;       /* enum kernel_what, of blocked_ns */
};

struct kernel_faults {
    __u64 first_ns, end_ns; /* when the first one was, 0: none; a time after the last */
    __u64 cost_ns[KERNEL_FAULT_SORTS];
    __u32 count[KERNEL_FAULT_SORTS];
};

struct kernel_faults_record {
    __u32 type, pid, tid, unused;
    struct kernel_faults faults;
};

struct kernel_process {
    __u32 type, pid;
    __u32 parent;      /* FORK: its pid */
    __s32 exit_status; /* EXIT: as waitpid tells it, -N for signal N */
    __u64 ns;
    char comm[KERNEL_COMM_BYTES];
};

#define KERNEL_UNKNOWN (~(__u64)0)

/* One thread, as the kernel's side keeps it; the collector reads what is left of it at the end. */
struct kernel_thread {
    __u32 pid, cpu;
    __u64 start_ns;   /* on the CPU since, 0: not on one */
    __u64 off_ns;     /* off it last, 0: never seen */
    __u64 before_ns;  /* start of the slice that ended then */
    __u64 runtime_ns; /* on CPUs until then, by the scheduler's account; KERNEL_UNKNOWN: it ran before the probes
                         did */
    __u64 waking_ns;  /* last wake-up */
    __u64 wake_ns;    /* of the present slice, as in kernel_slice */
    __u64 blocked_ns; /* likewise */
    __u64 fault_ns;   /* start of a fault that is being timed */
    __u32 waking_by, waker;
    __u16 off_state, off_what; /* how and for what it left the CPU */
    __u16 what;                /* of the present slice's blocked_ns */
    __u16 sort;                /* of the fault that is being timed */
};

/* One CPU: so that a page fault has to look nothing up. Also read at the end. */
struct kernel_cpu {
    __u64 ticks;      /* of the timer, when the clock was read last for page faults */
    __u32 tid;        /* whose page faults are counted; 0: to be found out at the next one */
    __u32 pid;        /* its process, 0: it is not traced */
    __u32 sort;       /* of its last fault */
    __s32 interrupts; /* how deep in them it is */
    struct kernel_faults faults;
};

/* Counts of what was lost, in the order of kernel.c's names for them. */
enum { KERNEL_LOST_SLICES, KERNEL_LOST_FAULTS, KERNEL_LOST_PROCESSES, KERNEL_LOST_THREADS, KERNEL_LOST };

#endif
