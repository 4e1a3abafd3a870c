/* Finds the logs in a session's directory. */
#ifndef SF_TRACER_COLLECT_DISCOVER_H
#define SF_TRACER_COLLECT_DISCOVER_H

#include <stddef.h>

enum { DISCOVER_LOGS_MAX = 1 << 17 }; /* of a session */

/* How many logs this process may have open at once, by its limit of descriptors. */
size_t discover_limit(void);

/* Calls `found` with the name of every file that has a log's name. If it returns anything but 0, the scan stops and
 * returns that. -errno: the directory cannot be read. Does not block. */
int discover_logs(int dir_fd, int (*found)(void *arg, const char *name), void *arg);

#endif
