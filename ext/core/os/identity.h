/* Which process a pid means: a pid goes with a time, in ns since boot, at which the process was known to live. A
 * process that has the pid but started later is another one.
 *
 * All functions are async-signal-safe and keep errno. A pid means what it means in the caller's pid namespace. */
#ifndef SF_CORE_OS_IDENTITY_H
#define SF_CORE_OS_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Now, in ns since boot (CLOCK_BOOTTIME, the clock of /proc/<pid>/stat). Never 0. Tens of ns. */
uint64_t sf_identity_now(void);

/* How long this process has lived, before and after an exec: up to 10 ms too much, because the kernel says its start in
 * ticks. 0 where /proc cannot be read. */
uint64_t sf_identity_age_ns(void);

/* Whether the process that had this pid at since_ns still lives and runs the caller's program. It must have come from
 * the same process as the caller by fork. False when no process has the pid, it is a zombie, it has exec'ed a program,
 * or the pid has been given to a process that started later. A live process is never declared dead. So it counts as
 * alive, as long as some process has the pid, where /proc cannot be read; and so does an exec'ed program whose stack
 * happens to begin at the same address (which is likely without address randomisation). Some microseconds. */
bool sf_identity_alive(pid_t pid, uint64_t since_ns);

/* Whether any process has the pid, also a zombie: the cheap part of sf_identity_alive. One system call. */
bool sf_identity_exists(pid_t pid);

struct sf_identity_stat {
    char state;           /* a letter of proc(5), as 'Z' */
    uint64_t threads;     /* of the process */
    uint64_t start_ticks; /* since boot */
    uint64_t stack;       /* the address at which the stack began at exec; 0: the kernel does not say */
};

/* Reads a line of /proc/<pid>/stat (length bytes, not terminated). False if it is not such a line. */
bool sf_identity_parse(const char *line, size_t length, struct sf_identity_stat *out);

#endif
