/* Is a process still there? By pidfd where there is one; a zombie, and another process with a recycled pid, count
 * as dead. Nothing blocks. */
#ifndef SF_TRACER_BASE_LIVENESS_H
#define SF_TRACER_BASE_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct liveness {
    pid_t pid;
    int pidfd; /* -1: none, /proc is asked instead; owned */
    bool over;
};

/* The process `pid` that existed `age_ns` ago (0: now): one that began later is another one. */
void liveness_open(struct liveness *life, pid_t pid, int64_t age_ns);
void liveness_close(struct liveness *life);

/* Once true, always true. */
bool liveness_is_over(struct liveness *life);

/* Does `pid` live, and is it a snakefish-trace? */
bool liveness_is_collector(pid_t pid);

#endif
