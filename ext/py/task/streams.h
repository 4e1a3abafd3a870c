/* sys.stdout and sys.stderr around a fork: what they hold must come out once. */
#ifndef SF_PY_TASK_STREAMS_H
#define SF_PY_TASK_STREAMS_H

int sf_streams_init(void); /* looks up what is called later. 0, or -1 with an exception */

/* Flushes both, where they may hold something. A stream that is None, closed, without flush, or whose reader has gone
 * is no failure. Blocks as the streams do. 0, or -1 with another exception: a signal handler's. */
int sf_streams_flush(void);

/* The same, also of what is printed meanwhile. */
int sf_streams_flush_fully(void);

#endif
