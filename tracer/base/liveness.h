/* Whether a process still runs, which need not be our child. A zombie counts as dead, and so does a process whose pid
 * belongs to another one now. Nothing blocks. */
#ifndef SF_TRACER_BASE_LIVENESS_H
#define SF_TRACER_BASE_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct liveness {
    pid_t pid;
    int pidfd; /* owned; -1: there is none, and /proc is read instead */
    bool over;
};

/* Watches the process that had this pid `age_ns` ago. It is over if the process that has the pid now began later. */
void liveness_open(struct liveness *liveness, pid_t pid, int64_t age_ns);
void liveness_close(struct liveness *liveness);

/* Once true, always true. */
bool liveness_is_over(struct liveness *liveness);

/* Does /proc number processes as this process does? In a pid namespace without a /proc of its own it does not. */
bool liveness_has_proc(void);

/* The process that `pid` is a child of now. 0: there is no such process, or it cannot be seen from here. */
pid_t liveness_parent(pid_t pid);

/* Does `pid` run, and is it a snakefish-trace? */
bool liveness_is_collector(pid_t pid);

#endif
