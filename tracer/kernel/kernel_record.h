/* The records that the kernel's side (kernel.bpf.c) passes to the collector (kernel.c) through the BPF ring buffer: one
 * for each slice (time of a thread on a CPU), each slot of page faults, and each fork, exec and exit. Different
 * compilers compile this file for the two sides, so it uses types of fixed width and leaves no holes. Times are
 * CLOCK_MONOTONIC, 0 if unknown. Pids and tids are those of the initial namespace. */
#ifndef SF_TRACER_KERNEL_KERNEL_RECORD_H
#define SF_TRACER_KERNEL_KERNEL_RECORD_H

#include <linux/types.h>

enum {
    KERNEL_COMM_BYTES = 16,
    /* A slot: page faults of a thread within one slice and this time are one record. The clock, which costs as much as
     * the rest of counting a fault, is read only at the first fault after a tick of the timer. */
    KERNEL_SLOT_NS = 2000000,
    KERNEL_HUGE_ORDER = 9, /* a huge page is 2^9 pages */
};

enum kernel_record_type { KERNEL_SLICE = 1, KERNEL_FAULTS, KERNEL_FORK, KERNEL_EXEC, KERNEL_EXIT };

/* How a slice ended. */
enum kernel_state {
    KERNEL_RUNNING, /* it has not ended */
    KERNEL_PREEMPTED,
    KERNEL_BLOCKED,
    KERNEL_UNINTERRUPTIBLE,
    KERNEL_STOPPED,
    KERNEL_EXITED,
    KERNEL_STATES
};

/* What a blocked thread was waiting for, by the system call that it was in. */
enum kernel_what {
    KERNEL_NOTHING, /* it was not blocked, or it is not known */
    KERNEL_FUTEX,
    KERNEL_FILE_LOCK,
    KERNEL_PIPE, /* to read */
    KERNEL_FULL_PIPE,
    KERNEL_SOCKET,
    KERNEL_FULL_SOCKET,
    KERNEL_POLL,
    KERNEL_CHILD,
    KERNEL_SLEEP,
    KERNEL_FAULT, /* no system call: waiting for a page */
    KERNEL_OTHER,
    KERNEL_WHATS
};

/* By the processor's error code: bit 0: the page was present; bit 1: the access was a write. Bit 2: the page is one of
 * a file or of shared memory; such a fault maps the pages around it too, where they are there already. */
enum kernel_fault_kind {
    KERNEL_FIRST_READ,
    KERNEL_READ_AGAIN,
    KERNEL_FIRST_WRITE,
    KERNEL_COPY_ON_WRITE,
    KERNEL_OF_FILE,
    KERNEL_FILE_READ = KERNEL_OF_FILE + KERNEL_FIRST_READ,
    KERNEL_FILE_READ_AGAIN,
    KERNEL_FILE_WRITE,
    KERNEL_FILE_COPY,
    KERNEL_FAULT_KINDS
};
enum { KERNEL_USER, KERNEL_KERNEL, KERNEL_MODES };
enum { KERNEL_FAULT_CLASSES = KERNEL_MODES * KERNEL_FAULT_KINDS }; /* a class is mode * KERNEL_FAULT_KINDS + kind */

struct kernel_slice {
    __u32 type, pid, tid, cpu;
    __u64 start_ns, end_ns;
    __u64 wake_ns;    /* runnable since */
    __u64 blocked_ns; /* blocked since this time, until wake_ns; 0: it was not */
    __u32 waker;      /* pid of the process that ended that; 0: unknown, or an interrupt */
    __u16 state;      /* enum kernel_state */
    __u16 what;       /* enum kernel_what, of blocked_ns */
};

struct kernel_faults {
    __u64 first_ns; /* time of the first fault; 0: there was none */
    __u64 end_ns;   /* a time after the last fault */
    __u64 cost_ns[KERNEL_FAULT_CLASSES];
    __u32 count[KERNEL_FAULT_CLASSES];
    __u32 huge[KERNEL_MODES];    /* first writes to huge pages, which are not in `count`, */
    __u64 huge_ns[KERNEL_MODES]; /* and what they took */
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

/* A thread's entry on the kernel's side; the collector reads those that are left at the end. */
struct kernel_thread {
    __u32 pid, cpu;
    __u64 start_ns;   /* start of the present slice; 0: it is on no CPU */
    __u64 off_ns;     /* end of the last slice; 0: none was seen */
    __u64 before_ns;  /* start of the last slice */
    __u64 runtime_ns; /* its whole time on CPUs until then, as the scheduler counts it; KERNEL_UNKNOWN: it is older than
                         the probes */
    __u64 waking_ns;  /* last wake-up */
    __u64 wake_ns;    /* of the present slice, as in kernel_slice */
    __u64 blocked_ns; /* likewise */
    __u64 fault_ns;   /* start of a fault that is being timed */
    __u32 waking_by, waker;
    __u16 off_state, off_what; /* how the last slice ended, and what it waits for since */
    __u16 what;                /* of the present slice's blocked_ns */
    __u16 fault_class;         /* of the fault that is being timed */
};

/* A CPU's entry: all that is needed to count a page fault. The collector reads it at the end. */
struct kernel_cpu {
    __u64 ticks;       /* ticks of the timer when the clock was last read for page faults */
    __u32 tid;         /* the thread whose page faults are counted; 0: set at the next fault */
    __u32 pid;         /* its process; 0: it is not traced */
    __u32 fault_class; /* of its last fault */
    __u32 counted;     /* whether that one's page counts as the process's */
    __u64 huge_ns;     /* when that has got its huge page; 0: it has none, or has used it */
    __s32 interrupts;  /* how many are running, one inside the other */
    struct kernel_faults faults;
};

/* Counters of what was lost; store_losses in kernel.c has their names. */
enum { KERNEL_LOST_SLICES, KERNEL_LOST_FAULTS, KERNEL_LOST_PROCESSES, KERNEL_LOST_THREADS, KERNEL_LOST };

#endif
