/* Who a process is, beyond its pid: a pid and a time, in ns since boot, at which the process was known to live. A
 * process that has the pid but started later is another one.
 *
 * All functions are async-signal-safe, keep errno, and cost some microseconds (alive) or tens of ns (now).
 * A pid means what it means in the caller's pid namespace. */
#ifndef SF_CORE_OS_IDENTITY_H
#define SF_CORE_OS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Now, in ns since boot (CLOCK_BOOTTIME, the clock of /proc/<pid>/stat). Never 0. */
uint64_t sf_identity_now(void);

/* How long this process has lived, exec or not: up to 10 ms too much, the kernel's grain. 0 where /proc cannot be
 * read. */
uint64_t sf_identity_age_ns(void);

/* Whether the process that had this pid at since_ns, which then ran the caller's own program (the two come from one
 * process by fork), still does. False when it is gone, a zombie, has exec'ed a program, or the pid has been given
 * to a process that started later. Where /proc cannot be read, all but the first count as alive, and so does an
 * exec'ed program whose stack happens to begin at the same address (without address randomisation, that is likely):
 * never is a live process declared dead. */
bool sf_identity_alive(pid_t pid, uint64_t since_ns);

/* The cheap half: whether any process, zombies too, has the pid. One system call, far less than sf_identity_alive. */
bool sf_identity_exists(pid_t pid);

struct sf_identity_stat {
    char state; /* the letter */
    uint64_t threads;
    uint64_t start_ticks; /* since boot */
    uint64_t stack;       /* the address at which the stack began at exec; 0: not told */
};

/* Reads a line of /proc/<pid>/stat (length bytes, not terminated). False if it is not such a line. */
bool sf_identity_parse(const char *line, size_t length, struct sf_identity_stat *out);

#endif
