/* When processes die, to the moment: a thread waits on their pidfds and reads the clock. The collector itself looks at
 * them only between its naps, which would make a short life look long.
 *
 * Everything else is called by one thread. Without the watch (no memory, no thread) the functions do nothing, and the
 * collector's own look has to do. */
#ifndef SF_TRACER_COLLECT_DEATHS_H
#define SF_TRACER_COLLECT_DEATHS_H

#include <stdint.h>

#define DEATHS_NONE UINT32_MAX

struct deaths;

/* Starts the thread. NULL: there is no watch. */
struct deaths *deaths_start(void);

/* Ends the thread and frees everything. NULL is allowed. */
void deaths_stop(struct deaths *deaths);

/* Watches the process of this pidfd, which stays the caller's and must not be closed before deaths_unwatch. Returns the
 * watch's number, or DEATHS_NONE: it is not watched. */
uint32_t deaths_watch(struct deaths *deaths, int pidfd);
void deaths_unwatch(struct deaths *deaths, uint32_t number);

/* When it died, by the timestamp counter; 0: it runs, or it is not watched. */
uint64_t deaths_tsc(struct deaths *deaths, uint32_t number);

#endif
