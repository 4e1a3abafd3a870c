/* Is a process still there? By pidfd where there is one; a zombie, and another process with a recycled pid, count
 * as dead. Nothing blocks. */
#ifndef SF_TRACER_LIFE_H
#define SF_TRACER_LIFE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct life {
    pid_t pid;
    int pidfd; /* -1: none, /proc is asked instead; owned */
    bool over;
};

/* The process `pid` that existed `age_ns` ago (0: now): one that began later is another one. */
void life_open(struct life *life, pid_t pid, int64_t age_ns);
void life_close(struct life *life);

/* Once true, always true. */
bool life_is_over(struct life *life);

/* Does `pid` live, and is it a snakefish-trace? */
bool life_is_collector(pid_t pid);

#endif
