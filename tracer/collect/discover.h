/* Finds the logs in a session's directory. */
#ifndef SF_TRACER_COLLECT_DISCOVER_H
#define SF_TRACER_COLLECT_DISCOVER_H

/* Calls `found` with the name of every file that is called like a log; its result stops the scan when it is not 0
 * and is returned. -errno when the directory cannot be read. Does not block. */
int discover_logs(int dir_fd, int (*found)(void *arg, const char *name), void *arg);

#endif
