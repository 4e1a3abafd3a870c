/* Whether a process is still the same one. A process is named by its pid and a time, in ns since boot, at which it was
 * known to live. A process that has this pid but started later is another one.
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

/* The pid namespace in which this process's pid is its number, by an inode number: no two namespaces that exist at the
 * same time share it. 0 where /proc cannot be read. Some microseconds. */
uint32_t sf_identity_space(void);

/* How long this process has lived; an exec does not end its life. Up to 10 ms too much, because the kernel gives its
 * start in ticks. 0 where /proc cannot be read. */
uint64_t sf_identity_age_ns(void);

/* Whether the process that had this pid at since_ns still lives and has not exec'ed a program. The process must come
 * from the same process as the caller by fork. False: no process has the pid, the process is a zombie, it has exec'ed a
 * program, or the pid now belongs to a process that started later. Takes some microseconds.
 *
 * A live process is never declared dead, so two kinds of process count as alive by mistake. Where /proc cannot be read:
 * any process that has the pid. And an exec'ed program whose stack happens to begin at the same address, which is
 * likely without address randomisation. */
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
