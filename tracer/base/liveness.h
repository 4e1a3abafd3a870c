/* Does a process still run, which need not be a child of ours? A zombie counts as dead, and so does a process whose pid
 * another one has now. Nothing blocks. */
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

/* Watches the process `pid` that existed `age_ns` ago. If the present one of that pid began later, it is over. */
void liveness_open(struct liveness *liveness, pid_t pid, int64_t age_ns);
void liveness_close(struct liveness *liveness);

/* Once true, always true. */
bool liveness_is_over(struct liveness *liveness);

/* Does `pid` run, and is it a snakefish-trace? */
bool liveness_is_collector(pid_t pid);

#endif
