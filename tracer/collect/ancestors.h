/* The parents of programs that an untraced program has started, as a shell does. */
#ifndef SF_TRACER_COLLECT_ANCESTORS_H
#define SF_TRACER_COLLECT_ANCESTORS_H

#include <sys/types.h>

#include "store/store.h"

/* Makes the nearest traced process above host_pid the parent of the process with that row, if it has none yet.
 * host_pid: its pid in the collector's pid namespace, 0 if not known. Where that process, or one on the way up, has
 * ended already, the parent stays unknown. Does not block. */
void ancestors_find(struct store *store, int64_t process, pid_t host_pid);

#endif
