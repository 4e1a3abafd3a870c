/* See ancestors.h. The way up is in /proc. A process that is read there may have ended, and its pid may be another
 * one's: then the parent of that one is of this user and has a log before the child's, or it is not found. */
#include "collect/ancestors.h"

#include "base/liveness.h"

enum { STEPS_MAX = 32 };

void ancestors_find(struct store *store, int64_t process, pid_t host_pid)
{
    for (int i = 0;
         i < STEPS_MAX && (host_pid = liveness_parent(host_pid)) > 1 && !store_parent(store, process, host_pid); i++)
        ;
}
