/* The parents of programs that an untraced program has started, as a shell does. */
#ifndef SF_TRACER_COLLECT_ANCESTORS_H
#define SF_TRACER_COLLECT_ANCESTORS_H

#include <sys/types.h>

#include "store/store.h"

/* Makes the nearest traced process, from parent_pid upwards, the parent of the process with that row, if it has none
 * yet. Where a process on the way has ended already, the parent stays unknown. Does not block. */
void ancestors_find(struct store *store, int64_t process, pid_t parent_pid);

#endif
